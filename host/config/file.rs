//! The TOML file as it is written, each value with the place it stands at.

use std::{collections::BTreeMap, fmt, fs, ops::Range, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use toml::Spanned;

use super::Problem;

/// The least similarity, between 0 and 1, of a known key that is offered for an unknown one.
const SIMILAR: f64 = 0.6;

/// The top level of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<Vec<Spanned<String>>>,
    pub(super) threads: Option<Spanned<Scalar>>,
    pub(super) plugin_cache: Option<Spanned<Scalar>>,
    #[serde(default)]
    pub(super) insecure_registries: Vec<Spanned<String>>,
    pub(super) state: Option<Spanned<Scalar>>,
    pub(super) pull: Option<Spanned<Scalar>>,
    pub(super) pull_to: Option<Spanned<Scalar>>,
    pub(super) builder: Option<Spanned<Scalar>>,
    pub(super) strategy: Option<Spanned<Scalar>>,
    pub(super) publish: Option<Spanned<Scalar>>,
    pub(super) publish_address: Option<Spanned<Scalar>>,
    pub(super) backend_timeout: Option<Spanned<Scalar>>,
    pub(super) probe_interval: Option<Spanned<Scalar>>,
    pub(super) list_interval: Option<Spanned<Scalar>>,
    pub(super) run_expiry: Option<Spanned<Scalar>>,
    pub(super) body_limit: Option<Spanned<Scalar>>,
    pub(super) grace: Option<Spanned<Scalar>>,
    pub(super) log: Option<Spanned<Scalar>>,
    #[serde(default)]
    pub(super) backend: Vec<Backend>,
    #[serde(default)]
    pub(super) plugin: Vec<Plugin>,
    #[serde(default)]
    pub(super) network_driver: BTreeMap<String, Driver>,
    #[serde(default)]
    pub(super) volume_driver: BTreeMap<String, Driver>,
}

/// One `[network_driver.NAME]` or `[volume_driver.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Driver {
    #[serde(default)]
    pub(super) flocker: DriverTraits,
}

/// What a driver's objects are to the flock.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriverTraits {
    #[serde(default)]
    pub(super) shared: bool,
}

/// One `[[backend]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backend {
    pub(super) name: Option<Spanned<Scalar>>,
    pub(super) address: Spanned<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, Spanned<Scalar>>,
}

/// One `[[plugin]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) path: Spanned<String>,
    pub(super) name: Option<Spanned<Scalar>>,
    pub(super) instance: Option<Spanned<Scalar>>,
    pub(super) on_failure: Option<Spanned<Scalar>>,
    #[serde(default)]
    pub(super) shadow: bool,
    pub(super) timeout: Option<Spanned<Scalar>>,
    pub(super) memory: Option<Spanned<Scalar>>,
    pub(super) instances: Option<Spanned<Scalar>>,
    pub(super) headers: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) http: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) env: Vec<Spanned<String>>,
    pub(super) dir: Option<Spanned<Scalar>>,
    pub(super) clocks: Option<Spanned<Scalar>>,
    pub(super) random: Option<Spanned<Scalar>>,
    #[serde(default)]
    pub(super) config: toml::Table,
}

/// A text or a whole number, as text.
#[derive(Debug)]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }
}

/// The file's path and text, to say where something stands.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: String,
    /// Where its keys are described, as a hint.
    pub(super) manual: &'static str,
}

impl<'a> Source<'a> {
    /// Reads the file; `origin` is a hint for when there is none.
    pub(super) fn open(
        path: &'a Path,
        origin: &'static str,
        manual: &'static str,
    ) -> Result<Self, Problem> {
        let text = fs::read_to_string(path)
            .map_err(|e| Problem::new(format!("cannot read {}: {e}", path.display()), origin))?;
        Ok(Self { path, text, manual })
    }

    /// Understands the text.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(&self.text).map_err(|e| self.explain(&e))
    }

    /// Returns `file:line:column` of a span, counted from 1.
    pub(super) fn at(&self, span: Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    fn explain(&self, error: &toml::de::Error) -> Problem {
        let place = self.at(error.span().unwrap_or_default());
        match unknown_key(error.message()) {
            Some((key, known)) => Problem::new(
                format!("{place}: unknown key \"{key}\""),
                nearest(key, &known),
            ),
            None => Problem::new(
                format!("{place}: {}", error.message().replace('\n', ", ")),
                self.manual,
            ),
        }
    }
}

/// Takes the unknown key and the known ones out of serde's sentence.
pub(super) fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message
        .strip_prefix("unknown field `")?
        .split('`')
        .step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn nearest(key: &str, known: &[&str]) -> String {
    let similarity = |other: &str| strsim::normalized_damerau_levenshtein(key, other);
    let best = known
        .iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .filter(|other| similarity(other) >= SIMILAR);
    match best {
        Some(other) => format!("did you mean \"{other}\"?"),
        None => format!("the keys here are {}", known.join(", ")),
    }
}
