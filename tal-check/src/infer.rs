//! Not trusted: a bug here can reject, never admit. (To be written.)
