//! TCB. The rules of core.md, one function a rule, named after it.

pub mod apply;
pub mod arith;
pub mod bits;
pub mod cmov;
pub mod data;
pub mod entry;
pub mod field;
pub mod flags;
pub mod ghost;
pub mod guard;
pub mod label;
pub mod memory;
pub mod mov;
pub mod muldiv;
pub mod operand;
pub mod retype;
pub mod row;
pub mod stack;
pub mod strings;
pub mod tables;
pub mod theta;
pub mod transfer;
pub mod view;
pub mod word;
