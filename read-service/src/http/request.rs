//! From an HTTP request to a GraphQL request, or the reason why it is none.

use async_graphql::Variables;
use auth::Denied;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use contracts::ReadAfter;
use serde::{Deserialize, de::DeserializeOwned};

use super::{body, object::Object, query_string};
use crate::graphql::{Awaited, Code, Hash, Operation};

/// Why an HTTP request is no GraphQL request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) message: String,
    /// What says how it would be one.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let code = match denied {
            Denied::Missing | Denied::Malformed(_) | Denied::Invalid(_) => Code::Unauthenticated,
            Denied::Insufficient(_) => Code::Forbidden,
            Denied::Unavailable => Code::Unavailable,
        };
        let header = denied.challenge().map(|challenge| (header::WWW_AUTHENTICATE, challenge));
        Self { header, ..Self::new(denied.status(), code, denied.to_string()) }
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    pub(super) fn no_place() -> Self {
        let message = "as many subscribers are connected as may be; try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
    }

    pub(super) fn not_acceptable() -> Self {
        let message =
            "only application/graphql-response+json, application/json and, by POST, text/event-stream can be answered";
        Self::new(StatusCode::NOT_ACCEPTABLE, Code::BadRequest, message)
    }
}

/// The parameters of a request, as the specification names them. Others are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    /// May be left out where its hash is given.
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
    /// Reserved for implementors. Others than these are ignored.
    #[serde(default)]
    extensions: Option<Object<Extensions>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    #[serde(default)]
    persisted_query: Option<Object<PersistedQuery>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQuery {
    version: u32,
    sha256_hash: String,
}

impl PersistedQuery {
    fn hash(&self) -> Result<Hash, Refusal> {
        if self.version != 1 {
            return Err(Refusal::bad("extensions.persistedQuery.version: only 1 is known"));
        }
        let digit = |place: usize| u8::from_str_radix(self.sha256_hash.get(2 * place..2 * place + 2)?, 16).ok();
        let digits: Option<Vec<u8>> = (0..32).map(digit).collect();
        digits
            .filter(|_| self.sha256_hash.len() == 64)
            .and_then(|digits| digits.try_into().ok())
            .ok_or_else(|| Refusal::bad("extensions.persistedQuery.sha256Hash: expected 64 hexadecimal digits"))
    }
}

/// Reads a request of somebody who may see what says something of persons, or may not.
pub(super) async fn read(request: Request, may_see_personal: bool) -> Result<Operation, Refusal> {
    let only_query = request.method() != Method::POST;
    let read_after = awaited(request.headers())?;
    let parameters = match *request.method() {
        Method::GET | Method::HEAD => of_url(request.uri().query().unwrap_or_default())?,
        Method::POST => {
            check_content_type(request.headers())?;
            of_body(&body::read(request.into_body()).await?)?
        }
        _ => {
            let message = "GraphQL is served by GET and POST";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message));
        }
    };
    Ok(Operation { read_after, only_query, ..parameters.operation(may_see_personal)? })
}

impl Parameters {
    /// The request of somebody who may see what says something of persons, or may not.
    pub(super) fn operation(self, may_see_personal: bool) -> Result<Operation, Refusal> {
        let persisted = self.extensions.unwrap_or_default().0.persisted_query;
        let hash = persisted.map(|Object(persisted)| persisted.hash()).transpose()?;
        if self.query.is_none() && hash.is_none() {
            return Err(Refusal::bad("the parameter query is missing"));
        }
        Ok(Operation {
            query: self.query.unwrap_or_default(),
            hash,
            // An empty name, as some clients send it, is none.
            name: self.operation_name.filter(|name| !name.is_empty()),
            variables: self.variables,
            read_after: Vec::new(),
            only_query: false,
            may_see_personal,
        })
    }
}

fn awaited(headers: &HeaderMap) -> Result<Vec<Awaited>, Refusal> {
    let refuse = |message| Refusal::new(StatusCode::BAD_REQUEST, Code::BadUserInput, message);
    let mut texts = Vec::new();
    for value in headers.get_all(ReadAfter::HEADER) {
        texts.push(value.to_str().map_err(|_| refuse("Read-After: not ASCII".to_owned()))?);
    }
    Awaited::read(texts).map_err(|error| refuse(error.message))
}

/// `application/json`, in UTF-8, as it is.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |message: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::BadRequest, message);
    let is_itself = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_itself) {
        let header = Some((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        return Err(Refusal { header, ..refuse("a body without a Content-Encoding is taken".to_owned()) });
    }
    let Some(content_type) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return Err(refuse("Content-Type is missing: application/json is taken".to_owned()));
    };
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return Err(refuse("only Content-Type application/json is taken".to_owned()));
    }
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim().eq_ignore_ascii_case("charset") && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            return Err(refuse("only UTF-8 is taken".to_owned()));
        }
    }
    Ok(())
}

fn of_body(body: &[u8]) -> Result<Parameters, Refusal> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::bad("the body is no GraphQL request: expected a JSON object; batches are not offered"));
    }
    match serde_json::from_slice(body) {
        Ok(Object(parameters)) => Ok(parameters),
        Err(error) => Err(Refusal::bad(format!("the body is no GraphQL request: {error}"))),
    }
}

fn of_url(query: &str) -> Result<Parameters, Refusal> {
    let mut parameters =
        Parameters { query: None, operation_name: None, variables: Variables::default(), extensions: None };
    let mut seen = Vec::new();
    for (name, value) in query_string::read(query).map_err(|error| Refusal::bad(error.to_string()))? {
        match name.as_str() {
            _ if seen.contains(&name) => return Err(Refusal::bad(format!("{name} is given twice"))),
            "query" => parameters.query = Some(value).filter(|text| !text.is_empty()),
            "operationName" => parameters.operation_name = Some(value),
            "variables" => parameters.variables = json(&name, &value)?.unwrap_or_default(),
            "extensions" => parameters.extensions = json(&name, &value)?,
            _ => continue,
        }
        seen.push(name);
    }
    Ok(parameters)
}

/// A parameter of a URL that is JSON; an empty one is none.
fn json<T: DeserializeOwned>(name: &str, value: &str) -> Result<Option<T>, Refusal> {
    match value {
        "" => Ok(None),
        _ => serde_json::from_str(value).map_err(|error| Refusal::bad(format!("{name}: {error}"))),
    }
}
