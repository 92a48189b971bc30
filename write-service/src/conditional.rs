//! Conditional requests by RFC 9110: entity tags of documents, `If-Match` and `If-None-Match`.

use axum::http::{
    HeaderMap, HeaderName,
    header::{IF_MATCH, IF_NONE_MATCH},
};
use contracts::envelope::AggregateVersion;

/// The strong entity tag of a document: the revision of its schema and the aggregate's version.
pub(crate) fn etag(revision: u32, version: AggregateVersion) -> String {
    format!("\"{revision}-{version}\"")
}

/// What a request's `If-Match` names.
#[derive(Debug)]
pub(crate) struct IfMatch(String);

impl IfMatch {
    /// The header, if the request has one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        headers.contains_key(IF_MATCH).then(|| Self(joined(headers, IF_MATCH)))
    }

    /// Whether it names this tag. By the strong comparison: a weak tag matches nothing.
    pub(crate) fn names(&self, etag: &str) -> bool {
        self.0.trim() == "*" || tags(&self.0).any(|tag| tag == etag)
    }
}

/// Whether `If-None-Match` says that the client has this tag's document. By the weak comparison.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let list = joined(headers, IF_NONE_MATCH);
    list.trim() == "*" || tags(&list).any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

// The service's own tags hold no commas, so a foreign tag that does can be torn apart without matching one of them.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

fn joined(headers: &HeaderMap, name: HeaderName) -> String {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    lines.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn if_match_compares_strongly() {
        let names = |values: &[&'static str]| IfMatch::of(&headers(&IF_MATCH, values)).map(|it| it.names("\"1-7\""));
        assert_eq!(names(&[]), None);
        for values in [&["\"1-7\""] as &[_], &["*"], &["\"1-6\", \"1-7\""], &["\"1-6\"", "\"1-7\""]] {
            assert_eq!(names(values), Some(true), "{values:?}");
        }
        for values in [&["W/\"1-7\""] as &[_], &["1-7"], &[""], &["\"1-70\""]] {
            assert_eq!(names(values), Some(false), "{values:?}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let known = |values: &[&'static str]| is_known(&headers(&IF_NONE_MATCH, values), "\"1-7\"");
        for values in [&["\"1-7\""] as &[_], &["W/\"1-7\""], &["*"], &["\"1-6\",\"1-7\""]] {
            assert!(known(values), "{values:?}");
        }
        for values in [&[] as &[_], &["\"1-6\""], &["1-7"], &["\"2-7\""]] {
            assert!(!known(values), "{values:?}");
        }
    }
}
