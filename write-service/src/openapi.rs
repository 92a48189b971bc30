//! `/openapi.json`, an OpenAPI 3.1 document made of the routes that are served, and `/docs`, a page that shows it.

use axum::{
    Router,
    http::{HeaderValue, Method, StatusCode, header},
    response::{Html, IntoResponse},
    routing::get,
};
use schemars::{
    Schema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use crate::{access, body::Presence, context::Context, problem, routes::Operation};

/// The page: it loads nothing but the document beside it.
const PAGE: &str = include_str!("openapi/page.html");

/// What the page may do.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document's and the page's routes.
pub(crate) fn routes(operations: &[(&Context, Operation)], asks_for_tokens: bool) -> Router {
    let document = document(operations, asks_for_tokens).to_string();
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    Router::new()
        .route("/openapi.json", get(async move || (json, document.clone())))
        .route("/docs", get(async move || (policy, Html(PAGE)).into_response()))
}

fn document(operations: &[(&Context, Operation)], asks_for_tokens: bool) -> Value {
    // The contract of what is written: a field that a reader may miss is there all the same.
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.contract = Contract::Serialize;
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for (context, operation) in operations {
        let path = paths.entry(format!("/{}{}", context.name, operation.path)).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = describe(context, operation, &mut schemas);
        if asks_for_tokens {
            guard(context, operation, &mut path[operation.method.as_str().to_ascii_lowercase()]);
        }
    }
    let mut components = schemas.take_definitions(true);
    components.insert("Problem".to_owned(), problem());
    let bearer = json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"});
    let schemes = if asks_for_tokens { json!({"bearer": bearer}) } else { json!({}) };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Waybill's commands",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The hotel's contexts: commands, and documents as they are. Queries are the read service's.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": schemes},
    })
}

fn describe(context: &Context, operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let is_command = operation.method == Method::POST;
    let mut parameters = Vec::new();
    if operation.path.contains("{id}") {
        parameters.push(parameter("path", "id", true, "The id: letters, digits, `.`, `_` and `-`.", 64));
    }
    if is_command {
        parameters.extend([
            parameter("header", "Idempotency-Key", true, KEY, 300),
            parameter(
                "header",
                "Read-After",
                false,
                "Decide only when this context has seen what these tokens name.",
                8192,
            ),
            parameter("header", "X-Correlation-Id", false, "The story that the command belongs to.", 64),
        ]);
        if operation.path.contains("{id}") {
            parameters.push(parameter("header", "If-Match", false, "Only if it is at this entity tag.", 8192));
        }
    } else {
        parameters.push(parameter("header", "If-None-Match", false, "Only if it is not at one of these tags.", 8192));
    }
    if operation.is_awaited {
        parameters.push(parameter("header", "Prefer", false, PREFER, 200));
    }
    let mut described = json!({
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [context.name],
        "parameters": parameters,
        "responses": responses(operation, &(operation.document)(schemas)),
    });
    if let Some((schema, presence)) = &operation.body {
        described["requestBody"] = json!({
            "required": *presence == Presence::Required,
            "content": {"application/json": {"schema": schema}},
        });
    }
    described
}

/// Says which token an operation needs, and what is answered to another.
fn guard(context: &Context, operation: &Operation, described: &mut Value) {
    described["security"] = json!([{"bearer": [access::scope(context.name, &operation.method)]}]);
    for (status, description) in
        [("401", "There is no token, or it is not good here."), ("403", "Its scopes do not allow it.")]
    {
        let challenge = json!({"description": "Why, by RFC 6750.", "required": true, "schema": {"type": "string"}});
        let content = json!({problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}});
        described["responses"][status] =
            json!({"description": description, "headers": {"WWW-Authenticate": challenge}, "content": content});
    }
}

const KEY: &str = "Your name for this command, such as a new UUID: 1 to 255 visible characters, in quotes or without. Sent again \
                   under the same key it is not done again; its first answer is given once more.";

const PREFER: &str = "`wait=N`: to be answered when it is known what has come of it, or after so many seconds, 8 at most. \
                      `respond-async`: to be answered at once, which is so anyway. By RFC 7240.";

fn parameter(place: &str, name: &str, required: bool, description: &str, longest: u32) -> Value {
    let schema = json!({"type": "string", "minLength": 1, "maxLength": longest});
    json!({"in": place, "name": name, "required": required, "description": description, "schema": schema})
}

/// The refusals that any command may get.
const REFUSALS: [(u16, &str); 10] = [
    (400, "A header or the body cannot be read, or the Idempotency-Key is missing."),
    (404, "Nothing has this id."),
    (408, "The body did not arrive in time."),
    (
        409,
        "It contradicts the state of things; or it is under way; or, with Retry-After, something is not known here yet.",
    ),
    (412, "It is not at the entity tag that If-Match names."),
    (413, "The body is too large."),
    (415, "The body is not application/json."),
    (422, "Fields cannot be accepted, and `errors` names each; or the key came with another body before."),
    (500, "A fault of the service."),
    (503, "Something is away; try again under the same key."),
];

fn responses(operation: &Operation, document: &Schema) -> Value {
    let header =
        |description: &str| json!({"description": description, "required": true, "schema": {"type": "string"}});
    let etag = ("ETag", header("The entity tag of this version, for If-Match and If-None-Match."));
    let is_command = operation.method == Method::POST;
    let mut headers: Map<_, _> = [(etag.0.to_owned(), etag.1.clone())].into_iter().collect();
    if is_command {
        headers.insert("Read-After".to_owned(), header("Send it with a query, which then shows what the command did."));
        headers.insert("X-Correlation-Id".to_owned(), header("The story."));
        let replayed = json!({"description": "That it is the answer of the first time.", "schema": {"const": "true"}});
        headers.insert("Idempotency-Replayed".to_owned(), replayed);
    }
    if operation.status == StatusCode::CREATED {
        headers.insert("Location".to_owned(), header("Where it is."));
    }
    if operation.is_awaited {
        let applied = json!({"description": "What was preferred, and is so.", "schema": {"type": "string"}});
        headers.insert("Preference-Applied".to_owned(), applied);
    }
    let content = json!({"application/json": {"schema": document}});
    let success = match operation.status {
        StatusCode::NO_CONTENT => {
            headers.remove(etag.0);
            json!({"description": "It is gone.", "headers": headers})
        }
        _ => json!({"description": "The document.", "headers": headers, "content": content}),
    };
    let mut responses: Map<_, _> = [(operation.status.as_str().to_owned(), success.clone())].into_iter().collect();
    if is_command && operation.is_awaited {
        let mut begun = success;
        begun["description"] = json!("It has begun, and Location tells what comes of it.");
        responses.insert("202".to_owned(), begun);
    }
    if !is_command {
        let unchanged = json!({"description": "It is the one that you have.", "headers": {"ETag": etag.1}});
        responses.insert("304".to_owned(), unchanged);
    }
    let refusals = REFUSALS.iter().filter(|(status, _)| is_command || [404, 500, 503].contains(status));
    responses.extend(refusals.map(|(status, description)| {
        let content = json!({problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}});
        (status.to_string(), json!({"description": description, "content": content}))
    }));
    responses.into()
}

/// Problem details by RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "pattern": "^/problems/[a-z-]+$", "description": "What kind it is, for programs."},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What it is, for people."},
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"type": "string", "description": "Where in the body, as a JSON pointer."},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    })
}
