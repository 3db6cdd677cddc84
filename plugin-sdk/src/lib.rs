//! The Rust SDK for flockerd plugins.
//!
//! A plugin is a type without state that implements the traits of the hooks it wants, and [`export!`] makes a component
//! of it. Each call runs in a fresh instance: what must be remembered belongs in [`keyspace`]. The whole of one, which
//! keeps a team's containers together:
//!
//! ```
//! use flocker_plugin::{Backend, Container, Decision, Error, Route, flock, keyspace, log, route};
//!
//! struct Together;
//!
//! impl Route for Together {
//!     fn place(request: route::Request) -> Result<Decision, Error> {
//!         let Some(body) = request.body.filter(|_| request.subject == route::Subject::Container) else {
//!             return Ok(Decision::no_opinion());
//!         };
//!         let mut container = Container::parse(&body)?;
//!         let Some(team) = container.label("team").map(String::from) else {
//!             return Err(Error::refuse(403, "every container needs a label `team`"));
//!         };
//!         let home = keyspace::get(&team)?;
//!         let at_home = |backend: &Backend| home.as_deref() == Some(backend.name.as_bytes());
//!         let candidates = flock::backends();
//!         let Some(backend) = candidates.iter().min_by_key(|backend| (!at_home(backend), backend.load())) else {
//!             return Ok(Decision::no_opinion());
//!         };
//!         keyspace::set(&team, backend.name.as_bytes(), None)?;
//!         log::info(format!("team {team} lives on {}", backend.name));
//!         container.set_env("ZONE", backend.label("zone").unwrap_or("none"));
//!         Ok(Decision::to(&backend.name).with_body(container))
//!     }
//! }
//!
//! flocker_plugin::export!(Together: Route);
//!
//! // And its test, which runs natively:
//! use flocker_plugin::testing;
//!
//! let mut flock = testing::Flock::new()
//!     .backend(testing::backend("node1", 0))
//!     .backend(testing::backend("node2", 7).with_label("zone", "eu"));
//! flock.call(|| keyspace::set("web", b"node2", None))?;
//! let decision = flock.call(|| Together::place(testing::create(r#"{"Labels":{"team":"web"}}"#)))?;
//! let expected = Decision::to("node2").with_body(r#"{"Env":["ZONE=eu"],"Labels":{"team":"web"}}"#);
//! assert_eq!(decision, expected);
//! assert_eq!(flock.log(), ["info team web lives on node2"]);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Building
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! flocker-plugin = "0.1"
//! ```
//!
//! `rustup target add wasm32-wasip2`, then `cargo build --target wasm32-wasip2 --release`. The component lies in
//! `target/wasm32-wasip2/release/`, dashes in its name turned into underscores. `RUSTFLAGS` that change the linker's
//! arguments can make it a core module instead, which flockerd does not load.
//!
//! # Saying no, and failing
//!
//! [`Error::refuse`] is an answer: the client gets it. [`Error::fail`], what `?` makes of the errors here, a panic, and
//! a call that takes too long are failures: status 500, or no opinion with `on_failure = "skip"`. A panic's text is
//! written to standard error, which flockerd puts into its log.

pub use bindings::imports::flocker::plugin::types::{Backend, Client, Error, Health, Refusal};
pub use container::{Container, Host};
pub use hook::{
    event::{self, Event},
    list::{self, List},
    map::{self, Map},
    registry_auth::{self, RegistryAuth},
    request::{self, Request, Verdict},
    route::{self, Decision, Route},
    start::{self, Start},
    state::{self, State},
};
pub use import::{body, config, flock, http, keyspace, log};

#[doc(hidden)]
pub mod bindings;
mod container;
mod export;
mod hook;
mod import;
pub mod json;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod types;
