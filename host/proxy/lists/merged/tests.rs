//! How a merged list of containers reads.

use http_body_util::BodyExt;
use serde_json::Value;

use super::*;

/// What is listed of the answers of backends `n0`, `n1` and so on.
async fn listed(answers: &[&str], limit: usize) -> String {
    let mut merged = Merged::default();
    for (nth, answer) in answers.iter().enumerate() {
        let body = Bytes::copy_from_slice(answer.as_bytes());
        merged
            .take(&format!("n{nth}"), body, |_| true, |_, _| None)
            .unwrap();
    }
    let body = merged.body(limit);
    let promised = body.size_hint().exact();
    let whole = body.collect().await.unwrap().to_bytes();
    assert_eq!(promised, Some(whole.len() as u64));
    String::from_utf8(whole.to_vec()).unwrap()
}

#[tokio::test]
async fn listed_containers_tell_their_backend() {
    for (item, expected) in [
        (
            r#"{"Id":"aaaa","Names":["/web","/other/web"],"Labels":{"a":"b"},"X":1.50}"#,
            r#"{"Id":"aaaa","Names":["/web","/other/web","/web@n0"],"Labels":{"a":"b","flocker.backend":"n0"},"X":1.50}"#,
        ),
        (
            r#"{"Labels":null,"Id":"0123456789abcdef","Names":[]}"#,
            r#"{"Labels":{"flocker.backend":"n0"},"Id":"0123456789abcdef","Names":["/0123456789ab@n0"]}"#,
        ),
        (
            r#"{"Id":"a"}"#,
            r#"{"Id":"a","Names":["/a@n0"],"Labels":{"flocker.backend":"n0"}}"#,
        ),
        (
            r#"{"Names":null,"Id":"a","Labels":{ }}"#,
            r#"{"Names":["/a@n0"],"Id":"a","Labels":{ "flocker.backend":"n0"}}"#,
        ),
        (
            r#"{"Id":"a","Names":[ "/q\"\\" ],"Labels":{"x":"flocker.backend","flocker.backend":"old","y":"z"}}"#,
            r#"{"Id":"a","Names":[ "/q\"\\" ,"/q\"\\@n0"],"Labels":{"x":"flocker.backend","flocker.backend":"n0","y":"z"}}"#,
        ),
    ] {
        let whole = format!("[{item}]");
        assert_eq!(listed(&[&whole], 9).await, format!("[{expected}]"));
    }
}

#[tokio::test]
async fn the_newest_comes_first_and_each_once() {
    let one = r#"[{"Id":"c","Created":1},{"Id":"b","Created":3}]"#;
    let two = r#"[{"Id":"d"},{"Id":"a","Created":3},{"Id":"c","Created":1}]"#;
    let ids = async |limit| -> String {
        let list: Vec<Value> =
            serde_json::from_str(&listed(&[one, "null", two], limit).await).unwrap();
        list.iter().filter_map(|one| one["Id"].as_str()).collect()
    };
    assert_eq!(ids(9).await, "abcd");
    assert_eq!(ids(2).await, "ab");
    assert_eq!(listed(&[], 9).await, "[]");
    assert_eq!(listed(&["[]\n", "null"], 9).await, "[]");
}

#[tokio::test]
async fn a_long_list_is_written_in_pieces() {
    let label = "x".repeat(1000);
    let items: Vec<_> = (0..500)
        .map(|nth| format!(r#"{{"Id":"{nth:04}","Created":7,"Labels":{{"l":"{label}"}}}}"#))
        .collect();
    let whole = listed(&[&format!("[{}]", items.join(","))], 499).await;
    let list: Vec<Value> = serde_json::from_str(&whole).unwrap();
    assert_eq!(list.len(), 499);
    assert_eq!(list[498]["Id"], "0498");
    assert_eq!(list[498]["Names"][0], "/0498@n0");
}

#[tokio::test]
async fn what_is_shown_instead_is_marked_too() {
    let mut merged = Merged::default();
    let body = Bytes::from_static(br#"[{"Id":"a","Created":1},{"Id":"b","Created":2}]"#);
    let show = |id: &str, one: &str| (id == "b").then(|| one.replace('2', "9"));
    merged.take("n1", body, |_| true, show).unwrap();
    let whole = merged.body(9).collect().await.unwrap().to_bytes();
    let list: Vec<Value> = serde_json::from_slice(&whole).unwrap();
    let expected = [("b", 9, "/b@n1"), ("a", 1, "/a@n1")];
    for (one, (id, created, name)) in list.iter().zip(expected) {
        assert_eq!((&one["Id"], &one["Created"]), (&id.into(), &created.into()));
        assert_eq!(one["Names"][0], name);
    }
}

#[test]
fn a_list_of_something_else_is_the_backends_fault() {
    for text in [
        "{}",
        "[{}]",
        r#"[{"Id":7}]"#,
        r#"[{"Id":"a","Created":"x"}]"#,
        r#"[{"Id":"a"}"#,
    ] {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let taken = Merged::default().take("n1", body, |_| true, |_, _| None);
        assert!(
            matches!(taken, Err(Error::BadAnswer { backend, .. }) if backend == "n1"),
            "{text}"
        );
    }
}
