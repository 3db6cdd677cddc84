//! Hook `route`: something new needs a backend.

/// Chooses the backend for something new; the candidates are [`flock::backends`](crate::flock::backends).
pub use crate::bindings::route_hook::exports::flocker::plugin::route::Guest as Route;
pub use crate::bindings::route_hook::exports::flocker::plugin::route::{
    Decision, Request, Subject,
};

impl Decision {
    /// Chooses a backend by its name or address.
    pub fn to(backend: impl Into<String>) -> Self {
        Self {
            backend: Some(backend.into()),
            body: None,
        }
    }

    /// Leaves the choice to the next plugin, at last to the strategy.
    pub fn no_opinion() -> Self {
        Self {
            backend: None,
            body: None,
        }
    }

    /// Sends this body instead of the client's: a [`Container`](crate::Container) or JSON text. Applies with and
    /// without an opinion on the backend.
    pub fn with_body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }
}

impl Subject {
    /// Returns the name that the contract gives the subject: `container`, `pull`, ...
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Pull => "pull",
            Self::Import => "import",
            Self::Load => "load",
            Self::Build => "build",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}
