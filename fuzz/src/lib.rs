//! Not trusted: a test. Tries the judge, the decoder and the loader with inputs that nobody wrote:
//! mutants of accepted programs, random bytes, spoiled headers (`cargo xtask fuzz`). Every input
//! is made from a seed, a kind and a number, so each of them can be made again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

pub mod again;
pub mod bytes;
pub mod corpus;
pub mod decoders;
pub mod memory;
pub mod mutate;
pub mod operands;
pub mod run;
pub mod second;
pub mod subject;
pub mod trial;
pub mod workers;

#[path = "../../tal-core/tests/former/mod.rs"]
mod former;
#[path = "../../tal-core/tests/cpu_oracle/forms.rs"]
#[allow(dead_code, reason = "the test of the rows uses the rest")]
mod forms;
#[path = "../../tal-check/tests/suite/mod.rs"]
mod suite;
