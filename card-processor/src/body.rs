//! Reading a request: its key and its body, bounded in size and time.

use std::time::Duration;

use axum::{
    RequestExt,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{fields::Key, problem::Problem};

/// The longest body that is read, in bytes.
pub(crate) const LIMIT: usize = 16 * 1024;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body, read as `T`.
pub(crate) struct Body<T>(pub(crate) T);

/// What is asked for under a key.
pub(crate) struct Keyed<T>(pub(crate) Key, pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let detail = "Send application/json, without a content encoding.";
            return Err(Problem::new(status, "unsupported-media-type", "Unsupported media type", detail));
        }
        parse(&bytes(request).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Keyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let key = key(request.headers())?;
        let Body(body) = Body::from_request(request, state).await?;
        Ok(Self(key, body))
    }
}

fn key(headers: &HeaderMap) -> Result<Key, Problem> {
    let mut lines = headers.get_all("idempotency-key").iter();
    let key = match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok().and_then(|text| Key::try_from(text.to_owned()).ok()),
        _ => None,
    };
    key.ok_or_else(|| {
        let detail = "The header Idempotency-Key has to be there once, with 1 to 255 visible ASCII characters.";
        Problem::new(StatusCode::BAD_REQUEST, "idempotency-key", "Idempotency-Key missing or unusable", detail)
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = text(header::CONTENT_TYPE).and_then(|value| value.split(';').next()).map(str::trim);
    media_type.is_some_and(|value| value.eq_ignore_ascii_case("application/json"))
        && text(header::CONTENT_ENCODING).is_none_or(|value| value.eq_ignore_ascii_case("identity"))
}

async fn bytes(request: Request) -> Result<Bytes, Problem> {
    match tokio::time::timeout(PATIENCE, request.extract::<Bytes, _>()).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("At most {LIMIT} bytes are read.");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large", detail))
        }
        Ok(Err(_)) => Err(Problem::malformed("The body could not be read to its end.")),
        Err(_) => {
            let detail = format!("The body was not there after {} s.", PATIENCE.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "Request timeout", detail))
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        match error.classify() {
            Category::Data => Problem::unprocessable("invalid-fields", "Invalid fields", explained(&path, &error)),
            _ => Problem::malformed(format!("The body cannot be read as JSON: {error}.")),
        }
    })?;
    json.end().map_err(|error| Problem::malformed(format!("The body cannot be read as JSON: {error}.")))?;
    Ok(value)
}

/// What is wrong with a field. Where the parser would repeat the value, which may be a card's number, it is not asked.
fn explained(path: &str, error: &serde_json::Error) -> String {
    let reason = error.to_string();
    match ["invalid type", "invalid value", "invalid length"].iter().any(|repeats| reason.starts_with(repeats)) {
        true => format!("{path}: is of another type than expected, or out of range"),
        false => format!("{path}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Charge;
    use axum::response::IntoResponse;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"cardToken":"tok_visa","amountMinor":7500,"currency":"EUR","reference":"b-1"}"#;

    fn status(text: &str) -> u16 {
        match parse::<Charge>(text.as_bytes()) {
            Ok(_) => 200,
            Err(problem) => problem.into_response().status().as_u16(),
        }
    }

    #[test]
    fn what_is_no_json_is_malformed_and_what_is_no_charge_is_not() {
        assert_eq!(status(GOOD), 200);
        let deep = "[".repeat(10_000);
        for text in ["", "{", "nonsense", &GOOD[1..], &format!("{GOOD}{{}}"), &format!("{{\"cardToken\":{deep}")] {
            assert!([400, 422].contains(&status(text)), "{text:.40}");
        }
        assert_eq!(status(&format!("{GOOD} x")), 400);
        for (from, to) in [
            ("}", r#","tip":1}"#),
            ("}", r#","amountMinor":1}"#),
            (r#""currency":"EUR","#, ""),
            ("7500", "0"),
            ("7500", "-1"),
            ("7500", "75.5"),
            ("7500", "\"7500\""),
            ("EUR", "euro"),
            ("tok_visa", "4242424242424242"),
            ("\"b-1\"", "null"),
        ] {
            assert_eq!(status(&GOOD.replace(from, to)), 422, "{from} -> {to}");
        }
    }

    #[test]
    fn a_card_number_is_not_repeated() {
        for value in ["4242424242424242", "\"4242424242424242\"", "[4242424242424242]"] {
            let text = GOOD.replace("\"tok_visa\"", value);
            let problem = parse::<Charge>(text.as_bytes()).err().unwrap();
            assert!(!format!("{problem:?}").contains("4242"), "{problem:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse::<Charge>(&bytes);
        }
    }
}
