//! Not trusted: tests of what only this crate sees. Whole programs are judged by the tests beside
//! it (`tal-core/tests`): those need the writer (`tal-write`), which is no part of this crate.

mod reading;
mod undone;
