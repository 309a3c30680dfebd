//! TCB. The counted pointer of types and large terms.
//!
//! Where the judge runs alone, in the kernel, it counts plainly. Tools share what they know between
//! threads (feature `sync`), and there the count is atomic. The two have the same interface.

#[cfg(not(feature = "sync"))]
pub use alloc::rc::Rc;
#[cfg(feature = "sync")]
pub use alloc::sync::Arc as Rc;
