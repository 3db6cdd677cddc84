//! What a plugin was granted, made ready for its instances.

use std::{env, path::Path, sync::Arc};

use rand::{SeedableRng, rngs::SmallRng};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::config::{EnvGrant, Grants, Reality};

use super::{
    clock::Clock,
    failure::Failure,
    journal::{Channel, Journal},
    outgoing::{Outgoing, Requests},
};

/// Where the made-up random numbers begin.
const SEED: u64 = 0x666c_6f63_6b65_7264;

/// The grants of a plugin, shared by its instances.
pub(super) struct Capabilities {
    grants: Grants,
    /// Name and value of the variables that are set.
    env: Vec<(String, String)>,
    outgoing: Arc<Outgoing>,
}

impl Capabilities {
    pub(super) fn new(plugin: &Arc<str>, grants: &Grants) -> Self {
        let env = grants.env.iter();
        Self {
            grants: grants.clone(),
            env: env.filter_map(|grant| variable(plugin, grant)).collect(),
            outgoing: Arc::new(Outgoing::new(Arc::clone(plugin), grants)),
        }
    }

    /// What one instance sees of WASI; its time is the clock's.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub(super) fn wasi(&self, journal: &Journal, clock: &Clock) -> Result<WasiCtx, Failure> {
        let mut builder = WasiCtx::builder();
        builder
            .stdout(journal.stream(Channel::Out))
            .stderr(journal.stream(Channel::Err))
            .envs(&self.env);
        clock.set(&mut builder);
        if self.grants.random == Reality::Fixed {
            fix_random(&mut builder);
        }
        if let Some(dir) = &self.grants.dir {
            open(&mut builder, dir)?;
        }
        Ok(builder.build())
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::new(self.grants.clocks)
    }

    pub(super) fn requests(&self, journal: &Journal) -> Requests {
        Requests::new(Arc::clone(&self.outgoing), journal.clone())
    }
}

/// The variable with its value. One that is not set, or not Unicode, is left out.
fn variable(plugin: &str, grant: &EnvGrant) -> Option<(String, String)> {
    let value = grant.value.clone().or_else(|| env::var(&grant.name).ok());
    if value.is_none() {
        tracing::warn!(plugin, key = %grant.name, "a plugin is granted a variable that flockerd does not have");
    }
    Some((grant.name.clone(), value?))
}

fn fix_random(builder: &mut WasiCtxBuilder) {
    builder
        .secure_random(SmallRng::seed_from_u64(SEED))
        .insecure_random(SmallRng::seed_from_u64(SEED))
        .insecure_random_seed(u128::from(SEED));
}

/// Opened for every instance, so that a directory that was replaced is seen.
fn open(builder: &mut WasiCtxBuilder, dir: &Path) -> Result<(), Failure> {
    let opened = builder.preopened_dir(dir, "/", FsPerms::ReadOnly);
    let told = |error| {
        let dir = dir.display();
        Failure::broken(format!("its directory {dir} cannot be opened: {error:#}"))
    };
    opened.map(drop).map_err(told)
}
