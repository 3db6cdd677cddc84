//! The Rust SDK for flockerd plugins.
