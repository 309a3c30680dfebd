//! TCB. Data objects and their initial bytes (core.md 4.14).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::ty::DataId;

impl<H: Hints> Judge<'_, H> {
    /// rule[data-object], rule[data-init], rule[table-object] for every object, and that they are disjoint and sorted.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn data(&mut self) -> Result<()> {
        Err(Error::new(Rule::DataObject, Kind::BadHint))
    }

    /// rule[data-object]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn data_object(&mut self, _id: DataId) -> Result<()> {
        Err(Error::new(Rule::DataObject, Kind::BadHint))
    }

    /// rule[data-init]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn data_init(&mut self, _id: DataId) -> Result<()> {
        Err(Error::new(Rule::DataInit, Kind::BadHint))
    }

    /// rule[table-object]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn table_object(&mut self, _id: DataId) -> Result<()> {
        Err(Error::new(Rule::TableObject, Kind::BadHint))
    }
}
