//! Reading a command's body as JSON: bounded, of the right media type, and without anything that two readers could
//! understand in two ways.

use std::{fmt, time::Duration};

use axum::{
    RequestExt,
    body::Bytes,
    extract::{Request, rejection::BytesRejection},
    http::{StatusCode, header},
};
use serde::{
    Deserialize,
    de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::problem::Problem;

/// The longest body that is read, in bytes.
pub(crate) const LIMIT: usize = 64 * 1024;

/// Whether a body has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has.
    Required,
    /// It may be left out, which means `{}`.
    Optional,
}

/// Reads the body of a command.
pub(crate) async fn read(request: Request, presence: Presence) -> Result<Value, Problem> {
    let is_json = is_json(&request);
    let bytes = bytes(request).await?;
    if bytes.is_empty() && presence == Presence::Optional {
        return Ok(Value::Object(Map::new()));
    }
    parse(&bytes, is_json)
}

fn is_json(request: &Request) -> bool {
    let value = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let media_type = value(header::CONTENT_TYPE).and_then(|text| text.split(';').next()).map(str::trim);
    let encoding = value(header::CONTENT_ENCODING).unwrap_or("identity");
    media_type.is_some_and(|text| text.eq_ignore_ascii_case("application/json"))
        && encoding.eq_ignore_ascii_case("identity")
}

/// How long a body may take to arrive: shorter than the time that a request has in all.
const PATIENCE: Duration = Duration::from_secs(5);

async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(PATIENCE, request.extract::<Bytes, _>()).await.map_err(|_| {
        let detail = format!("The body was not there after {} s. Nothing was done.", PATIENCE.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "Request timeout", detail)
    })?;
    read.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(inner) if inner.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            format!("At most {LIMIT} bytes are read."),
        ),
        _ => malformed("The body could not be read to its end."),
    })
}

fn parse(bytes: &[u8], is_json: bool) -> Result<Value, Problem> {
    if !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Unsupported media type",
            "Send application/json, without a content encoding.",
        ));
    }
    match serde_json::from_slice(bytes) {
        Ok(Unambiguous(value)) => Ok(value),
        Err(error) => Err(malformed(&format!("The body cannot be read as JSON: {error}."))),
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-body", "Malformed body", detail)
}

/// A JSON value in which no object has the same name twice. (Depth is bounded by the parser.)
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read).map(Self)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = entries.next_entry::<String, Unambiguous>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("an object has the same name twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<Value> {
        parse(text.as_bytes(), true).ok()
    }

    #[test]
    fn takes_json_and_nothing_else() {
        assert_eq!(
            parsed(r#"{"a":[1,-2,0.5,"b",null,true]}"#),
            Some(serde_json::json!({"a": [1, -2, 0.5, "b", null, true]}))
        );
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{}{}", "{'a':1}", "{\"a\":1,}", "\u{feff}{}", "NaN", "1e999", r#""\ud800""#, &deep] {
            assert_eq!(parsed(text), None, "{text:.20}");
        }
    }

    #[test]
    fn refuses_an_object_that_says_a_thing_twice() {
        assert_eq!(parsed(r#"{"a":1,"a":2}"#), None);
        assert_eq!(parsed(r#"[{"b":{"a":1,"\u0061":1}}]"#), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse(&bytes, true);
        }
    }
}
