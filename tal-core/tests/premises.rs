//! Not trusted. Premises that no other test misses: each test here fails when its premise is taken
//! out (`cargo xtask premises`), beside the accepted twin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "premises/calls.rs"]
mod calls;
#[path = "premises/choices.rs"]
mod choices;
#[path = "premises/formed.rs"]
mod formed;
#[path = "premises/forms.rs"]
mod forms;
#[path = "premises/host.rs"]
mod host;
#[path = "premises/judges.rs"]
mod judges;
#[path = "premises/labels.rs"]
mod labels;
#[path = "premises/lines.rs"]
mod lines;
#[path = "premises/memory.rs"]
mod memory;
#[path = "premises/moves.rs"]
mod moves;
#[path = "premises/same.rs"]
mod same;
#[path = "capabilities/support.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod support;
#[path = "premises/types.rs"]
mod types;
#[path = "premises/values.rs"]
mod values;
#[path = "premises/whole.rs"]
mod whole;
