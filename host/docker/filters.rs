//! The `filters` of a query, in either form: `{"k":{"v":true}}` of Go clients, `{"k":["v"]}` of others.

use serde_json::{Map, Value};

use super::{edit, query::Query};

/// The values of one filter.
pub fn values(filters: &str, name: &str) -> Vec<String> {
    match edit::read::<Value>(filters, name) {
        Some(Value::Object(values)) => values
            .into_iter()
            .filter(|(_, on)| on == true)
            .map(|(value, _)| value)
            .collect(),
        Some(Value::Array(values)) => values
            .into_iter()
            .filter_map(|value| Some(value.as_str()?.to_owned()))
            .collect(),
        Some(Value::String(value)) => vec![value],
        _ => Vec::new(),
    }
}

/// Takes those values of one filter out of a query that `wanted` is true for; the rest stays as it came.
pub fn take(query: &mut Query, name: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let filters = query.get("filters").unwrap_or_default().into_owned();
    let (taken, left): (Vec<_>, Vec<_>) = values(&filters, name)
        .into_iter()
        .partition(|value| wanted(value));
    if taken.is_empty() {
        return taken;
    }
    let mut all: Map<String, Value> = serde_json::from_str(&filters).unwrap_or_default();
    match left.is_empty() {
        true => drop(all.remove(name)),
        false => drop(all.insert(name.to_owned(), Value::from(left))),
    }
    *query = match all.is_empty() {
        true => query.without("filters"),
        false => query.with("filters", &Value::Object(all).to_string()),
    };
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_in_every_form() {
        assert_eq!(
            values(r#"{"before":{"x":true,"y":false}}"#, "before"),
            ["x"]
        );
        assert_eq!(values(r#"{"before":["x"]}"#, "before"), ["x"]);
        assert_eq!(values(r#"{"label":"x"}"#, "label"), ["x"]);
        assert!(values("", "before").is_empty());
    }

    #[test]
    fn what_is_taken_is_gone_and_the_rest_stays() {
        let query = |filters: &str| Query("all=1".into()).with("filters", filters);
        for (filters, taken, left) in [
            (r#"{"label":["x","y"]}"#, vec!["x"], r#"{"label":["y"]}"#),
            (
                r#"{"label":{"x":true},"id":["a"]}"#,
                vec!["x"],
                r#"{"id":["a"]}"#,
            ),
            (r#"{"label":["x"]}"#, vec!["x"], ""),
            (r#"{"label":{"y":true}}"#, vec![], r#"{"label":{"y":true}}"#),
        ] {
            let mut query = query(filters);
            assert_eq!(take(&mut query, "label", |value| value == "x"), taken);
            assert_eq!(query.get("filters").unwrap_or_default(), left);
            assert_eq!(query.get("all").as_deref(), Some("1"));
        }
    }
}
