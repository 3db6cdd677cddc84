//! The code generated from `wit/`, fenced off: the shared imports once, and one module per hook.
//!
//! A world per hook is what lets a plugin export one hook and not the others: the types of a hook that `export!` does
//! not name leave nothing behind in the component.

pub mod imports {
    //! What every plugin may import, and the shared vocabulary.
    wit_bindgen::generate!({
        world: "imports",
        path: "../wit",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq],
    });
}

#[cfg(target_family = "wasm")]
pub mod client {
    //! WASI's HTTP client. What is not used of it leaves nothing behind in the component.
    wit_bindgen::generate!({
        world: "client",
        path: "wit/http.wit",
        generate_all,
    });
}

macro_rules! hook {
    ($module:ident, $world:literal, $export:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: "../wit",
                pub_export_macro: true,
                export_macro_name: $export,
                additional_derives: [PartialEq],
                with: {
                    "flocker:plugin/types@0.1.0": crate::bindings::imports::flocker::plugin::types,
                    "flocker:plugin/log@0.1.0": crate::bindings::imports::flocker::plugin::log,
                    "flocker:plugin/config@0.1.0": crate::bindings::imports::flocker::plugin::config,
                    "flocker:plugin/keyspace@0.1.0": crate::bindings::imports::flocker::plugin::keyspace,
                    "flocker:plugin/flock@0.1.0": crate::bindings::imports::flocker::plugin::flock,
                    "flocker:plugin/body@0.1.0": crate::bindings::imports::flocker::plugin::body,
                },
            });
        }
    };
}

hook!(request_hook, "request-hook", "export_request");
hook!(route_hook, "route-hook", "export_route");
hook!(map_hook, "map-hook", "export_map");
hook!(start_hook, "start-hook", "export_start");
hook!(list_hook, "list-hook", "export_list");
hook!(
    registry_auth_hook,
    "registry-auth-hook",
    "export_registry_auth"
);
hook!(event_hook, "event-hook", "export_event");
hook!(state_hook, "state-hook", "export_state");
