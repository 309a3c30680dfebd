//! TCB. How a premise is written down: one a line, each with a mark of its own, so that a test can
//! take out any single one and see whether somebody notices (docs/premises.md).
//!
//! | written | means |
//! |---|---|
//! | `premise!(holds, error)` | refuse with `error` unless `holds` |
//! | `premise!(obligation)` | refuse as `obligation` does, which is proved or compared elsewhere |
//! | `refuse!(error)` | the refusal itself, where an arm has nothing else to say |
//! | `holds!(condition)` | a part of a condition: one conjunct of a guard, of an alternative |
//! | `forget!(effect)` | what a rule has to forget about the state |
//!
//! In every build but one these are the plain check. With the feature `deletable-premises`, which
//! exists for `cargo xtask premises` alone and does not compile for a release or a kernel, a
//! premise can be deleted while the tests run: what it would have refused then goes on. A deleted
//! premise accepts more and changes nothing of what is accepted, so whatever test fails without it
//! expected the refusal.

#[cfg(not(feature = "deletable-premises"))]
#[macro_use]
mod kept {
    /// Refuses unless the premise holds.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! premise {
        ($obligation:expr $(,)?) => {
            $obligation?
        };
        ($holds:expr, $error:expr $(,)?) => {
            if !$holds {
                return ::core::result::Result::Err($error);
            }
        };
    }

    /// A refusal, as a value.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! refuse {
        ($error:expr $(,)?) => {
            ::core::result::Result::Err($error)
        };
    }

    /// One part of a condition.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! holds {
        ($condition:expr $(,)?) => {
            $condition
        };
    }

    /// What is forgotten of the state.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! forget {
        ($effect:expr $(,)?) => {
            $effect
        };
    }
}

#[cfg(feature = "deletable-premises")]
#[macro_use]
mod deletable {
    #[doc(hidden)]
    #[macro_export]
    macro_rules! premise {
        ($obligation:expr $(,)?) => {
            if let ::core::result::Result::Err(error) = $obligation
                && !$crate::premise::deleted(::core::file!(), ::core::line!(), ::core::column!())
            {
                return ::core::result::Result::Err(error);
            }
        };
        ($holds:expr, $error:expr $(,)?) => {
            if !$holds
                && !$crate::premise::deleted(::core::file!(), ::core::line!(), ::core::column!())
            {
                return ::core::result::Result::Err($error);
            }
        };
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! refuse {
        ($error:expr $(,)?) => {
            if $crate::premise::deleted(::core::file!(), ::core::line!(), ::core::column!()) {
                ::core::result::Result::Ok(())
            } else {
                ::core::result::Result::Err($error)
            }
        };
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! holds {
        ($condition:expr $(,)?) => {
            ($condition
                || $crate::premise::deleted(::core::file!(), ::core::line!(), ::core::column!()))
        };
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! forget {
        ($effect:expr $(,)?) => {
            if !$crate::premise::deleted(::core::file!(), ::core::line!(), ::core::column!()) {
                $effect
            }
        };
    }
}

#[cfg(feature = "deletable-premises")]
pub use deleting::deleted;

/// Which premises are deleted, and which were asked for.
#[cfg(feature = "deletable-premises")]
mod deleting {
    extern crate std;

    use alloc::collections::BTreeSet;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use std::ffi::OsString;
    use std::io::Write;
    use std::sync::OnceLock;
    use std::{env, fs, thread, thread_local};

    #[cfg(not(debug_assertions))]
    compile_error!("a build without debug assertions may be shipped: its premises stay");

    /// Those to delete: `file:line:column`, separated by commas.
    const DELETE: &str = "TAL_PREMISES_DELETED";
    /// A file that gets a line for each premise that failed in a thread, which has the name of its
    /// test.
    const TRACE: &str = "TAL_PREMISES_TRACE";

    static DELETED: OnceLock<Vec<(u32, u32, String)>> = OnceLock::new();
    static TRACE_TO: OnceLock<Option<OsString>> = OnceLock::new();

    thread_local! {
        static TRACED: RefCell<BTreeSet<(u32, u32, &'static str)>> =
            const { RefCell::new(BTreeSet::new()) };
    }

    /// Is the premise at this place deleted? Asked only where it does not hold.
    #[must_use]
    pub fn deleted(file: &'static str, line: u32, column: u32) -> bool {
        if let Some(path) = TRACE_TO.get_or_init(|| env::var_os(TRACE)) {
            trace(path, file, line, column);
        }
        let list = DELETED.get_or_init(|| read(&env::var(DELETE).unwrap_or_default()));
        list.iter().any(|(l, c, f)| *l == line && *c == column && f == file)
    }

    fn read(list: &str) -> Vec<(u32, u32, String)> {
        let one = |premise: &str| {
            let (line, column) = premise.rsplit_once(':')?;
            let (file, line) = line.rsplit_once(':')?;
            Some((line.parse().ok()?, column.parse().ok()?, file.to_string()))
        };
        list.split(',').filter_map(one).collect()
    }

    fn trace(path: &OsString, file: &'static str, line: u32, column: u32) {
        // During the end of a thread there may be no set any more; then it is written once more.
        let new = TRACED.try_with(|traced| traced.borrow_mut().insert((line, column, file)));
        if !new.unwrap_or(true) {
            return;
        }
        let test = thread::current().name().map_or_else(String::new, String::from);
        let entry = alloc::format!("{file}:{line}:{column}\t{test}\n");
        // What cannot be written is missing there, and then counts as asked for by no test.
        let _ = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(entry.as_bytes()));
    }
}
