//! Not trusted: a bug here can reject, never admit. The command `tal-load`.
fn main() {}
