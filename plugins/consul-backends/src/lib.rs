//! Lists the backends that are registered as a service in Consul.
//!
//! ```toml
//! [[plugin]]
//! path = "consul_backends.wasm"
//! http = ["consul.internal:8500"]
//! env = ["CONSUL_HTTP_TOKEN"]         # if Consul asks for one
//! [plugin.config]
//! url = "http://consul.internal:8500"
//! service = "docker"
//! ```
//!
//! A backend has the name of its node. Its labels are the node's and the service's meta, those of the service winning.

use std::{collections::BTreeMap, env};

use flocker_plugin::{Error, List, config, http, list::Entry};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    service: String,
}

/// An instance of a service, as `GET /v1/catalog/service/{service}` tells it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: String,
    /// The node's.
    address: String,
    /// The service's own; empty: the node's.
    #[serde(default)]
    service_address: String,
    service_port: u16,
    node_meta: Option<BTreeMap<String, String>>,
    service_meta: Option<BTreeMap<String, String>>,
}

struct ConsulBackends;

impl List for ConsulBackends {
    fn backends() -> Result<Vec<Entry>, Error> {
        let Config { url, service } = config::table()?;
        let (url, service) = (url.trim_end_matches('/'), http::escape(&service));
        let mut request = http::get(format!("{url}/v1/catalog/service/{service}"));
        if let Ok(token) = env::var("CONSUL_HTTP_TOKEN") {
            request = request.header("X-Consul-Token", token);
        }
        let instances: Vec<Instance> = request.send()?.success()?.json()?;
        Ok(instances.into_iter().map(Entry::from).collect())
    }
}

flocker_plugin::export!(ConsulBackends: List);

impl From<Instance> for Entry {
    fn from(instance: Instance) -> Self {
        let host = match instance.service_address.as_str() {
            "" => &instance.address,
            own => own,
        };
        let mut labels = instance.node_meta.unwrap_or_default();
        labels.extend(instance.service_meta.unwrap_or_default());
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        Self {
            address: format!("tcp://{host}:{}", instance.service_port),
            name: instance.node,
            labels: labels.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use flocker_plugin::{http::Response, testing::Flock};
    use serde_json::json;

    use super::*;

    const ASKED: &str = "GET http://consul:8500/v1/catalog/service/docker";

    fn flock(answer: Response) -> Flock {
        let table = json!({"url": "http://consul:8500/", "service": "docker"});
        Flock::new().config(table).answer(ASKED, answer)
    }

    #[test]
    fn the_instances_of_the_service_become_backends() {
        let catalog = json!([
            {
                "Node": "node1", "Address": "10.0.0.1", "ServiceAddress": "", "ServicePort": 2375,
                "NodeMeta": {"zone": "eu", "rack": "7"}, "ServiceMeta": {"zone": "us"}, "Datacenter": "dc1",
            },
            {"Node": "node2", "Address": "10.0.0.2", "ServiceAddress": "fd00::2", "ServicePort": 2376, "NodeMeta": null},
        ]);
        let mut flock = flock(Response::new(200, catalog.to_string()));
        let expected = vec![
            Entry::new("node1", "tcp://10.0.0.1:2375")
                .label("rack", "7")
                .label("zone", "us"),
            Entry::new("node2", "tcp://[fd00::2]:2376"),
        ];
        assert_eq!(flock.call(ConsulBackends::backends), Ok(expected));
        assert_eq!(flock.requests().len(), 1);
    }

    #[test]
    fn an_answer_that_is_no_catalog_fails() {
        for (answer, expected) in [
            (Response::new(403, "ACL not found"), "403: ACL not found"),
            (Response::new(200, "<html>"), "cannot read the json"),
        ] {
            let said = flock(answer).call(ConsulBackends::backends);
            assert!(
                matches!(&said, Err(Error::Failed(reason)) if reason.contains(expected)),
                "{said:?}"
            );
        }
    }
}
