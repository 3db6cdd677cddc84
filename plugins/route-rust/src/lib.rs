//! The example `route`: the container's label `flocker.constraint`, `zone==eu` or `zone!=eu`, limits the backends; of
//! those left, the one with the fewest containers that run or are about to gets it, a tie goes by name.

use flocker_plugin::{Backend, Container, Decision, Error, Route, flock, route};

const LABEL: &str = "flocker.constraint";

struct Example;

impl Route for Example {
    fn place(request: route::Request) -> Result<Decision, Error> {
        let container = request.body.map(|body| Container::parse(&body));
        let container = container.transpose()?;
        let expression = container.as_ref().and_then(|found| found.label(LABEL));
        let constraint = expression.map(Constraint::parse).transpose()?;
        let candidates = flock::backends();
        let fits = |backend: &&Backend| constraint.as_ref().is_none_or(|one| one.met_by(backend));
        // They come ordered by name, and the first of equals is taken.
        let best = candidates.iter().filter(fits).min_by_key(|one| one.load());
        match (best, expression) {
            (Some(backend), _) => Ok(Decision::to(&backend.name)),
            (None, None) => Ok(Decision::no_opinion()),
            (None, Some(expression)) => {
                Err(Error::refuse(409, format!("no backend meets {expression}")))
            }
        }
    }
}

struct Constraint<'a> {
    key: &'a str,
    equal: bool,
    value: &'a str,
}

impl<'a> Constraint<'a> {
    /// The first operator counts: a value may contain another.
    fn parse(expression: &'a str) -> Result<Self, Error> {
        let split = |operator| expression.split_once(operator);
        let (key, equal, value) = match (split("=="), split("!=")) {
            (Some((key, value)), other)
                if other.is_none_or(|(later, _)| key.len() < later.len()) =>
            {
                (key, true, value)
            }
            (_, Some((key, value))) => (key, false, value),
            _ => ("", false, ""),
        };
        if key.is_empty() {
            let message =
                format!("the label {LABEL} is `{expression}`, not `key==value` or `key!=value`");
            return Err(Error::refuse(400, message));
        }
        Ok(Self { key, equal, value })
    }

    /// A label that is absent is not equal to anything.
    fn met_by(&self, backend: &Backend) -> bool {
        (backend.label(self.key) == Some(self.value)) == self.equal
    }
}

flocker_plugin::export!(Example: Route);
