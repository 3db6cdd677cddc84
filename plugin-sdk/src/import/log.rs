//! Import `log`: lines for flockerd's log, with the plugin's name beside them.
//!
//! Standard output and standard error arrive there too, as `info` and `warn`; so does the text of a panic.

use super::host;
pub use crate::bindings::imports::flocker::plugin::log::Level;

/// Writes one line.
pub fn write(level: Level, message: impl AsRef<str>) {
    host::log::write(level, message.as_ref());
}

pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message);
}

pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message);
}

pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message);
}

pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message);
}

pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message);
}
