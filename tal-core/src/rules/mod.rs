//! TCB. The rules of core.md, one function a rule, named after it.

pub mod apply;
pub mod flags;
pub mod label;
pub mod operand;
pub mod row;
pub mod stack;
pub mod transfer;
