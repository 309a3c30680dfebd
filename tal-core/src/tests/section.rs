//! Not trusted: tests.
