//! How a merged list of containers reads, and how much of it is held.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::stream::{self, StreamExt};
use http_body_util::StreamBody;
use serde_json::Value;

use super::*;
use crate::{
    backend::Backend,
    proxy::lists::{Cut, incoming::View},
};

const PATIENCE: Duration = Duration::from_secs(5);
/// Enough for all that is not about windows.
const WINDOW: usize = 1 << 20;

fn backend(name: &str) -> Arc<Backend> {
    let address = "tcp://127.0.0.1:1".parse().unwrap();
    Arc::new(Backend::new(name, address, Vec::new(), PATIENCE))
}

/// A body that comes in parts, and perhaps breaks off then.
fn body(parts: Vec<Result<Bytes, BodyError>>) -> Body {
    let frames = stream::iter(parts).map(|part| part.map(Frame::data));
    StreamBody::new(frames).boxed_unsync()
}

/// The parts of a text, of this length.
fn parts(text: &str, length: usize) -> Vec<Result<Bytes, BodyError>> {
    let parts = text.as_bytes().chunks(length);
    parts.map(|part| Ok(Bytes::copy_from_slice(part))).collect()
}

/// The list of one backend, and what of it is there when the answer begins.
async fn incoming(name: &str, body: Body, view: View, window: usize) -> Result<Incoming, Error> {
    let list = Incoming::new(backend(name), body, Arc::new(view));
    list.fill(window).await
}

/// The body of what the backends `n0`, `n1` and so on answer in parts of a length.
async fn merged(answers: &[&str], limit: usize, length: usize, window: usize) -> Body {
    let mut lists = Vec::new();
    for (nth, answer) in answers.iter().enumerate() {
        let body = body(parts(answer, length));
        let name = format!("n{nth}");
        let list = incoming(&name, body, View::default(), window).await;
        lists.push(list.unwrap());
    }
    Merged::new(lists, limit, PATIENCE).body()
}

async fn text(body: Body) -> String {
    let whole = body.collect().await.unwrap().to_bytes();
    String::from_utf8(whole.to_vec()).unwrap()
}

/// What is listed of the answers of backends `n0`, `n1` and so on, however they come.
async fn listed(answers: &[&str], limit: usize) -> String {
    let at_once = merged(answers, limit, usize::MAX, WINDOW).await;
    let promised = at_once.size_hint().exact();
    let whole = text(at_once).await;
    assert_eq!(promised, Some(whole.len() as u64));
    for length in [1, 7, 64, 100] {
        assert_eq!(
            text(merged(answers, limit, length, WINDOW).await).await,
            whole
        );
    }
    whole
}

fn ids(list: &str) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(list).unwrap();
    let id = |one: &Value| one["Id"].as_str().unwrap().to_owned();
    list.iter().map(id).collect()
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
    let answers = [one, "null", two];
    let all = text(merged(&answers, 9, usize::MAX, WINDOW).await).await;
    assert_eq!(ids(&all).concat(), "abcd");
    let two = text(merged(&answers, 2, usize::MAX, WINDOW).await).await;
    assert_eq!(ids(&two).concat(), "ab");
    assert_eq!(listed(&[], 9).await, "[]");
    assert_eq!(listed(&["[]\n", "null"], 9).await, "[]");
}

/// A list of containers of about 1 KB, created at these times.
fn list(prefix: &str, created: impl Iterator<Item = u64>) -> String {
    let label = "x".repeat(1000);
    let items: Vec<_> = created
        .map(|at| {
            format!(r#"{{"Id":"{prefix}{at:04}","Created":{at},"Labels":{{"l":"{label}"}}}}"#)
        })
        .collect();
    format!("[{}]", items.join(","))
}

#[tokio::test]
async fn a_long_list_is_written_in_pieces_while_it_comes() {
    let (even, odd) = (
        list("a", (0..500).rev().map(|nth| 2 * nth)),
        list("b", (0..500).rev().map(|nth| 2 * nth + 1)),
    );
    for length in [300, 10_000, 70_000] {
        let body = merged(&[&even, &odd], 999, length, 20_000).await;
        assert_eq!(body.size_hint().exact(), None);
        let whole = text(body).await;
        let expected = (1..1000).rev().map(|at| match at % 2 {
            0 => format!("a{at:04}"),
            _ => format!("b{at:04}"),
        });
        assert_eq!(ids(&whole), expected.collect::<Vec<_>>(), "{length}");
        assert!(whole.contains(r#""Names":["/a0998@n0"]"#));
    }
}

#[tokio::test]
async fn a_list_out_of_order_comes_whole_and_what_is_listed_twice_once() {
    let mixed = list("a", (0..300).map(|nth| nth * 7 % 300));
    let sorted = list("b", (0..300).rev());
    // The last name stands for the same daemon as the first.
    let body = merged(&[&mixed, &sorted, &mixed], 9_999, 3_000, 3_000).await;
    let mut found = ids(&text(body).await);
    found.sort();
    let expected = ["a", "b"].map(|prefix| (0..300).map(move |at| format!("{prefix}{at:04}")));
    assert_eq!(found, expected.into_iter().flatten().collect::<Vec<_>>());
}

#[tokio::test]
async fn no_list_is_read_further_than_a_window() {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = |text: String| {
        let read = read.clone();
        let parts = stream::iter(parts(&text, 4_000)).map(move |part| {
            read.fetch_add(4_000, Ordering::Relaxed);
            part.map(Frame::data)
        });
        StreamBody::new(parts).boxed_unsync()
    };
    // All of the first host's are older than all of the others'.
    let mut lists = Vec::new();
    for nth in 0..20 {
        let created = (0..200).rev().map(|at| at + 200 * nth.min(1));
        let body = counted(list(&format!("{nth:02}"), created));
        let list = incoming("n", body, View::default(), 8_000);
        lists.push(list.await.unwrap());
    }
    assert!(read.load(Ordering::Relaxed) <= 20 * 12_000);
    let mut body = Merged::new(lists, usize::MAX, PATIENCE).body();
    let mut written = 0;
    while let Some(frame) = body.frame().await {
        written += frame.unwrap().into_data().unwrap().len();
        let ahead = read.load(Ordering::Relaxed).saturating_sub(written);
        assert!(ahead <= 20 * 12_000, "{ahead} bytes are held");
    }
    assert!(written > 20 * 200_000);
}

#[tokio::test]
async fn a_list_that_breaks_off_breaks_all_off() {
    let whole = list("a", (0..1000).rev());
    let mut broken = parts(&list("b", (0..1000).rev()), 10_000);
    broken.truncate(50);
    broken.push(Err("reset".into()));
    let lists = [body(parts(&whole, 10_000)), body(broken)];
    let lists = lists.map(|body| incoming("n1", body, View::default(), 10_000));
    let lists = futures_util::future::try_join_all(lists).await.unwrap();
    let broken = Merged::new(lists, usize::MAX, PATIENCE).body().collect();
    let error = broken.await.unwrap_err().to_string();
    assert!(error.contains("n1") && error.contains("reset"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_is_not_waited_for_longer_than_the_patience() {
    let mut first = parts(&list("a", (900..1000).rev()), 10_000);
    first.truncate(5);
    let hangs = stream::iter(first).chain(stream::pending());
    let hangs = hangs.map(|part| part.map(Frame::data));
    let list = incoming(
        "n1",
        StreamBody::new(hangs).boxed_unsync(),
        View::default(),
        10_000,
    );
    let lists = vec![list.await.unwrap()];
    let begun = Instant::now();
    let broken = Merged::new(lists, usize::MAX, PATIENCE).body().collect();
    let error = broken.await.unwrap_err().to_string();
    assert!(error.contains("no answer within 5s"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test]
async fn what_is_shown_instead_is_marked_too() {
    let answer = r#"[{"Id":"a","Created":1},{"Id":"b","Created":2},{"Id":"c","Created":3}]"#;
    let view = View {
        cuts: vec![Cut {
            created: 3,
            before: true,
        }],
        show: Some(Box::new(|id, one| {
            (id == "b").then(|| one.replace('2', "9"))
        })),
    };
    let list = incoming("n1", body(parts(answer, 9)), view, WINDOW).await;
    let whole = text(Merged::new(vec![list.unwrap()], 9, PATIENCE).body()).await;
    let list: Vec<Value> = serde_json::from_str(&whole).unwrap();
    assert_eq!(list.len(), 2);
    let expected = [("b", 9, "/b@n1"), ("a", 1, "/a@n1")];
    for (one, (id, created, name)) in list.iter().zip(expected) {
        assert_eq!((&one["Id"], &one["Created"]), (&id.into(), &created.into()));
        assert_eq!(one["Names"][0], name);
    }
}

#[tokio::test]
async fn a_list_of_something_else_is_the_backends_fault() {
    let long = format!(r#"[{{"Id":"{}"}}]"#, "a".repeat(200));
    for text in [
        &long,
        "{}",
        "[{}]",
        r#"[{"Id":7}]"#,
        r#"[{"Id":"a","Created":"x"}]"#,
        r#"[{"Id":"a"}"#,
        r#"[{"Id":"a"}] x"#,
    ] {
        for length in [1, 4, 100] {
            let body = body(parts(text, length));
            let list = incoming("n1", body, View::default(), WINDOW).await;
            assert!(
                matches!(list, Err(Error::BadAnswer { backend, .. }) if backend == "n1"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_that_does_not_end_is_given_up() {
    let blanks = Bytes::from(vec![b' '; 1 << 20]);
    let endless = stream::iter([Bytes::from("[")]).chain(stream::repeat(blanks));
    let frames = endless.map(|part| Ok(Frame::data(part)));
    let body = StreamBody::new(frames).boxed_unsync();
    let list = incoming("n1", body, View::default(), WINDOW).await;
    let error = list.err().unwrap().to_string();
    assert!(error.contains("does not end"), "{error}");
}
