//! From an HTTP request to a GraphQL request, or the reason why it is none.

use async_graphql::Variables;
use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
};
use contracts::ReadAfter;
use serde::Deserialize;

use super::{body, query_string};
use crate::graphql::{Awaited, Code, Operation};

/// Why an HTTP request is no GraphQL request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    pub(super) fn not_acceptable() -> Self {
        let message = "only application/graphql-response+json and application/json can be answered";
        Self::new(StatusCode::NOT_ACCEPTABLE, Code::BadRequest, message)
    }
}

/// The parameters of a request, as the specification names them. Others are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// Reserved for implementors; none are known here.
    #[serde(default, rename = "extensions")]
    _extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

pub(super) async fn read(request: Request) -> Result<Operation, Refusal> {
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
    Ok(Operation {
        query: parameters.query,
        // An empty name, as some clients send it, is none.
        name: parameters.operation_name.filter(|name| !name.is_empty()),
        variables: Variables::from_json(parameters.variables.unwrap_or_default().into()),
        read_after,
        only_query,
        may_see_personal: true,
    })
}

fn awaited(headers: &HeaderMap) -> Result<Vec<Awaited>, Refusal> {
    let refuse = |message| Refusal::new(StatusCode::BAD_REQUEST, Code::BadUserInput, message);
    let mut texts = Vec::new();
    for value in headers.get_all(ReadAfter::HEADER) {
        texts.push(value.to_str().map_err(|_| refuse("Read-After: not ASCII".to_owned()))?);
    }
    Awaited::read(texts).map_err(|error| refuse(error.message))
}

/// `application/json`, in UTF-8.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |message: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::BadRequest, message);
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
    // A list would be taken for the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::bad("the body is no GraphQL request: expected a JSON object; batches are not offered"));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body is no GraphQL request: {error}")))
}

fn of_url(query: &str) -> Result<Parameters, Refusal> {
    let mut parameters = Parameters { query: String::new(), operation_name: None, variables: None, _extensions: None };
    let mut seen = Vec::new();
    for (name, value) in query_string::read(query).map_err(|error| Refusal::bad(error.to_string()))? {
        let json = |value: &str| match value {
            "" => Ok(None),
            _ => serde_json::from_str(value).map_err(|error| Refusal::bad(format!("{name}: {error}"))),
        };
        match name.as_str() {
            _ if seen.contains(&name) => return Err(Refusal::bad(format!("{name} is given twice"))),
            "query" => parameters.query = value,
            "operationName" => parameters.operation_name = Some(value),
            "variables" => parameters.variables = json(&value)?,
            "extensions" => parameters._extensions = json(&value)?,
            _ => continue,
        }
        seen.push(name);
    }
    if parameters.query.is_empty() {
        return Err(Refusal::bad("the parameter query is missing"));
    }
    Ok(parameters)
}
