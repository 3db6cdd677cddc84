//! The hooks: a module per interface of the contract, with its types and what makes them short to write.

pub mod event;
pub mod list;
pub mod map;
pub mod registry_auth;
pub mod request;
pub mod route;
pub mod start;
pub mod state;
