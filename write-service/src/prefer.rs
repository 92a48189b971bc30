//! `Prefer` by RFC 7240: whether a client wants to wait for what comes of its command, and for how long.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A request ends after ten seconds; a wait has to end well before.
const LONGEST: u64 = 8;

/// What a request prefers, as far as it means something here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// `wait=N`, in seconds; as long as is possible when it is longer.
    wait: Option<u64>,
    /// `respond-async`: an answer at once.
    is_async: bool,
}

impl Prefer {
    /// The preferences of a request. One that cannot be read is ignored, as the RFC has it; of two the first counts.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        for preference in lines.flat_map(|line| line.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "wait" => prefer.wait = prefer.wait.or(value.parse().ok().map(|wait: u64| wait.min(LONGEST))),
                "respond-async" if value.is_empty() => prefer.is_async = true,
                _ => {}
            }
        }
        prefer
    }

    /// Whether the client waits.
    pub(crate) fn is_to_wait(self) -> bool {
        self.wait.is_some()
    }

    /// Until when it waits: not at all, unless it says so.
    pub(crate) fn deadline(self) -> Instant {
        Instant::now() + Duration::from_secs(self.wait.unwrap_or(0))
    }

    /// Says in an answer what was done about it.
    pub(crate) fn applied(self, headers: &mut HeaderMap) {
        let text = match self.wait {
            Some(wait) => format!("wait={wait}"),
            None if self.is_async => "respond-async".to_owned(),
            None => return,
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(APPLIED, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefer(lines: &[&'static str]) -> Prefer {
        Prefer::of(&lines.iter().map(|line| (PREFER, HeaderValue::from_static(line))).collect())
    }

    #[test]
    fn a_wait_is_read_and_bounded_and_what_cannot_be_read_is_ignored() {
        let wait = |lines| prefer(lines).wait;
        assert_eq!(wait(&["wait=5"]), Some(5));
        assert_eq!(wait(&["respond-async, Wait = \"5\"; x=1"]), Some(5));
        assert_eq!(wait(&["wait=1", "wait=2"]), Some(1));
        assert_eq!(wait(&["wait=100000"]), Some(LONGEST));
        for line in [&["wait"], &["wait=-1"], &["wait=1.5"], &["wait=soon"], &["handling=lenient"], &[""]] {
            assert_eq!(wait(line), None, "{line:?}");
        }
    }

    #[test]
    fn an_answer_says_what_was_done() {
        let said = |lines| {
            let mut headers = HeaderMap::new();
            prefer(lines).applied(&mut headers);
            headers.get(APPLIED).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(said(&["wait=20"]).as_deref(), Some("wait=8"));
        assert_eq!(said(&["respond-async"]).as_deref(), Some("respond-async"));
        assert_eq!(said(&["respond-async, wait=0"]).as_deref(), Some("wait=0"));
        assert_eq!(said(&[]), None);
    }
}
