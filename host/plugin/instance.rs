//! The instances of a plugin: fresh for each call or kept warm, never more than allowed, none longer than its timeout.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit},
    time::timeout,
};
use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use crate::{
    config::{InstancePolicy, PluginConfig, PluginSource},
    state::StateStore,
};

use super::{
    Hook, PluginInfo, Scene,
    aside::{aside_when_busy, can_step_aside},
    capabilities::Capabilities,
    events::Queue,
    failure::Failure,
    functions::{Functions, Mistyped},
    imports::{Context, Identity, View},
    keyspace::Ledger,
    limits, load,
    record::{Record, Tally},
    source::Origin,
};

/// How many calls a shadow may be behind.
const SHADOWS: usize = 32;

/// A plugin in its chain: a component and where its keys are.
#[derive(Clone)]
pub(super) struct Plugin {
    pub(super) component: Arc<Component>,
    /// None for the plugin that is the state store itself.
    keyspace: Option<Arc<dyn StateStore>>,
    /// What has happened and waits to be told.
    pub(super) events: Arc<Queue>,
}

/// A component, compiled, linked and checked.
pub(super) struct Component {
    pub(super) settings: PluginConfig,
    pub(super) functions: Functions,
    /// What its instances share: its settings, what its keys take, its connections.
    pub(super) identity: Arc<Identity>,
    origin: Origin,
    template: InstancePre<Context>,
    seats: Seats,
    /// One, for the `event` hook: what is told after the fact takes no instance away from a call.
    ear: Seats,
    pub(super) record: Arc<Record>,
    /// Held by shadow calls: those beyond are left out.
    pub(super) shadows: Arc<Semaphore>,
}

/// A running copy of a component.
pub(super) struct Running {
    pub(super) store: Store<Context>,
    pub(super) instance: Instance,
}

/// Who may be called now.
enum Seats {
    /// Shared with the component that replaces this one: together they have no more instances than one alone.
    Fresh(Arc<Semaphore>),
    Warm(Mutex<Option<Running>>),
}

/// The right to call one instance.
enum Seat<'a> {
    Fresh { _permit: SemaphorePermit<'a> },
    Warm(MutexGuard<'a, Option<Running>>),
}

/// An instance during one call. Dropped without [`Visit::leave`] (after a trap, a timeout, or when the caller went
/// away) it is thrown away, because nobody knows what state it is in.
pub(super) struct Visit<'a> {
    // Declared before the seat, so that its slot in the pool is free when the next caller sits down.
    pub(super) running: Running,
    seat: Seat<'a>,
}

impl Plugin {
    pub(super) fn new(component: Arc<Component>, keyspace: Option<Arc<dyn StateStore>>) -> Self {
        Self {
            component,
            keyspace,
            events: Arc::default(),
        }
    }

    /// Whether it is asked after the fact only.
    pub(super) fn is_shadow(&self) -> bool {
        self.component.settings.shadow
    }

    /// Whether another component may take this one's place while calls go on.
    pub(super) fn is_replaceable(&self) -> bool {
        !self.component.exports(Hook::State)
    }

    /// The same plugin with another component, and no more room than before: both count what they take together.
    pub(super) fn replaced(&self, component: Component) -> Self {
        let seats = match (&self.component.seats, component.seats) {
            (Seats::Fresh(permits), Seats::Fresh(_)) => Seats::Fresh(permits.clone()),
            (_, Seats::Fresh(permits)) => Seats::Fresh(permits),
            // Without the instance that was tried: it counts for itself.
            (_, Seats::Warm(_)) => Seats::Warm(Mutex::default()),
        };
        let record = self.component.record.clone();
        record.forgive();
        let component = Component {
            seats,
            record,
            identity: self.component.identity.clone(),
            ..component
        };
        Self {
            component: Arc::new(component),
            keyspace: self.keyspace.clone(),
            events: self.events.clone(),
        }
    }

    /// What it did so far.
    pub(super) fn tally(&self) -> Tally {
        let (events, events_dropped) = self.events.counts();
        Tally {
            events,
            events_dropped,
            ..self.component.tally()
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.component.settings.name
    }

    /// Takes an instance for a call of the hook, waiting until one may run.
    pub(super) async fn visit(&self, hook: Hook, scene: &Scene) -> Result<Visit<'_>, Failure> {
        let view = View {
            hook: hook.name(),
            scene: scene.clone(),
            keyspace: self.keyspace.clone(),
        };
        let seats = match hook {
            Hook::Event => &self.component.ear,
            _ => &self.component.seats,
        };
        self.component.visit(seats, view).await
    }
}

impl Component {
    pub(super) fn new(
        settings: PluginConfig,
        origin: Origin,
        template: InstancePre<Context>,
        functions: Functions,
    ) -> Self {
        let name = settings.name.as_str().into();
        let identity = Identity {
            capabilities: Capabilities::new(&name, &settings.grants),
            name,
            config: settings.config.clone(),
            memory: settings.memory,
            ledger: Arc::new(Ledger::new(&settings.name)),
        };
        Self {
            seats: Seats::new(&settings, functions.has(Hook::State), settings.instances),
            ear: Seats::new(&settings, false, 1),
            identity: Arc::new(identity),
            settings,
            functions,
            origin,
            template,
            record: Arc::default(),
            shadows: Arc::new(Semaphore::new(SHADOWS)),
        }
    }

    /// What it did so far.
    pub(super) fn tally(&self) -> Tally {
        self.record.tally()
    }

    pub(super) fn exports(&self, hook: Hook) -> bool {
        self.functions.has(hook)
    }

    /// True for the same bytes, wherever they are from.
    pub(super) fn is(&self, origin: &Origin) -> bool {
        self.origin.digest == origin.digest
    }

    pub(super) fn info(&self) -> PluginInfo {
        PluginInfo {
            name: self.settings.name.clone(),
            source: self.settings.source.clone(),
            pinned: self.origin.pinned.clone().map(PluginSource::Registry),
            hooks: Hook::ALL
                .into_iter()
                .filter(|hook| self.exports(*hook))
                .collect(),
            digest: self.origin.digest.clone(),
            size: self.origin.size,
            exports: load::exports(self.template.component()),
            imports: load::imports(self.template.component()),
        }
    }

    /// The bytes that the instances kept warm have; 0 without any.
    pub(super) async fn memory(&self) -> usize {
        self.seats.memory().await + self.ear.memory().await
    }

    /// Instantiates once, so that what can never start or has another type is found before the first call.
    pub(super) async fn rehearse(&self) -> Result<Result<(), Mistyped>, Failure> {
        let scene = Scene::empty();
        let view = View {
            hook: "load",
            scene: scene.clone(),
            keyspace: None,
        };
        self.in_time(None, &scene, async {
            let mut visit = self.visit(&self.seats, view).await?;
            let checked = self.functions.check(&mut visit.running);
            visit.leave();
            Ok(checked)
        })
        .await
    }

    /// Ends the work, and with it the instance it visits, when the plugin's time is over.
    ///
    /// A guest that computes for long does so on a thread of its own, unless the call's body is still to be read:
    /// only the connection's own task, which waits here, can fetch it.
    pub(super) async fn in_time<T>(
        &self,
        hook: Option<Hook>,
        scene: &Scene,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if let Some(hook) = hook {
            self.record.admit(hook)?;
        }
        let allowed = self.settings.timeout;
        let may_leave = scene.body.is_none() && can_step_aside();
        aside_when_busy(may_leave, timeout(allowed, work))
            .await
            .unwrap_or_else(|_| {
                let reason = format!(
                    "it gave no answer within {allowed:?}, the wait for an instance included"
                );
                Err(Failure::broken(reason))
            })
    }

    async fn visit<'a>(&'a self, seats: &'a Seats, view: View) -> Result<Visit<'a>, Failure> {
        let mut seat = seats.take().await;
        let mut running = match seat.kept() {
            Some(mut kept) => {
                kept.store.data_mut().begin(view);
                kept
            }
            None => self.start(view).await?,
        };
        running.store.set_epoch_deadline(1);
        Ok(Visit { running, seat })
    }

    async fn start(&self, view: View) -> Result<Running, Failure> {
        let context = Context::new(Arc::clone(&self.identity), view)?;
        let mut store = Store::new(self.template.engine(), context);
        store.limiter(|context| &mut context.limits);
        store.set_hostcall_fuel(limits::TRANSFER);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.template.instantiate_async(&mut store).await?;
        Ok(Running { store, instance })
    }
}

impl Seats {
    fn new(settings: &PluginConfig, keeps_state: bool, instances: usize) -> Self {
        let warm = match settings.instance {
            Some(policy) => policy == InstancePolicy::Warm,
            None => keeps_state,
        };
        if warm {
            Self::Warm(Mutex::default())
        } else {
            let instances = instances.min(Semaphore::MAX_PERMITS);
            Self::Fresh(Arc::new(Semaphore::new(instances)))
        }
    }

    async fn memory(&self) -> usize {
        match self {
            Self::Fresh(_) => 0,
            Self::Warm(kept) => {
                let kept = kept.lock().await;
                kept.as_ref()
                    .map_or(0, |running| running.store.data().limits.used())
            }
        }
    }

    async fn take(&self) -> Seat<'_> {
        match self {
            Self::Warm(kept) => Seat::Warm(kept.lock().await),
            Self::Fresh(permits) => Seat::Fresh {
                _permit: permits
                    .acquire()
                    .await
                    .expect("the semaphore is never closed"),
            },
        }
    }
}

impl Seat<'_> {
    /// Takes out the instance kept from the call before.
    fn kept(&mut self) -> Option<Running> {
        match self {
            Self::Warm(kept) => kept.take(),
            Self::Fresh { .. } => None,
        }
    }
}

impl Visit<'_> {
    /// Ends a call after which the instance is sound.
    pub(super) fn leave(self) {
        let mut running = self.running;
        if let Seat::Warm(mut kept) = self.seat {
            running.store.data_mut().end();
            *kept = Some(running);
        }
    }
}
