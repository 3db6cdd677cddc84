//! The chain of plugins, from `[[plugin]]` and `--plugin`.

use std::{
    ffi::OsString,
    path::{self, Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    Grants, HostGrant, InstancePolicy, OnFailure, PluginConfig, PluginSource, Problem, Reality,
    address, file, grants,
    reader::{Problems, Reader, choice},
    units,
};

const INSTANCES: &[(&str, InstancePolicy)] = &[
    ("fresh", InstancePolicy::Fresh),
    ("warm", InstancePolicy::Warm),
];
const REALITIES: &[(&str, Reality)] = &[("fixed", Reality::Fixed), ("real", Reality::Real)];
const FAILURES: &[(&str, OnFailure)] = &[("refuse", OnFailure::Refuse), ("skip", OnFailure::Skip)];

/// The most linear memory a component can address, in bytes.
const MEMORY_LIMIT: usize = 4 << 30;

pub(super) fn from_file(given: file::Plugin, reader: &mut Reader<'_>) -> Option<PluginConfig> {
    let folder = reader.folder();
    let parse = |text: &str| PluginSource::parse(Path::new(text), folder);
    let source = reader.take(&given.path, parse)?;
    let name = match &given.name {
        Some(name) => reader.take(name, address::name),
        None => reader.take(&given.path, |_| address::name(&source.stem())),
    }?;
    let mut plugin = PluginConfig::new(source, name);
    plugin.instance = reader.optional(given.instance.as_ref(), |text| choice(text, INSTANCES));
    plugin.shadow = given.shadow;
    reader.set(&mut plugin.on_failure, given.on_failure.as_ref(), |text| {
        choice(text, FAILURES)
    });
    reader.set(
        &mut plugin.timeout,
        given.timeout.as_ref(),
        units::some_duration,
    );
    reader.set(&mut plugin.memory, given.memory.as_ref(), memory);
    reader.set(&mut plugin.instances, given.instances.as_ref(), instances);
    if let Some(headers) = &given.headers {
        plugin.headers = reader.list(headers, header);
    }
    plugin.grants = granted(&given, reader);
    plugin.config = object(given.config);
    Some(plugin)
}

fn granted(given: &file::Plugin, reader: &mut Reader<'_>) -> Grants {
    let mut grants = Grants {
        http: reader.list(&given.http, HostGrant::parse),
        env: reader.list(&given.env, grants::env),
        ..Grants::default()
    };
    let folder = reader.folder();
    grants.dir = reader.optional(given.dir.as_ref(), |dir| directory(folder, dir));
    reader.set(&mut grants.clocks, given.clocks.as_ref(), reality);
    reader.set(&mut grants.random, given.random.as_ref(), reality);
    grants
}

fn directory(folder: &Path, text: &str) -> Result<PathBuf, Problem> {
    if text.is_empty() {
        return Err(Problem::new(
            "the directory is empty",
            "give a path, or leave `dir` out",
        ));
    }
    Ok(folder.join(text))
}

fn reality(text: &str) -> Result<Reality, Problem> {
    choice(text, REALITIES)
}

/// Replaces the chain by the components given, each with the settings the file has for it.
pub(super) fn apply_flags(
    plugins: &mut Vec<PluginConfig>,
    given: &[OsString],
    problems: &mut Problems,
) {
    let paths: Vec<_> = given
        .iter()
        .filter(|path| !path.is_empty())
        .map(Path::new)
        .collect();
    if paths.is_empty() {
        return;
    }
    let chain = paths.into_iter().filter_map(|path| {
        let plugin = settled(plugins, path);
        problems.take("--plugin or FLOCKERD_PLUGIN", plugin)
    });
    *plugins = chain.collect();
}

/// Finds the settings for a component: those of the same source, else those of the name, else the defaults.
fn settled(plugins: &[PluginConfig], given: &Path) -> Result<PluginConfig, Problem> {
    let source = PluginSource::parse(given, Path::new(""))?;
    let same_source = plugins.iter().find(|plugin| same(&plugin.source, &source));
    if let Some(plugin) = same_source {
        return Ok(plugin.clone());
    }
    let name = address::name(&source.stem())?;
    let same_name = plugins.iter().find(|plugin| plugin.name == name).cloned();
    Ok(match same_name {
        Some(plugin) => PluginConfig { source, ..plugin },
        None => PluginConfig::new(source, name),
    })
}

fn same(a: &PluginSource, b: &PluginSource) -> bool {
    match (a.path(), b.path()) {
        (Some(a), Some(b)) => {
            matches!((path::absolute(a), path::absolute(b)), (Ok(a), Ok(b)) if a == b)
        }
        _ => a == b,
    }
}

fn memory(text: &str) -> Result<usize, Problem> {
    match units::size(text)? {
        bytes if bytes <= MEMORY_LIMIT => Ok(bytes),
        _ => Err(Problem::new(
            format!("`{text}` is more than a component can use"),
            "give at most 4GiB",
        )),
    }
}

fn instances(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Problem::new(
            format!("`{text}` is not a number of instances"),
            "give at least 1",
        )),
    }
}

fn header(text: &str) -> Result<String, Problem> {
    http::HeaderName::from_bytes(text.as_bytes())
        .map(|name| name.as_str().to_owned())
        .map_err(|_| {
            Problem::new(
                format!("`{text}` is not the name of a header"),
                "write one such as user-agent",
            )
        })
}

/// A TOML table as JSON.
pub fn object(table: toml::Table) -> Map<String, Value> {
    table
        .into_iter()
        .map(|(key, value)| (key, json(value)))
        .collect()
}

/// A TOML value as JSON. Dates become strings; infinity and NaN, which JSON does not have, become null.
pub fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(object(table)),
    }
}
