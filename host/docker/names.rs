//! Names for containers that were given none.
//!
//! Two daemons may invent the same name; one flock must not, so flockerd invents it and passes it on.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

#[rustfmt::skip]
const ADJECTIVES: &[&str] = &[
    "able", "agile", "amber", "ample", "arctic", "ashen", "austere", "balmy", "bold", "brave", "breezy", "bright",
    "brisk", "calm", "candid", "clever", "coastal", "copper", "crisp", "curious", "daring", "deft", "distant", "dusky",
    "eager", "early", "earnest", "easy", "elder", "fabled", "fair", "faithful", "fleet", "fond", "frosty", "gentle",
    "gifted", "glad", "golden", "graceful", "hardy", "hasty", "hidden", "honest", "humble", "icy", "idle", "jolly",
    "keen", "kind", "lively", "lofty", "loyal", "lucid", "lunar", "mellow", "merry", "mighty", "mild", "misty",
    "modest", "nimble", "noble", "northern", "patient", "placid", "plucky", "polar", "proud", "quick", "quiet", "rapid",
    "ready", "rosy", "rustic", "sandy", "serene", "sharp", "silent", "silver", "sleek", "smooth", "snowy", "solar",
    "spry", "steady", "stormy", "sturdy", "sunny", "swift", "tidal", "tidy", "tranquil", "upbeat", "valiant", "vivid",
    "warm", "watchful", "windy", "wise", "witty", "zesty",
];

#[rustfmt::skip]
const BIRDS: &[&str] = &[
    "albatross", "auk", "avocet", "bittern", "blackbird", "bluebird", "bunting", "bustard", "buzzard", "canary",
    "cardinal", "chough", "condor", "coot", "cormorant", "crane", "crossbill", "crow", "cuckoo", "curlew", "dipper",
    "dotterel", "dove", "duck", "dunlin", "dunnock", "eagle", "egret", "eider", "falcon", "fieldfare", "finch",
    "flamingo", "fulmar", "gannet", "godwit", "goldcrest", "goldeneye", "goose", "goshawk", "grebe", "grouse", "gull",
    "harrier", "hawk", "heron", "hobby", "hoopoe", "ibis", "jackdaw", "jay", "kestrel", "kingfisher", "kite", "knot",
    "lapwing", "lark", "linnet", "magpie", "mallard", "martin", "merlin", "nightjar", "nuthatch", "oriole", "osprey",
    "ouzel", "owl", "partridge", "pelican", "petrel", "pheasant", "pintail", "pipit", "plover", "pochard", "puffin",
    "quail", "rail", "raven", "redpoll", "redshank", "redstart", "robin", "rook", "ruff", "sanderling", "sandpiper",
    "shearwater", "shelduck", "shoveler", "shrike", "siskin", "skua", "skylark", "snipe", "sparrow", "spoonbill",
    "starling", "stonechat", "stork", "swallow", "swan", "swift", "teal", "tern", "thrush", "tit", "treecreeper",
    "turnstone", "twite", "wagtail", "warbler", "waxwing", "wheatear", "whimbrel", "whinchat", "whitethroat", "wigeon",
    "woodcock", "woodpecker", "wren", "yellowhammer",
];

/// Invents a name that `taken` does not know; after some tries a number makes it longer.
pub fn invent(taken: impl Fn(&str) -> bool) -> String {
    (0..)
        .map(candidate)
        .find(|name| !taken(name))
        .unwrap_or_default()
}

fn candidate(attempt: usize) -> String {
    let random = random() as usize;
    let adjective = ADJECTIVES[random % ADJECTIVES.len()];
    let bird = BIRDS[random / ADJECTIVES.len() % BIRDS.len()];
    match attempt {
        0..8 => format!("{adjective}_{bird}"),
        _ => format!("{adjective}_{bird}{}", random % (10 * attempt)),
    }
}

/// An id that nobody has, as daemons write theirs.
pub fn invent_id() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// Every `RandomState` has fresh keys from the operating system: randomness enough for a name.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_are_new_and_legal() {
        let mut taken = std::collections::HashSet::new();
        for _ in 0..5000 {
            let name = invent(|name| taken.contains(name));
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{name}"
            );
            assert!(taken.insert(name));
        }
    }
}
