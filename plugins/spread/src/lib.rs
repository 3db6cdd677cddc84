//! Places on the backend with the fewest containers that run or are about to; a tie goes to the first by name.

use flocker_plugin::{Decision, Error, Route, flock, route};

struct Spread;

impl Route for Spread {
    fn place(_request: route::Request) -> Result<Decision, Error> {
        let candidates = flock::backends();
        let least = candidates.iter().min_by_key(|backend| backend.load());
        Ok(least.map_or_else(Decision::no_opinion, |backend| Decision::to(&backend.name)))
    }
}

flocker_plugin::export!(Spread: Route);

#[cfg(test)]
mod tests {
    use flocker_plugin::testing;

    use super::*;

    /// Places among backends given as name, running and placing.
    fn place(backends: &[(&str, u32, u32)]) -> Option<String> {
        let mut flock = testing::Flock::new();
        for (name, running, placing) in backends {
            let mut backend = testing::backend(name, *running);
            backend.placing = *placing;
            flock = flock.backend(backend);
        }
        let decision = flock.call(|| Spread::place(testing::create("{}")));
        decision.expect("spread never refuses").backend
    }

    #[test]
    fn the_least_loaded_wins_and_a_tie_goes_by_name() {
        let cases = [
            ([("a", 2, 0), ("b", 1, 0), ("c", 3, 0)], "b"),
            ([("c", 1, 0), ("b", 1, 0), ("a", 2, 0)], "b"),
            ([("a", 1, 2), ("b", 2, 0), ("c", 9, 0)], "b"),
        ];
        for (backends, expected) in cases {
            let placed = place(&backends);
            assert_eq!(placed.as_deref(), Some(expected), "{backends:?}");
        }
        assert_eq!(place(&[]), None);
    }
}
