//! `GET /images/json`: every backend's list as one, one row an image.

use std::{cmp::Reverse, collections::BTreeMap};

use http::{Method, Response, StatusCode};
use serde::Deserialize;

use crate::{
    docker::{Body, call::Call, edit, filters, message, query::Query, reference::Reference},
    error::Error,
    proxy::{Proxy, Turn, forward, images, items, lists::Cut, target},
};

/// What grouping reads of a listed image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    #[serde(default)]
    created: i64,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    #[serde(default = "unknown")]
    containers: i64,
}

fn unknown() -> i64 {
    -1
}

impl Proxy {
    /// `GET /images/json` of all backends, one row an image.
    pub(in crate::proxy) async fn image_list(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let cuts = self.image_cuts(turn, &mut call.query).await?;
        let mut answers = self.ask_lists(turn, &mut call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut images: BTreeMap<String, (Image, &str, bool)> = BTreeMap::new();
        for (backend, body) in &answers.ok {
            let text = items::text(&backend.name, body)?;
            for item in items::scan(&backend.name, text, [])? {
                let item = item.span.within(text);
                let image: Image = items::read(&backend.name, item)?;
                if !cuts.iter().all(|cut| cut.keeps(image.created)) {
                    continue;
                }
                match images.get_mut(&image.id) {
                    Some((known, _, changed)) => *changed |= known.join(image),
                    None => drop(images.insert(image.id.clone(), (image, item, false))),
                }
            }
        }
        let mut rows: Vec<_> = images.into_values().collect();
        rows.sort_by(|(a, ..), (b, ..)| {
            (Reverse(a.created), &a.id).cmp(&(Reverse(b.created), &b.id))
        });
        let texts: Vec<String> = rows
            .into_iter()
            .map(|(image, item, changed)| image.write(item, changed))
            .collect();
        let text = edit::array(texts.iter().map(String::as_str));
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    /// Takes `before` and `since` out of a query: they name an image that some backends do not know.
    async fn image_cuts(&self, turn: &Turn, query: &mut Query) -> Result<Vec<Cut>, Error> {
        let mut cuts = Vec::new();
        for (name, before) in [("before", true), ("since", false)] {
            for reference in filters::take(query, name, |_| true) {
                let created = self.image_created(turn, &reference).await?;
                cuts.push(Cut { created, before });
            }
        }
        Ok(cuts)
    }

    /// When an image was created, in seconds since the epoch, as lists tell it.
    async fn image_created(&self, turn: &Turn, reference: &str) -> Result<i64, Error> {
        let backend = self.image(turn, reference).await?;
        let inspected = target::inspect(turn, &backend, &images::path(reference)).await?;
        let id: Option<String> = inspected.and_then(|image| edit::read(&image, "Id"));
        let missing = || {
            let name = Reference::parse(reference).familiar();
            Error::refused(StatusCode::NOT_FOUND, format!("No such image: {name}"))
        };
        let id = id.ok_or_else(missing)?;
        let request = forward::own(turn, Method::GET, "/images/json", "all=1")?;
        let (_, body) = target::read(backend.send(request).await?, &backend).await?;
        let listed = items::parse(&backend.name, &body)?.into_iter();
        let same = |item: &&str| edit::read::<String>(item, "Id").as_ref() == Some(&id);
        let created = listed
            .filter(same)
            .find_map(|item| edit::read(item, "Created"));
        created.ok_or_else(missing)
    }
}

impl Image {
    /// Unites another backend's row of the same image with this one; true when this changed anything.
    fn join(&mut self, other: Self) -> bool {
        let before = (
            self.repo_tags.clone(),
            self.repo_digests.clone(),
            self.containers,
        );
        unite(&mut self.repo_tags, other.repo_tags);
        unite(&mut self.repo_digests, other.repo_digests);
        if other.containers >= 0 {
            self.containers = self.containers.max(0) + other.containers;
        }
        before
            != (
                self.repo_tags.clone(),
                self.repo_digests.clone(),
                self.containers,
            )
    }

    fn write(&self, item: &str, changed: bool) -> String {
        if !changed {
            return item.to_owned();
        }
        let list = |list: &Option<Vec<String>>| serde_json::json!(list).to_string();
        let item = edit::insert(item, "RepoTags", &list(&self.repo_tags));
        let item = edit::insert(&item, "RepoDigests", &list(&self.repo_digests));
        edit::insert(&item, "Containers", &self.containers.to_string())
    }
}

/// Unites two lists of references; `<none>` stands only where nothing else does.
fn unite(into: &mut Option<Vec<String>>, from: Option<Vec<String>>) {
    let Some(from) = from else { return };
    let list = into.get_or_insert_default();
    for reference in from {
        if !list.contains(&reference) {
            list.push(reference);
        }
    }
    if list.iter().any(|reference| !reference.contains("<none>")) {
        list.retain(|reference| !reference.contains("<none>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_on_two_backends_is_one_row() {
        let mut image: Image =
            serde_json::from_str(r#"{"Id":"x","RepoTags":["<none>:<none>"],"Containers":-1}"#)
                .unwrap();
        let other: Image =
            serde_json::from_str(r#"{"Id":"x","RepoTags":["a:1"],"Containers":2}"#).unwrap();
        assert!(image.join(other));
        assert_eq!(image.repo_tags.unwrap(), ["a:1"]);
        assert_eq!(image.containers, 2);
    }
}
