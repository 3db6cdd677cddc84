//! `flockerd plugin ...`: the tools of a plugin's author. They ask plugins as the proxy does, without any backend.

mod answer;
mod asked;
mod bench;
mod cases;
mod diff;
mod explain;
mod flock;
mod inspect;
mod new;
mod status;

use std::path::{Path, PathBuf};

use super::makers;
use crate::{
    config::{Config, Flags, PluginConfig, Problem},
    plugin::{Compiler, Loaded, Plugins, Registries},
};

/// What an author wants to know or to have.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Tool {
    /// Make a folder with a plugin that compiles as it is, with its tests
    New {
        /// The folder; its last part is the name of the plugin
        name: PathBuf,
        /// The language to write it in: rust, python, javascript or c
        #[arg(long, default_value = "rust")]
        lang: String,
        /// Use the SDK in this folder instead of a copy of it inside the new one
        #[arg(long, value_name = "PATH")]
        sdk: Option<PathBuf>,
    },
    /// Tell whether components fit, what they export and import; the exit code is 0 or 1
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run the cases of a TOML file, one line each; the exit code is 0 or 1
    Test {
        /// The component: a file, or oci://host/repository:tag
        file: PathBuf,
        /// Flocks, requests, and what the plugin is to say
        cases: PathBuf,
    },
    /// Measure how long the requests of a cases file take, in a fresh and in a warm instance
    Bench {
        /// The component: a file, or oci://host/repository:tag
        file: PathBuf,
        /// The cases; what they expect does not matter
        cases: PathBuf,
        /// Call so often for each number
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
        calls: u32,
    },
    /// Tell what the plugins of a running flockerd did so far, and where the last failure of each was
    Status {
        /// Where it listens [default: $DOCKER_HOST, else tcp://127.0.0.1:2375]
        #[arg(long, value_name = "ADDR")]
        host: Option<String>,
    },
    /// Tell what every plugin of a chain says about a create, and what comes of it
    Explain {
        /// The components in the order of the chain; without any the chain of the configuration
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The JSON body of the create
        #[arg(long, value_name = "PATH")]
        create: PathBuf,
        /// The flock, as a TOML file
        #[arg(long, value_name = "PATH")]
        flock: PathBuf,
    },
}

/// Returns what the tool has to print, and whether all is well.
///
/// Plugins have the settings that the configuration has for their path or name, else the defaults.
///
/// # Errors
/// What the author has to mend before the tool can do its work.
pub async fn run(tool: &Tool, flags: &Flags) -> Result<(String, bool), Problem> {
    match tool {
        Tool::New { name, lang, sdk } => Ok((new::new(name, lang, sdk.as_deref())?, true)),
        Tool::Check { files } => Ok(inspect::check(files, flags).await),
        Tool::Test { file, cases } => cases::test(Desk::with(file, flags)?, cases).await,
        Tool::Bench { file, cases, calls } => {
            let table = bench::bench(Desk::with(file, flags)?, cases, *calls).await?;
            Ok((table, true))
        }
        Tool::Status { host } => Ok((status::status(host.as_deref()).await?, true)),
        Tool::Explain {
            files,
            create,
            flock,
        } => {
            let desk = Desk::new(files, flags)?;
            Ok((explain::explain(desk, create, flock).await?, true))
        }
    }
}

/// What a tool works on, and with.
struct Desk {
    chain: Vec<PluginConfig>,
    compiler: Compiler,
    registries: Registries,
}

impl Desk {
    /// The settings for these components, or for those of the configuration when none is given.
    fn new(files: &[PathBuf], flags: &Flags) -> Result<Self, Problem> {
        let mut flags = flags.clone();
        if !files.is_empty() {
            flags.plugin = files.iter().map(|file| file.as_os_str().into()).collect();
        }
        let config = Config::load(&flags)?;
        let (compiler, registries) = makers(&config);
        Ok(Self {
            compiler,
            registries,
            chain: config.plugins,
        })
    }

    /// The settings for one component.
    fn with(file: &Path, flags: &Flags) -> Result<Self, Problem> {
        let desk = Self::new(&[file.to_owned()], flags)?;
        match desk.chain.is_empty() {
            true => Err(Problem::new(
                "the path of the component is empty",
                "give a file",
            )),
            false => Ok(desk),
        }
    }

    /// The only plugin.
    fn plugin(&mut self) -> &mut PluginConfig {
        &mut self.chain[0]
    }

    /// Loads one plugin. The tools make one call at a time, so there is room for one instance.
    async fn load(&self, plugin: &PluginConfig) -> Result<Loaded, Problem> {
        let plugin = PluginConfig {
            instances: 1,
            ..plugin.clone()
        };
        let (compiler, registries) = (self.compiler.clone(), self.registries.clone());
        let loaded = Plugins::load(&[plugin], compiler, registries).await;
        loaded.map_err(|error| Problem::new(error.to_string(), error.hint()))
    }
}
