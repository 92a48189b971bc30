//! The header `Idempotency-Key`: the client's name for one command, however often it sends it.

use axum::http::{HeaderMap, StatusCode};
use uuid::Uuid;

use crate::problem::Problem;

/// The header's name, in lower case.
pub(crate) const HEADER: &str = "idempotency-key";

/// The longest key, in characters.
const LONGEST: usize = 255;

/// 1 to 255 visible ASCII characters. `"abc"`, the structured field that the draft asks for, and `abc`, which most clients
/// send, are the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of a command, which has to have one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut lines = headers.get_all(HEADER).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(if headers.contains_key(HEADER) { invalid("is there more than once") } else { missing() });
        };
        let text = line.to_str().map_err(|_| invalid(EXPECTED))?.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => unquoted(rest).ok_or_else(|| invalid("begins with a quote but is no quoted string"))?,
            None => text.to_owned(),
        };
        let valid = (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if valid { Ok(Self(key)) } else { Err(invalid(EXPECTED)) }
    }

    /// The key of a command that came as a message: its id.
    pub(crate) fn of_message(id: Uuid) -> Self {
        Self(id.to_string())
    }

    /// The key's text, without the quotes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

const EXPECTED: &str = "has to have 1 to 255 visible ASCII characters, without blanks";

/// What stands before the closing quote of a structured field's string (RFC 8941), which has to be the last character.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(key),
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            character => key.push(character),
        }
    }
}

fn invalid(reason: &str) -> Problem {
    Problem::invalid_header("Idempotency-Key", reason)
}

fn missing() -> Problem {
    let detail = "A command needs the header Idempotency-Key: 1 to 255 visible characters that no other command of yours \
                  has, such as a new UUID. Send the same key when you send the same command again.";
    Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-missing", "Idempotency-Key missing", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn key(lines: &[&str]) -> Option<String> {
        let lines = lines.iter().map(|line| (HEADER.parse().unwrap(), HeaderValue::from_str(line).unwrap()));
        Key::of(&lines.collect()).ok().map(|key| key.0)
    }

    #[test]
    fn a_key_is_the_same_with_quotes_and_without() {
        for line in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
            assert_eq!(key(&[line]).as_deref(), Some("8e03978e-40d5-43dd-bc93-6894a57f9324"));
        }
        assert_eq!(key(&[r#""a\"b\\c""#]).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(key(&[r#"a"b\c"#]).as_deref(), Some(r#"a"b\c"#));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(256);
        for line in ["", " ", "\"\"", "\"", "\"a", "\"a\"b", "\"a\";v=1", "\"a b\"", "a b", r#""a\b""#, "ä", &long] {
            assert_eq!(key(&[line]), None, "{line:?}");
        }
        assert_eq!(key(&[]), None);
        assert_eq!(key(&["a", "a"]), None);
        assert!(key(&[&long[1..]]).is_some());
    }

    proptest! {
        #[test]
        fn any_visible_key_can_be_quoted(text in "[!-~]{1,120}") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(key(&[&quoted]), Some(text));
        }
    }
}
