//! The contract of `wit/` in Rust, generated; what goes into a plugin is borrowed, what comes out is owned.

wasmtime::component::bindgen!({
    path: "wit",
    world: "plugin",
    imports: {
        "flocker:plugin/keyspace": async,
        "flocker:plugin/body": async,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub use exports::flocker::plugin::{event, list, map, registry_auth, request, route, start, state};
pub use flocker::plugin::types;
