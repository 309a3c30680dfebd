//! Not trusted: a test. An allocator that counts, for the bound on the memory of the judge.

#[path = "../../tal-core/tests/support/counting.rs"]
mod counting;

/// The most that was allocated at a time during `work`, beyond what there was before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    counting::peak(work)
}
