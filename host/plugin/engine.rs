//! The WebAssembly engine that all plugins share: its configuration, its clock, and what it offers to import.

use std::{thread, time::Duration};

use wasmtime::{
    Config, Enabled, Engine, PoolingAllocationConfig, Result,
    component::{HasSelf, Linker},
};

use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;

use crate::config::PluginConfig;

use super::{bindings, imports::Context, keyvalue, limits};

/// How long a plugin computes before it lets other tasks run and its timeout can strike.
const TICK: Duration = Duration::from_millis(10);

/// What one component may have of each, so that what is reserved for a plugin suffices for all its instances and none takes
/// another plugin's share. The largest runtimes have one memory, composed components one for each part.
const MEMORIES: u32 = 4;
const TABLES: u32 = 32;
const CORE_INSTANCES: u32 = 50;

/// What a pool reserves for a memory. How much of it a plugin may use is the business of its limits.
const ADDRESSES: usize = 4 << 30;

/// Builds an engine sized for the plugins and a linker with everything a plugin may import.
pub(super) fn linker(configs: &[PluginConfig]) -> Result<Linker<Context>> {
    let engine = running(configs)?;
    tick(&engine)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // The clock that a plugin was granted instead of the one that is always real.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasSelf<_>>(&mut linker, |context| context)?;
    linker.allow_shadowing(false);
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    bindings::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |context| context)?;
    keyvalue::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Builds an engine that only compiles: where instances are allocated has no part in the code.
pub(super) fn compiling() -> Result<Engine> {
    Engine::new(&config())
}

/// What compiled code depends on.
fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config
}

/// Pooled instances start in half the time, but the pool reserves 4 GiB of addresses for each memory: where a limit on
/// the address space forbids that, instances are allocated on demand.
fn running(configs: &[PluginConfig]) -> Result<Engine> {
    let mut config = config();
    config.allocation_strategy(pool(configs));
    Engine::new(&config).or_else(|error| {
        tracing::debug!(error = %format_args!("{error:#}"), "no room for a pool of plugin instances");
        config.allocation_strategy(wasmtime::InstanceAllocationStrategy::OnDemand);
        Engine::new(&config)
    })
}

/// Beside the instances that calls use there is room for each plugin's events, and for its successor to be tried and to
/// keep two warm.
const BESIDES: usize = 4;

/// Sizes are those that the largest runtimes (Python, JavaScript) were seen to need.
fn pool(configs: &[PluginConfig]) -> PoolingAllocationConfig {
    let slots = configs
        .iter()
        .map(|plugin| plugin.instances.saturating_add(BESIDES))
        .fold(0, usize::saturating_add);
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_memories(slots.saturating_mul(MEMORIES))
        .total_tables(slots.saturating_mul(TABLES))
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .max_memories_per_component(MEMORIES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_tables_per_component(TABLES)
        .max_core_instance_size(10 << 20)
        .max_component_instance_size(10 << 20)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(ADDRESSES)
        .linear_memory_keep_resident(256 << 10)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(64 << 10);
    pool
}

/// Advances the engine's epoch from a thread of its own, because a busy runtime must not stop the clock that tames it.
fn tick(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let ticker = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("plugin-epoch".to_owned())
        .spawn(ticker)?;
    Ok(())
}
