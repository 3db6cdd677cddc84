//! Places a container where the labels of the backends meet its constraints, as classic Swarm did.
//!
//! Constraints come from the environment, `docker run -e constraint:zone==eu`, and from the label
//! `com.docker.swarm.constraints`, a JSON list of expressions. Those of the environment are taken out of what goes on.
//! An expression is `key==value` or `key!=value`; `key==~value` and `key!=~value` are wishes that give way. The key is
//! a backend's label, or `node`, its name; `*` in a value stands for anything. Regular expressions (`/.../`) are left
//! out and refused. Among the backends that fit, those that meet the most wishes go first, then the least loaded.

use std::{cmp::Reverse, fmt};

use flocker_plugin::{Backend, Container, Decision, Error, Route, flock, route};

const ENV: &str = "constraint:";
const LABEL: &str = "com.docker.swarm.constraints";

struct LabelPlacement;

impl Route for LabelPlacement {
    fn place(request: route::Request) -> Result<Decision, Error> {
        let container = request.subject == route::Subject::Container;
        let Some(body) = request.body.filter(|_| container) else {
            return Ok(Decision::no_opinion());
        };
        let mut container = Container::parse(&body)?;
        let constraints = Constraint::of(&container)?;
        let candidates = flock::backends();
        if constraints.is_empty() || candidates.is_empty() {
            return Ok(Decision::no_opinion());
        }
        let decision = Decision::to(choose(&constraints, &candidates)?);
        let entries = container.env().len();
        container.retain_env(|entry| !entry.starts_with(ENV));
        Ok(match container.env().len() == entries {
            true => decision,
            false => decision.with_body(container),
        })
    }
}

flocker_plugin::export!(LabelPlacement: Route);

/// Returns the name of the best backend that meets every hard constraint.
fn choose(constraints: &[Constraint], backends: &[Backend]) -> Result<String, Error> {
    let (wishes, hard): (Vec<_>, Vec<_>) = constraints.iter().partition(|one| one.soft);
    let fitting = backends
        .iter()
        .filter(|backend| hard.iter().all(|constraint| constraint.met_by(backend)));
    let wishes_met = |backend: &Backend| wishes.iter().filter(|wish| wish.met_by(backend)).count();
    let best = fitting.min_by_key(|backend| (Reverse(wishes_met(backend)), backend.load()));
    best.map(|backend| backend.name.clone())
        .ok_or_else(|| unmet(&hard, backends.len()))
}

/// A conflict with the flock as it is: trying again helps only after the flock or the constraints have changed.
fn unmet(hard: &[&Constraint], looked_at: usize) -> Error {
    let expressions: Vec<String> = hard.iter().map(ToString::to_string).collect();
    let expressions = expressions.join(", ");
    Error::refuse(
        409,
        format!("no backend meets the constraints {expressions}; backends looked at: {looked_at}"),
    )
}

#[derive(Debug, PartialEq)]
struct Constraint {
    key: String,
    equal: bool,
    soft: bool,
    pattern: String,
}

impl Constraint {
    /// Reads the constraints of a container, those of the environment first.
    fn of(container: &Container) -> Result<Vec<Self>, Error> {
        let from_label: Vec<String> = match container.label(LABEL) {
            Some(list) => serde_json::from_str(list).map_err(|error| {
                Error::refuse(
                    400,
                    format!("the label `{LABEL}` is not a JSON list of strings: {error}"),
                )
            })?,
            None => Vec::new(),
        };
        let env = container.env();
        let from_env = env.iter().filter_map(|entry| entry.strip_prefix(ENV));
        let expressions = from_env.chain(from_label.iter().map(String::as_str));
        expressions.map(Self::parse).collect()
    }

    fn parse(expression: &str) -> Result<Self, Error> {
        let wrong = |why| Error::refuse(400, format!("the constraint `{expression}` {why}"));
        // The operator that comes first counts: a value may contain the other.
        let operator = expression
            .char_indices()
            .map(|(at, _)| expression.split_at(at))
            .find(|(_, rest)| rest.starts_with("==") || rest.starts_with("!="));
        let Some((key, rest)) = operator else {
            return Err(wrong("is neither `key==value` nor `key!=value`"));
        };
        let value = &rest[2..];
        let pattern = value.strip_prefix('~').unwrap_or(value);
        if key.trim().is_empty() {
            return Err(wrong("names no label"));
        }
        if pattern.len() > 1 && pattern.starts_with('/') && pattern.ends_with('/') {
            return Err(wrong("is a regular expression; use `*` instead"));
        }
        Ok(Self {
            key: key.trim().into(),
            equal: rest.starts_with("=="),
            soft: value.starts_with('~'),
            pattern: pattern.trim().into(),
        })
    }

    /// A label that is absent is not equal to anything.
    fn met_by(&self, backend: &Backend) -> bool {
        let value = match self.key.as_str() {
            "node" => Some(backend.name.as_str()),
            label => backend.label(label),
        };
        value.is_some_and(|value| fits(&self.pattern, value)) == self.equal
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.equal { "==" } else { "!=" };
        let soft = if self.soft { "~" } else { "" };
        write!(f, "{}{operator}{soft}{}", self.key, self.pattern)
    }
}

/// Returns whether a value fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, value: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == value;
    };
    let Some(mut value) = value.strip_prefix(head) else {
        return false;
    };
    let Some((middle, tail)) = rest.rsplit_once('*') else {
        return value.ends_with(rest);
    };
    for part in middle.split('*') {
        let Some(at) = value.find(part) else {
            return false;
        };
        value = &value[at + part.len()..];
    }
    value.ends_with(tail)
}

#[cfg(test)]
mod tests;
