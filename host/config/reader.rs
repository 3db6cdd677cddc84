//! Taking values one by one, with every wrong one noted together with its place.

use std::path::Path;

use toml::Spanned;

use super::{
    Problem,
    file::{Scalar, Source},
};

/// What is wrong, in the order found.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Returns the value, or notes the problem with its place.
    pub(super) fn take<T>(&mut self, place: &str, result: Result<T, Problem>) -> Option<T> {
        result
            .map_err(|problem| self.0.push(problem.at(place)))
            .ok()
    }

    pub(super) fn set<T>(&mut self, slot: &mut T, place: &str, result: Result<T, Problem>) {
        if let Some(value) = self.take(place, result) {
            *slot = value;
        }
    }

    /// Joins all problems into one.
    pub(super) fn none_or_all(self) -> Result<(), Problem> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.0.iter().filter_map(|problem| problem.hint.as_ref()) {
            if !hints.contains(hint) {
                hints.push(hint.clone());
            }
        }
        let messages: Vec<_> = self.0.into_iter().map(|problem| problem.message).collect();
        if messages.is_empty() {
            return Ok(());
        }
        Err(Problem {
            message: messages.join("; "),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
        })
    }
}

/// Takes values out of the file and notes where the wrong ones stand.
pub(super) struct Reader<'a> {
    source: &'a Source<'a>,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source<'a>, problems: &'a mut Problems) -> Self {
        Self { source, problems }
    }

    /// Returns the folder that the paths in the file are relative to.
    pub(super) fn folder(&self) -> &'a Path {
        self.source.path.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn take<T, S: AsRef<str>>(
        &mut self,
        given: &Spanned<S>,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let place = self.source.at(given.span());
        self.problems.take(&place, parse(given.get_ref().as_ref()))
    }

    /// Takes the value if it is given.
    pub(super) fn optional<T>(
        &mut self,
        given: Option<&Spanned<Scalar>>,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        given.and_then(|given| self.take(given, parse))
    }

    /// Replaces `slot` if a value is given.
    pub(super) fn set<T>(
        &mut self,
        slot: &mut T,
        given: Option<&Spanned<Scalar>>,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) {
        if let Some(value) = self.optional(given, parse) {
            *slot = value;
        }
    }

    pub(super) fn list<T>(
        &mut self,
        given: &[Spanned<String>],
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Vec<T> {
        given
            .iter()
            .filter_map(|one| self.take(one, &parse))
            .collect()
    }
}

impl AsRef<str> for Scalar {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
    choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            Problem::new(
                format!("`{text}` has no meaning here"),
                format!("write {}", words.join(" or ")),
            )
        })
}
