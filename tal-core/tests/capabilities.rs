//! Not trusted. The rules of capabilities, views and memory (core.md 4.3 to 4.7, 4.14): for each
//! premise the program that lacks it, refused by the rule, beside its accepted twin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "capabilities/data.rs"]
mod data;
#[path = "capabilities/entry.rs"]
mod entry;
#[path = "capabilities/field.rs"]
mod field;
#[path = "capabilities/guard.rs"]
mod guard;
#[path = "capabilities/memory.rs"]
mod memory;
#[path = "capabilities/model.rs"]
mod model;
#[path = "capabilities/retype.rs"]
mod retype;
#[path = "capabilities/strings.rs"]
mod strings;
#[path = "capabilities/subst.rs"]
mod subst;
#[path = "capabilities/support.rs"]
mod support;
#[path = "capabilities/transfers.rs"]
mod transfers;
#[path = "capabilities/view.rs"]
mod view;
#[path = "capabilities/wf.rs"]
mod wf;
