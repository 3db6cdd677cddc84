//! The front doors: what brings calls in. Each makes requests of what it reads and hands them to the proxy.

pub mod api;
mod listener;
mod talk;

pub use listener::Listener;
