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

    /// A listed container with the flock's ports; none when nothing of it is forwarded.
    pub(in crate::proxy) fn show_listed(&self, id: &str, container: &str) -> Option<String> {
        let forwards = self.table.forwards(id);
        if forwards.is_empty() {
            return None;
        }
        let listed = edit::member(container, "Ports")?;
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
        Some(edit::insert(container, "Ports", &shown))
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        inventory::{Inventory, Timing},
        proxy::splice::Pipes,
        shutdown::Shutdown,
        state::{StateStore, memory::Memory},
    };

    /// With what is remembered of one container: its port 80, which is 8080 on its host and 9000 on the flock.
    async fn published() -> Published {
        let state = Arc::new(Memory::new());
        let record =
            r#"{"backend":"n1","forwards":[{"container_port":80,"host_port":8080,"port":9000}]}"#;
        state
            .set("publish/aaaa", record.as_bytes(), None)
            .await
            .unwrap();
        let timing = Timing {
            timeout: Duration::from_secs(1),
            probe_interval: Duration::from_secs(1),
        };
        let inventory = Arc::new(Inventory::new(timing, Arc::default(), Shutdown::new()));
        let address = "10.0.0.9".parse().unwrap();
        Published::open(address, inventory, state, Shutdown::new(), Pipes::new())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn an_inspected_container_shows_the_flocks_ports() {
        let published = published().await;
        let before = r#"{"Id":"aaaa","NetworkSettings":{"X":1.50,"Ports":{"7/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}],"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"80/udp":[{"HostIp":"0.0.0.0","HostPort":"8080"}],"9/tcp":null}},"Z":0}"#;
        let after = before.replace(
            r#"[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]"#,
            r#"[{"HostIp":"10.0.0.9","HostPort":"9000"}]"#,
        );
        assert_eq!(published.show_inspected("aaaa", before.to_owned()), after);
        assert_eq!(published.show_inspected("bbbb", before.to_owned()), before);
        for odd in ["", "{}", r#"{"NetworkSettings":{"Ports":null}}"#] {
            assert_eq!(published.show_inspected("aaaa", odd.to_owned()), odd);
        }
    }

    #[tokio::test]
    async fn a_listed_container_shows_the_flocks_ports() {
        let published = published().await;
        let before = r#"{"Id":"aaaa","Ports":[{"PrivatePort":9,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"udp"},{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"}],"Z":0}"#;
        let after = r#"{"Id":"aaaa","Ports":[{"PrivatePort":9,"Type":"tcp"},{"IP":"10.0.0.9","PrivatePort":80,"PublicPort":9000,"Type":"tcp"},{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"udp"}],"Z":0}"#;
        assert_eq!(
            published.show_listed("aaaa", before).as_deref(),
            Some(after)
        );
        assert_eq!(published.show_listed("bbbb", before), None);
        assert_eq!(published.show_listed("aaaa", "{}"), None);
    }
}
