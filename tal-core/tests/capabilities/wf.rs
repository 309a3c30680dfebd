//! Not trusted. To come.
