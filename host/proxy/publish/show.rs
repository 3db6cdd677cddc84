//! Answers that show published ports: clients read the flock's address and number instead of the host's.

use serde_json::json;

use super::{Published, bindings::container_port, table::Forward};
use crate::docker::edit;

impl Published {
    /// An inspected container with the flock's ports.
    pub(in crate::proxy) fn show_inspected(&self, id: &str, container: String) -> String {
        let forwards = self.table.forwards(id);
        let settings = edit::member(&container, "NetworkSettings");
        let ports = settings.and_then(|settings| edit::member(settings, "Ports"));
        let (Some(settings), Some(ports), false) = (settings, ports, forwards.is_empty()) else {
            return container;
        };
        let mut shown = ports.to_owned();
        for forward in &forwards {
            let key = format!("{}/tcp", forward.container_port);
            let Some(listed) = edit::member(ports, &key) else {
                continue;
            };
            shown = edit::insert(&shown, &key, &self.bindings_shown(&forwards, &key, listed));
        }
        let settings = edit::insert(settings, "Ports", &shown);
        edit::insert(&container, "NetworkSettings", &settings)
    }

    fn bindings_shown(&self, forwards: &[Forward], key: &str, listed: &str) -> String {
        let number = |item: &str| edit::read::<String>(item, "HostPort")?.parse().ok();
        each(listed, |item| {
            let forward = find(forwards, container_port(key)?, number(item)?)?;
            let item = edit::insert(item, "HostIp", &json!(self.address).to_string());
            Some(edit::insert(
                &item,
                "HostPort",
                &json!(forward.port.to_string()).to_string(),
            ))
        })
    }

    /// A listed container with the flock's ports.
    pub(in crate::proxy) fn show_listed(&self, id: &str, container: String) -> String {
        let forwards = self.table.forwards(id);
        let Some(listed) = edit::member(&container, "Ports").filter(|_| !forwards.is_empty())
        else {
            return container;
        };
        let shown = each(listed, |item| {
            edit::read::<String>(item, "Type").filter(|kind| kind == "tcp")?;
            let (inner, outer) = (
                edit::read(item, "PrivatePort")?,
                edit::read(item, "PublicPort")?,
            );
            let forward = find(&forwards, inner, outer)?;
            let item = edit::insert(item, "IP", &json!(self.address).to_string());
            Some(edit::insert(&item, "PublicPort", &forward.port.to_string()))
        });
        edit::insert(&container, "Ports", &shown)
    }
}

fn find(forwards: &[Forward], container_port: u16, host_port: u16) -> Option<&Forward> {
    let same = |forward: &&Forward| {
        (forward.container_port, forward.host_port) == (container_port, host_port)
    };
    forwards.iter().find(same)
}

/// Changes items of an array. Those that become the same are one, as the two of a port for IPv4 and IPv6 do.
fn each(array: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let Ok(items) = edit::items(array) else {
        return array.to_owned();
    };
    let mut shown: Vec<String> = Vec::new();
    for item in items {
        let item = change(item).unwrap_or_else(|| item.to_owned());
        if !shown.contains(&item) {
            shown.push(item);
        }
    }
    edit::array(shown.iter().map(String::as_str))
}
