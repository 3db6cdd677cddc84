//! The merge: defaults, then the file, then the flags, with every wrong value noted on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
    time::Duration,
};

use toml::Spanned;

use super::{
    BackendConfig, Config, Flags, Problem, Publish, Pull, PullTo, Shared, StateConfig, Strategy,
    address,
    file::{self, File, Scalar, Source},
    plugins,
    reader::{Problems, Reader, choice},
    source, units,
};
use crate::telemetry;

const PULLS: &[(&str, Pull)] = &[("client", Pull::Client), ("proxy", Pull::Proxy)];
const PULLS_TO: &[(&str, PullTo)] = &[("placed", PullTo::Placed), ("all", PullTo::All)];
const PUBLISHES: &[(&str, Publish)] = &[("off", Publish::Off), ("forward", Publish::Forward)];
const STRATEGIES: &[(&str, Strategy)] = &[("spread", Strategy::Spread)];

pub(super) fn load(flags: &Flags) -> Result<Config, Problem> {
    let mut config = Config::default();
    let mut problems = Problems::default();
    if let Some(path) = flags.file() {
        let source = Source::open(
            path,
            "check the path given by --config or FLOCKERD_CONFIG",
            "the README lists every key with its form",
        )?;
        let file: File = source.parse()?;
        apply_file(&mut config, file, &mut Reader::new(&source, &mut problems));
    }
    apply_flags(&mut config, flags, &mut problems);
    problems.none_or_all()?;
    check_whole(&config).none_or_all()?;
    Ok(config)
}

fn apply_file(config: &mut Config, file: File, reader: &mut Reader<'_>) {
    if let Some(listen) = &file.listen {
        config.listen = reader.list(listen, address::listener);
    }
    apply_times(config, &file, reader);
    let folder = reader.folder();
    config.state = reader.optional(file.state.as_ref(), |text| state(text, folder));
    reader.set(&mut config.pull, file.pull.as_ref(), |text| {
        choice(text, PULLS)
    });
    reader.set(&mut config.pull_to, file.pull_to.as_ref(), |text| {
        choice(text, PULLS_TO)
    });
    config.builder = reader.optional(file.builder.as_ref(), address::name);
    config.shared = Shared {
        network_drivers: shared(&file.network_driver),
        volume_drivers: shared(&file.volume_driver),
    };
    reader.set(&mut config.strategy, file.strategy.as_ref(), |text| {
        choice(text, STRATEGIES)
    });
    reader.set(&mut config.publish, file.publish.as_ref(), |text| {
        choice(text, PUBLISHES)
    });
    reader.set(
        &mut config.publish_address,
        file.publish_address.as_ref(),
        ip,
    );
    reader.set(
        &mut config.body_limit,
        file.body_limit.as_ref(),
        units::size,
    );
    reader.set(&mut config.log, file.log.as_ref(), filter);
    config.threads = reader.optional(file.threads.as_ref(), units::threads);
    let cache = file.plugin_cache.as_ref();
    let folder = reader.folder();
    config.plugin_cache = reader.optional(cache, |path| match path {
        "" => Err(Problem::new(
            "the cache has no path",
            "give a folder, or leave `plugin_cache` out",
        )),
        path => Ok(folder.join(path)),
    });
    config.insecure_registries = reader.list(&file.insecure_registries, source::registry);
    config.backends = file
        .backend
        .iter()
        .filter_map(|given| backend(given, reader))
        .collect();
    config.plugins = file
        .plugin
        .into_iter()
        .filter_map(|given| plugins::from_file(given, reader))
        .collect();
}

/// The drivers whose objects are the same everywhere.
fn shared(drivers: &BTreeMap<String, file::Driver>) -> BTreeSet<String> {
    let shared = drivers.iter().filter(|(_, driver)| driver.flocker.shared);
    shared.map(|(name, _)| name.clone()).collect()
}

fn apply_times(config: &mut Config, file: &File, reader: &mut Reader<'_>) {
    type Parse = fn(&str) -> Result<Duration, Problem>;
    let times: [(&mut Duration, &Option<Spanned<Scalar>>, Parse); 5] = [
        (
            &mut config.backend_timeout,
            &file.backend_timeout,
            units::some_duration,
        ),
        (
            &mut config.probe_interval,
            &file.probe_interval,
            units::some_duration,
        ),
        (
            &mut config.list_interval,
            &file.list_interval,
            units::some_duration,
        ),
        (
            &mut config.run_expiry,
            &file.run_expiry,
            units::some_duration,
        ),
        (&mut config.grace, &file.grace, units::duration),
    ];
    for (slot, given, parse) in times {
        reader.set(slot, given.as_ref(), parse);
    }
}

fn backend(given: &file::Backend, reader: &mut Reader<'_>) -> Option<BackendConfig> {
    let labels = given
        .labels
        .iter()
        .filter_map(|(key, value)| reader.take(value, |value| address::label_pair(key, value)));
    let labels = labels.collect();
    let name = reader.optional(given.name.as_ref(), address::name);
    let address = reader.take(&given.address, address::backend_address)?;
    Some(BackendConfig {
        name: name.unwrap_or_else(|| address.default_name().to_owned()),
        address,
        labels,
    })
}

fn apply_flags(config: &mut Config, flags: &Flags, problems: &mut Problems) {
    let listen = several(
        &flags.listen,
        "--listen or FLOCKERD_LISTEN",
        address::listener,
        problems,
    );
    if !listen.is_empty() {
        config.listen = listen;
    }
    let backends = several(
        &flags.backend,
        "--backend or FLOCKERD_BACKEND",
        address::backend,
        problems,
    );
    if !backends.is_empty() {
        config.backends = backends;
    }
    plugins::apply_flags(&mut config.plugins, &flags.plugin, problems);
    if let Some(text) = given(&flags.state) {
        problems.set(
            &mut config.state,
            "--state or FLOCKERD_STATE",
            state(text, Path::new("")).map(Some),
        );
    }
    if let Some(text) = given(&flags.pull) {
        problems.set(
            &mut config.pull,
            "--pull or FLOCKERD_PULL",
            choice(text, PULLS),
        );
    }
    if let Some(text) = given(&flags.publish) {
        problems.set(
            &mut config.publish,
            "--publish or FLOCKERD_PUBLISH",
            choice(text, PUBLISHES),
        );
    }
    if let Some(text) = given(&flags.backend_timeout) {
        let place = "--backend-timeout or FLOCKERD_BACKEND_TIMEOUT";
        problems.set(
            &mut config.backend_timeout,
            place,
            units::some_duration(text),
        );
    }
    if let Some(text) = given(&flags.threads) {
        let threads = units::threads(text).map(Some);
        problems.set(
            &mut config.threads,
            "--threads or FLOCKERD_THREADS",
            threads,
        );
    }
    if let Some(text) = given(&flags.log) {
        problems.set(&mut config.log, "--log or FLOCKERD_LOG", filter(text));
    }
}

fn given(flag: &Option<String>) -> Option<&str> {
    flag.as_deref().filter(|text| !text.is_empty())
}

/// Reads a repeatable flag, whose texts may hold several values separated by blanks.
fn several<T>(
    texts: &[String],
    place: &str,
    parse: impl Fn(&str) -> Result<T, Problem>,
    problems: &mut Problems,
) -> Vec<T> {
    let words = texts.iter().flat_map(|text| text.split_whitespace());
    words
        .filter_map(|word| problems.take(place, parse(word)))
        .collect()
}

/// Reads where state is kept; a path is relative to `folder`.
fn state(text: &str, folder: &Path) -> Result<StateConfig, Problem> {
    match text {
        "" => Err(Problem::new(
            "the state has no path",
            "write memory, plugin or a path",
        )),
        "memory" => Ok(StateConfig::Memory),
        "plugin" => Ok(StateConfig::Plugin),
        path => Ok(StateConfig::File(folder.join(path))),
    }
}

fn ip(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            format!("`{text}` is not an IP address"),
            "write one such as 0.0.0.0, 127.0.0.1 or ::",
        )
    })
}

fn filter(text: &str) -> Result<String, Problem> {
    telemetry::filter(text)?;
    Ok(text.to_owned())
}

/// Checks what no single value shows.
fn check_whole(config: &Config) -> Problems {
    let mut problems = Problems::default();
    if config.listen.is_empty() {
        problems.add(Problem::new(
            "there is nowhere to listen",
            "give at least one address",
        ));
    }
    let backends = config.backends.iter().map(|backend| &backend.name);
    let plugins = config.plugins.iter().map(|plugin| &plugin.name);
    for (kind, name) in repeated(backends)
        .map(|n| ("backends", n))
        .chain(repeated(plugins).map(|n| ("plugins", n)))
    {
        problems.add(Problem::new(
            format!("two {kind} have the name `{name}`"),
            format!("give each of the {kind} a name of its own"),
        ));
    }
    problems
}

fn repeated<'a>(names: impl Iterator<Item = &'a String>) -> impl Iterator<Item = &'a String> {
    let mut seen = BTreeSet::new();
    names.filter(move |name| !seen.insert(*name))
}
