//! The plugins that ask a service: backends from Consul's catalog, credentials from Vault's secrets.

use serde_json::{Value, json};

use crate::{
    eventually,
    harness::{FakeDocker, Flockerd, Registry, Web, container, flock},
    plugins::entry,
};

/// Where Consul has the service `docker`.
const CATALOG: &str = "v1/catalog/service/docker";

/// The catalog's row of a host.
fn row(name: &str, fake: &FakeDocker, zone: &str) -> Value {
    let (host, port) = fake.address.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    json!({
        "ID": "40e4a748-2192-161a-0510-9bf59fe950b5",
        "Node": name,
        "Address": host,
        "Datacenter": "dc1",
        "NodeMeta": {"rack": "1"},
        "ServiceID": "docker",
        "ServiceName": "docker",
        "ServiceAddress": "",
        "ServiceMeta": {"zone": zone},
        "ServicePort": port,
    })
}

fn over_consul(web: &Web, settings: &str) -> Flockerd {
    let settings = format!("http = [{:?}]\ntimeout = \"10s\"\n{settings}", web.address);
    let url = web.url("");
    let config = format!("{{ url = {url:?}, service = \"docker\" }}");
    Flockerd::builder()
        .toml("list_interval = \"100ms\"")
        .toml(&entry("consul-backends", &settings, &config))
        .env("CONSUL_HTTP_TOKEN", Web::TOKEN)
        .start()
}

/// The hosts of all containers.
fn hosts(flockerd: &Flockerd) -> Vec<String> {
    let list = flockerd.api().get("/containers/json").json();
    let rows = list.as_array().cloned().unwrap_or_default();
    let host = |row: &Value| {
        row["Labels"]["flocker.backend"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut hosts: Vec<String> = rows.iter().map(host).collect();
    hosts.sort();
    hosts
}

#[test]
fn the_flock_is_what_consul_says() {
    let fakes = ['a', 'b', 'c'].map(|id| FakeDocker::with(&[container(id, &[&format!("/{id}")])]));
    let mut web = Web::start();
    let [a, b, c] = &fakes;
    web.put(
        CATALOG,
        &json!([row("a", a, "eu"), row("b", b, "us")]).to_string(),
    );
    let flockerd = over_consul(&web, "env = [\"CONSUL_HTTP_TOKEN\"]");
    eventually!(hosts(&flockerd) == ["a", "b"]);
    let expected = format!("GET /{CATALOG} 200");
    eventually!(web.asked().contains(&expected));

    web.put(
        CATALOG,
        &json!([row("b", b, "us"), row("c", c, "us")]).to_string(),
    );
    eventually!(hosts(&flockerd) == ["b", "c"]);

    web.stop();
    eventually!(flockerd.log().contains("the connection was refused"));
    assert_eq!(hosts(&flockerd), ["b", "c"], "the last list stands");
}

#[test]
fn without_its_token_consul_refuses() {
    let web = Web::start();
    web.put(CATALOG, "[]");
    let flockerd = over_consul(&web, "");
    eventually!(flockerd.log().contains("the answer has status 403"));
    eventually!(!web.asked().is_empty());
    let asked = web.asked();
    assert!(asked.iter().all(|line| line.ends_with(" 403")), "{asked:?}");
}

#[test]
fn flockerd_pulls_with_the_credentials_in_vault() {
    let scope = flock().shared();
    let registry = &flock().registry;
    let web = Web::start();
    let secret = json!({
        "request_id": "1ab", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": {
            "data": {"username": Registry::USER, "password": Registry::PASSWORD},
            "metadata": {"created_time": "2024-01-01T00:00:00Z", "destroyed": false, "version": 3},
        },
    });
    let path = format!("v1/secret/data/registries/{}", registry.address);
    web.put(&path, &secret.to_string());
    let config = format!("{{ url = {:?}, path = \"registries\" }}", web.url(""));
    let settings = format!(
        "timeout = \"10s\"\nhttp = [{:?}]\nenv = [\"VAULT_TOKEN\"]",
        web.address
    );
    let flockerd = Flockerd::over_flock()
        .arg("--pull")
        .arg("proxy")
        .env("VAULT_TOKEN", Web::TOKEN)
        .toml(&entry("vault-login", &settings, &config))
        .start();
    let image = registry.seed(&scope);
    let name = scope.name("from-vault");
    let output = flockerd.docker(&["run", "--name", &name, &image, "echo", "baa"]);
    assert_eq!(output.ok(), "baa");
    eventually!(web.asked().iter().any(|line| line.ends_with(" 200")));
}
