//! TCB. A word back into its field (core.md 4.5).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};

impl<H: Hints> Judge<'_, H> {}
