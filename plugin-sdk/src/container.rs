//! A container's configuration, the body of `POST /containers/create`: what is often read and changed has a name,
//! everything else survives untouched.

use std::fmt;

use serde_json::{Map, Value};

use crate::Error;

/// A container's configuration as JSON, with accessors in the words of the Docker Engine API.
///
/// Field names are found in any case, as Docker's daemon finds them. Converts into JSON text, so it can be returned:
/// `Ok(Some(container.into()))`.
///
/// ```
/// # use flocker_plugin::Container;
/// let mut container = Container::parse(r#"{"Image":"nginx","HostConfig":{"Memory":1024},"New":[1]}"#)?;
/// assert_eq!(container.host().memory(), 1024);
/// container.set_env("ZONE", "eu");
/// container.set_label("team", "web");
/// assert_eq!(
///     container.to_string(),
///     r#"{"Env":["ZONE=eu"],"HostConfig":{"Memory":1024},"Image":"nginx","Labels":{"team":"web"},"New":[1]}"#,
/// );
/// # Ok::<(), flocker_plugin::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Container(Map<String, Value>);

impl Container {
    /// Reads a create body.
    pub fn parse(json: &str) -> Result<Self, Error> {
        Ok(Self(serde_json::from_str(json)?))
    }

    /// Reads the answer of an inspect, of a container or of an image: its `Config`, and its `HostConfig` if it has one.
    pub fn inspected(json: &str) -> Result<Self, Error> {
        let mut answer: Map<String, Value> = serde_json::from_str(json)?;
        let Some(Value::Object(mut config)) = answer.remove("Config") else {
            return Err(Error::fail("the inspect answer has no `Config`"));
        };
        if let Some(host) = answer.remove("HostConfig") {
            config.insert("HostConfig".into(), host);
        }
        Ok(Self(config))
    }

    /// Returns a field that has no accessor of its own.
    pub fn field(&self, name: &str) -> Option<&Value> {
        field(&self.0, name)
    }

    /// Sets a field.
    pub fn set_field(&mut self, name: &str, value: impl Into<Value>) {
        *slot(&mut self.0, name) = value.into();
    }

    /// Returns the image reference as the client wrote it.
    pub fn image(&self) -> Option<&str> {
        self.field("Image")?.as_str()
    }

    pub fn set_image(&mut self, reference: &str) {
        self.set_field("Image", reference);
    }

    /// Returns the command, empty when the image's own is meant.
    pub fn cmd(&self) -> Vec<&str> {
        strings(self.field("Cmd"))
    }

    pub fn set_cmd<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) {
        self.set_field("Cmd", list(words));
    }

    /// Returns the entrypoint, empty when the image's own is meant.
    pub fn entrypoint(&self) -> Vec<&str> {
        strings(self.field("Entrypoint"))
    }

    pub fn set_entrypoint<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) {
        self.set_field("Entrypoint", list(words));
    }

    /// Returns the environment, `NAME=value` each; without `=` the entry removes a variable of the image.
    pub fn env(&self) -> Vec<&str> {
        strings(self.field("Env"))
    }

    /// Returns the value of a variable; the last entry counts, as in the container.
    pub fn env_value(&self, name: &str) -> Option<&str> {
        let entries = self.env().into_iter().rev();
        let mut values = entries.filter_map(|entry| entry.split_once('='));
        values.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Sets a variable, replacing every entry of that name.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.retain_env(|entry| entry.split('=').next() != Some(name));
        let mut entries: Vec<String> = self.env().into_iter().map(Into::into).collect();
        entries.push(format!("{name}={value}"));
        self.set_field("Env", entries);
    }

    /// Keeps the entries of the environment that `keep` says yes to.
    pub fn retain_env(&mut self, mut keep: impl FnMut(&str) -> bool) {
        if let Some(Value::Array(entries)) = field_mut(&mut self.0, "Env") {
            entries.retain(|entry| entry.as_str().is_none_or(&mut keep));
        }
    }

    /// Returns the labels, sorted by name.
    pub fn labels(&self) -> Vec<(&str, &str)> {
        let labels = self.field("Labels").and_then(Value::as_object);
        let entries = labels.into_iter().flatten();
        let texts = entries.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        texts.collect()
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.field("Labels")?.get(name)?.as_str()
    }

    pub fn set_label(&mut self, name: &str, value: &str) {
        let labels = object(slot(&mut self.0, "Labels"));
        labels.insert(name.into(), value.into());
    }

    pub fn remove_label(&mut self, name: &str) {
        if let Some(Value::Object(labels)) = field_mut(&mut self.0, "Labels") {
            labels.remove(name);
        }
    }

    /// Returns `HostConfig`: what the container asks of its host.
    pub fn host(&self) -> Host<'_> {
        Host(self.field("HostConfig").and_then(Value::as_object))
    }

    /// Sets a field of `HostConfig`.
    pub fn set_host_field(&mut self, name: &str, value: impl Into<Value>) {
        let host = object(slot(&mut self.0, "HostConfig"));
        *slot(host, name) = value.into();
    }
}

/// What a container asks of its host: `HostConfig`.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a>(Option<&'a Map<String, Value>>);

impl<'a> Host<'a> {
    /// Returns a field that has no accessor of its own.
    pub fn field(self, name: &str) -> Option<&'a Value> {
        field(self.0?, name)
    }

    pub fn privileged(self) -> bool {
        self.field("Privileged") == Some(&Value::Bool(true))
    }

    /// Returns the binds: `/host/path:/container/path:ro`, `volume:/container/path`.
    pub fn binds(self) -> Vec<&'a str> {
        strings(self.field("Binds"))
    }

    /// Returns `bridge`, `host`, `none`, `container:<id>` or a network's name.
    pub fn network_mode(self) -> Option<&'a str> {
        self.field("NetworkMode")?.as_str()
    }

    /// Returns the memory limit in bytes; 0 is none.
    pub fn memory(self) -> i64 {
        self.number("Memory")
    }

    /// Returns the CPU limit in billionths of a CPU; 0 is none.
    pub fn nano_cpus(self) -> i64 {
        self.number("NanoCpus")
    }

    /// Returns the capabilities added: `NET_ADMIN`.
    pub fn cap_add(self) -> Vec<&'a str> {
        strings(self.field("CapAdd"))
    }

    fn number(self, name: &str) -> i64 {
        self.field(name).and_then(Value::as_i64).unwrap_or(0)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl From<Container> for String {
    fn from(container: Container) -> Self {
        container.to_string()
    }
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(&spelling(object, name))
}

fn field_mut<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    let key = spelling(object, name);
    object.get_mut(&key)
}

fn slot<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    let key = spelling(object, name);
    object.entry(key).or_insert(Value::Null)
}

/// Finds how the client spelt a field.
fn spelling(object: &Map<String, Value>, name: &str) -> String {
    let mut keys = object.keys();
    let found = match object.contains_key(name) {
        true => None,
        false => keys.find(|key| key.eq_ignore_ascii_case(name)),
    };
    found.map_or(name, String::as_str).into()
}

/// Makes an object of what may be null.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value
        .as_object_mut()
        .expect("it has just been made an object")
}

/// Reads what Docker writes as a list of strings or as one string.
fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn list<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Value {
    let words = words.into_iter().map(|word| Value::String(word.into()));
    Value::Array(words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Container {
        Container::parse(json).expect("test data is json")
    }

    #[test]
    fn what_has_no_accessor_survives() {
        let json = r#"{"Healthcheck":{"Interval":9007199254740993},"HostConfig":{"New":null},"Ulimit":[1.5]}"#;
        assert_eq!(parse(json).to_string(), json);
    }

    #[test]
    fn the_environment_is_set_once_and_read_last() {
        let mut container = parse(r#"{"Env":["A=1","B=x=y","A=2","C"]}"#);
        assert_eq!(container.env_value("A"), Some("2"));
        assert_eq!(container.env_value("B"), Some("x=y"));
        assert_eq!(container.env_value("C"), None);
        container.set_env("A", "3");
        assert_eq!(container.env(), ["B=x=y", "C", "A=3"]);
        container.retain_env(|entry| entry != "C");
        assert_eq!(container.env(), ["B=x=y", "A=3"]);
    }

    #[test]
    fn fields_that_are_null_or_absent_are_made() {
        for json in ["{}", r#"{"Labels":null,"Env":null,"HostConfig":null}"#] {
            let mut container = parse(json);
            assert_eq!(container.label("a"), None);
            container.set_label("a", "1");
            container.set_env("B", "2");
            container.set_host_field("Memory", 3);
            assert_eq!(container.labels(), [("a", "1")]);
            assert_eq!(container.env(), ["B=2"]);
            assert_eq!(container.host().memory(), 3);
            container.remove_label("a");
            assert!(container.labels().is_empty());
        }
    }

    #[test]
    fn fields_are_found_as_the_client_spelt_them() {
        let mut container = parse(r#"{"image":"a","hostconfig":{"privileged":true}}"#);
        assert_eq!(container.image(), Some("a"));
        assert!(container.host().privileged());
        container.set_image("b");
        container.set_host_field("Privileged", false);
        let expected = r#"{"hostconfig":{"privileged":false},"image":"b"}"#;
        assert_eq!(container.to_string(), expected);
    }

    #[test]
    fn a_command_may_be_one_word_or_several() {
        let mut container = parse(r#"{"Cmd":"sh","Entrypoint":["tini","--"]}"#);
        assert_eq!(container.cmd(), ["sh"]);
        assert_eq!(container.entrypoint(), ["tini", "--"]);
        container.set_cmd(["ls", "-l"]);
        assert_eq!(container.cmd(), ["ls", "-l"]);
    }

    #[test]
    fn an_inspect_answer_is_read_like_a_create() {
        let json = r#"{"Id":"1","Config":{"Env":["A=1"]},"HostConfig":{"Binds":["/a:/b"],"NetworkMode":"host",
            "NanoCpus":5,"CapAdd":["ALL"]}}"#;
        let container = Container::inspected(json).expect("test data is json");
        assert_eq!(container.env(), ["A=1"]);
        let host = container.host();
        assert_eq!((host.binds(), host.cap_add()), (vec!["/a:/b"], vec!["ALL"]));
        assert_eq!((host.network_mode(), host.nano_cpus()), (Some("host"), 5));
        assert!(Container::inspected("{}").is_err());
    }

    #[test]
    fn what_is_not_an_object_is_no_configuration() {
        for json in ["", "[]", "null", "{"] {
            assert!(Container::parse(json).is_err(), "{json}");
        }
    }
}
