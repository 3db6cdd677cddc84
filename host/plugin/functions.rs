//! The functions of the hooks as methods of a plugin, each called in an instance and within the plugin's time.

use wasmtime::{AsContextMut, component::InstancePre};

use super::{
    Hook, Scene,
    bindings::{event, list, map, registry_auth, request, route, start, state},
    failure::Failure,
    imports::Context,
    instance::{Plugin, Running},
};

/// Where in a component the functions of its hooks are, for those that it exports.
pub(super) struct Functions {
    request: Option<request::GuestIndices>,
    route: Option<route::GuestIndices>,
    map: Option<map::GuestIndices>,
    start: Option<start::GuestIndices>,
    list: Option<list::GuestIndices>,
    registry_auth: Option<registry_auth::GuestIndices>,
    event: Option<event::GuestIndices>,
    state: Option<state::GuestIndices>,
}

/// A hook that a component exports with another type than the contract's.
pub(super) struct Mistyped {
    pub(super) hook: Hook,
    pub(super) reason: String,
}

impl Functions {
    /// Finds the functions of the hooks given. They must be exported: what is absent counts as mistyped.
    pub(super) fn find(hooks: &[Hook], template: &InstancePre<Context>) -> Result<Self, Mistyped> {
        let find = Find { hooks, template };
        Ok(Self {
            request: find.interface(Hook::Request, request::GuestIndices::new)?,
            route: find.interface(Hook::Route, route::GuestIndices::new)?,
            map: find.interface(Hook::Map, map::GuestIndices::new)?,
            start: find.interface(Hook::Start, start::GuestIndices::new)?,
            list: find.interface(Hook::List, list::GuestIndices::new)?,
            registry_auth: find.interface(Hook::RegistryAuth, registry_auth::GuestIndices::new)?,
            event: find.interface(Hook::Event, event::GuestIndices::new)?,
            state: find.interface(Hook::State, state::GuestIndices::new)?,
        })
    }

    /// Compares the types of all functions with the contract's; the bindings can do that on an instance only.
    pub(super) fn check(&self, running: &mut Running) -> Result<(), Mistyped> {
        let Running { store, instance } = running;
        let mut store = store.as_context_mut();
        typed(
            Hook::Request,
            self.request
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::Route,
            self.route
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::Map,
            self.map
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::Start,
            self.start
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::List,
            self.list
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::RegistryAuth,
            self.registry_auth
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::Event,
            self.event
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )?;
        typed(
            Hook::State,
            self.state
                .as_ref()
                .map(|hook| hook.load(&mut store, instance)),
        )
    }

    pub(super) fn has(&self, hook: Hook) -> bool {
        match hook {
            Hook::Request => self.request.is_some(),
            Hook::Route => self.route.is_some(),
            Hook::Map => self.map.is_some(),
            Hook::Start => self.start.is_some(),
            Hook::List => self.list.is_some(),
            Hook::RegistryAuth => self.registry_auth.is_some(),
            Hook::Event => self.event.is_some(),
            Hook::State => self.state.is_some(),
        }
    }
}

struct Find<'a> {
    hooks: &'a [Hook],
    template: &'a InstancePre<Context>,
}

impl Find<'_> {
    fn interface<T>(
        &self,
        hook: Hook,
        indices: impl FnOnce(&InstancePre<Context>) -> wasmtime::Result<T>,
    ) -> Result<Option<T>, Mistyped> {
        let find = || indices(self.template);
        let found = self.hooks.contains(&hook).then(find).transpose();
        found.map_err(|error| Mistyped::new(hook, &error))
    }
}

impl Mistyped {
    fn new(hook: Hook, error: &wasmtime::Error) -> Self {
        let reason = format!("{error:#}");
        Self { hook, reason }
    }
}

fn typed<T>(hook: Hook, loaded: Option<wasmtime::Result<T>>) -> Result<(), Mistyped> {
    match loaded {
        Some(Err(error)) => Err(Mistyped::new(hook, &error)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// A method that calls one function of a hook. A trap throws the instance away, an error the plugin returns does not.
macro_rules! function {
    ($name:ident = $hook:ident $interface:ident.$call:ident($($argument:ident: $type:ty),*) -> $answer:ty) => {
        pub(super) async fn $name(&self, scene: &Scene, $($argument: $type),*) -> Result<$answer, Failure> {
            self.component.in_time(Some(Hook::$hook), scene, async {
                let indices = self.component.functions.$interface.as_ref();
                let indices = indices.ok_or_else(|| Failure::broken("it does not export this hook"))?;
                let mut visit = self.visit(Hook::$hook, scene).await?;
                let running = &mut visit.running;
                let guest = indices.load(&mut running.store, &running.instance)?;
                let answer = guest.$call(&mut running.store, $($argument),*).await?;
                visit.leave();
                Ok(answer?)
            })
            .await
        }
    };
}

impl Plugin {
    function!(handle = Request request.call_handle(call: request::Call<'_>) -> request::Verdict);
    function!(place = Route route.call_place(request: route::Request<'_>) -> route::Decision);
    function!(rewrite_create = Map map.call_rewrite(request: map::Request<'_>) -> Option<String>);
    function!(rewrite_start = Start start.call_rewrite(request: start::Request<'_>) -> Option<String>);
    function!(backends = List list.call_backends() -> Vec<list::Entry>);
    function!(lookup = RegistryAuth registry_auth.call_lookup(request: registry_auth::Request<'_>) -> Option<registry_auth::Credentials>);
    function!(hear = Event event.call_observe(notices: &[event::Notice<'_>]) -> ());
    function!(state_get = State state.call_get(key: &str) -> Option<Vec<u8>>);
    function!(state_set = State state.call_set(key: &str, value: &[u8]) -> ());
    function!(state_delete = State state.call_delete(key: &str) -> ());
}
