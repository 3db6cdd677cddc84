//! Hook `event`: what has happened, on every backend and to it.
//!
//! ```
//! use flocker_plugin::{Error, Event, event, keyspace, testing};
//!
//! /// Remembers where the last container died.
//! struct Coroner;
//!
//! impl Event for Coroner {
//!     fn observe(notices: Vec<event::Notice>) -> Result<(), Error> {
//!         for notice in &notices {
//!             let died = |event: &event::DockerEvent| event.kind == "container" && event.verb() == "die";
//!             if let Some(event) = notice.docker().filter(|event| died(event)) {
//!                 let name = event.attribute("name").unwrap_or(&event.id);
//!                 keyspace::set("last", format!("{name} on {}", notice.backend).as_bytes(), None)?;
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! flocker_plugin::export!(Coroner: Event);
//!
//! let mut flock = testing::Flock::new();
//! let died = testing::docker_event("container", "die", "c0ffee", &[("name", "web"), ("exitCode", "1")]);
//! flock.call(|| Coroner::observe(vec![
//!     testing::notice("node1", event::What::Up),
//!     testing::notice("node1", event::What::Docker(died)),
//! ]))?;
//! assert_eq!(flock.keyspace()["last"], b"web on node1");
//! # Ok::<(), Error>(())
//! ```

/// Hears what has happened, after the fact: no call waits for it.
pub use crate::bindings::event_hook::exports::flocker::plugin::event::Guest as Event;
pub use crate::bindings::event_hook::exports::flocker::plugin::event::{DockerEvent, Notice, What};

impl Notice {
    /// Returns what a daemon said; none when the notice is of what became of the backend.
    pub fn docker(&self) -> Option<&DockerEvent> {
        match &self.what {
            What::Docker(event) => Some(event),
            What::Joined | What::Up | What::Down(_) | What::Left => None,
        }
    }
}

impl DockerEvent {
    /// Returns the value of an attribute: `name`, `image`, `exitCode`, or a container's label.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(attribute, _)| attribute == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the action without its detail: `exec_create` of `exec_create: sh -c ls`.
    pub fn verb(&self) -> &str {
        self.action.split(':').next().unwrap_or(&self.action)
    }
}
