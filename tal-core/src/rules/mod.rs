//! TCB. The rules of core.md, one function a rule, named after it.

pub mod apply;
pub mod label;
pub mod transfer;
