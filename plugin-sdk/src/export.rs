//! The macro that makes a component of a type.

/// Exports the hooks named, and no other, from a type that implements their traits.
///
/// ```
/// # use flocker_plugin::{Error, Map, map};
/// struct Stamp;
///
/// impl Map for Stamp {
///     fn rewrite(_request: map::Request) -> Result<Option<String>, Error> {
///         Ok(None)
///     }
/// }
///
/// flocker_plugin::export!(Stamp: Map);
/// ```
///
/// A hook that is named but not implemented does not compile, natively neither:
///
/// ```compile_fail
/// struct Stamp;
/// flocker_plugin::export!(Stamp: Map);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ident: $($hook:ident),+ $(,)?) => {
        $(
            const _: fn() = || {
                fn implements<T: $crate::$hook>() {}
                implements::<$plugin>();
            };
            #[cfg(target_family = "wasm")]
            $crate::__export_hook!($hook $plugin);
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    (Request $plugin:ident) => {
        $crate::bindings::request_hook::export_request!($plugin with_types_in $crate::bindings::request_hook);
    };
    (Route $plugin:ident) => {
        $crate::bindings::route_hook::export_route!($plugin with_types_in $crate::bindings::route_hook);
    };
    (Map $plugin:ident) => {
        $crate::bindings::map_hook::export_map!($plugin with_types_in $crate::bindings::map_hook);
    };
    (Start $plugin:ident) => {
        $crate::bindings::start_hook::export_start!($plugin with_types_in $crate::bindings::start_hook);
    };
    (List $plugin:ident) => {
        $crate::bindings::list_hook::export_list!($plugin with_types_in $crate::bindings::list_hook);
    };
    (RegistryAuth $plugin:ident) => {
        $crate::bindings::registry_auth_hook::export_registry_auth!($plugin with_types_in $crate::bindings::registry_auth_hook);
    };
    (Event $plugin:ident) => {
        $crate::bindings::event_hook::export_event!($plugin with_types_in $crate::bindings::event_hook);
    };
    (State $plugin:ident) => {
        $crate::bindings::state_hook::export_state!($plugin with_types_in $crate::bindings::state_hook);
    };
}
