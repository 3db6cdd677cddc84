//! Names that belong to one test, and the removal of what bears them.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;

use super::real_flock::{Node, flock};

/// One test's share of the real hosts, had from `flock().shared()` or `flock().exclusive()`: every container, network, volume and image whose name begins with its prefix, or
/// that bears its label, goes when this does.
pub(crate) struct Scope {
    prefix: String,
}

impl Scope {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            prefix: format!("t{}x{count}", std::process::id()),
        }
    }

    /// A name no other test uses.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// What its names begin with, before a hyphen.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `test=...`, for `--label` and `--filter label=...`.
    pub(crate) fn label(&self) -> String {
        format!("test={}", self.prefix)
    }

    fn clean(&self, node: &Node) {
        let api = node.api();
        for container in list(node, "/containers/json?all=1", "") {
            if self.owns(&container["Names"]) || container["Labels"]["test"] == *self.prefix {
                api.delete(&format!(
                    "/containers/{}?force=1&v=1",
                    text(&container["Id"])
                ));
            }
        }
        for network in list(node, "/networks", "")
            .iter()
            .filter(|network| self.owns(&network["Name"]))
        {
            api.delete(&format!("/networks/{}", text(&network["Id"])));
        }
        for volume in list(node, "/volumes", "Volumes")
            .iter()
            .filter(|volume| self.owns(&volume["Name"]))
        {
            api.delete(&format!("/volumes/{}?force=1", text(&volume["Name"])));
        }
        for image in list(node, "/images/json", "") {
            for tag in image["RepoTags"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|tag| self.owns(tag))
            {
                api.delete(&format!("/images/{}?force=1", text(tag)));
            }
        }
    }

    /// Whether a name, or one of a list of names, is the test's.
    fn owns(&self, names: &Value) -> bool {
        let own = format!("{}-", self.prefix);
        match names {
            Value::Array(names) => names.iter().any(|name| text(name).contains(&own)),
            name => text(name).contains(&own),
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let clean = AssertUnwindSafe(|| flock().nodes.iter().for_each(|node| self.clean(node)));
        // A second panic while a failed test unwinds would end the whole run.
        if let Err(panic) = panic::catch_unwind(clean)
            && !thread::panicking()
        {
            panic::resume_unwind(panic);
        }
    }
}

fn list(node: &Node, path: &str, key: &str) -> Vec<Value> {
    let reply = node.api().get(path).json();
    let list = if key.is_empty() { &reply } else { &reply[key] };
    list.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
