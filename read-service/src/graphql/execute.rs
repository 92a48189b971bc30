//! From a request to its answer: bounded, parsed, resolved to one operation, validated, executed.

use std::time::{Duration, Instant};

use async_graphql::{
    Name, Request, Response, ServerError, Variables,
    parser::{
        parse_query,
        types::{ExecutableDocument, OperationDefinition, OperationType},
    },
};
use telemetry::metrics::Metrics;
use tracing::Instrument;

use super::{
    Awaited, Code, Error, Freshness, ReadSchema, builder, error, limits,
    metrics::Operations,
    root::{restore, root_keys},
};
use crate::view::Connections;

/// A GraphQL request.
#[derive(Debug, Default)]
pub struct Operation {
    /// The document's text.
    pub query: String,
    /// Which of its operations is meant; needed when it has several.
    pub name: Option<String>,
    /// The values of its variables.
    pub variables: Variables,
    /// What is to be visible before any field is answered.
    pub read_after: Vec<Awaited>,
    /// It came by a method that may only read (GET).
    pub only_query: bool,
}

/// What came of a request.
#[derive(Debug)]
pub enum Answer {
    /// It was refused before anything was executed, so there is no `data`. Every error has a code.
    Refused(Vec<ServerError>),
    /// It was executed. `data` is null when an error left nothing of it.
    Executed(Response),
}

/// What executes requests. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Executor {
    schema: ReadSchema,
    operations: Operations,
    limit: Duration,
}

impl Executor {
    /// Reads through `connections`, waits for writes by `freshness`, and gives an operation up after `limit`.
    pub fn new(connections: Connections, freshness: Freshness, limit: Duration, metrics: &Metrics) -> Self {
        let schema = builder().data(connections).data(freshness).finish();
        Self { schema, operations: Operations::register(metrics), limit }
    }

    /// Answers a request.
    pub async fn execute(&self, operation: Operation) -> Answer {
        let start = Instant::now();
        let (mut response, root_keys) = match prepare(&operation) {
            Ok(prepared) => self.run(operation, prepared).await,
            Err(refusal) => (Response::from_errors(vec![refusal]), Vec::new()),
        };
        error::complete(&mut response.errors);
        self.operations.ended(response.errors.first().and_then(Code::of), start.elapsed());
        if was_refused(&response) {
            return Answer::Refused(response.errors);
        }
        restore(&mut response, &root_keys);
        Answer::Executed(response)
    }

    async fn run(&self, operation: Operation, prepared: Prepared) -> (Response, Vec<Name>) {
        // By the conventions for GraphQL spans, without the document: its literals may be personal.
        let span = tracing::info_span!(
            "graphql",
            otel.name = %prepared.ty,
            otel.status_code = tracing::field::Empty,
            graphql.operation.type = %prepared.ty,
            graphql.operation.name = prepared.name,
        );
        let mut request = Request::new(operation.query).variables(operation.variables).data(operation.read_after);
        request.operation_name = operation.name;
        request.set_parsed_query(prepared.document);
        let answer = tokio::time::timeout(self.limit, self.schema.execute(request)).instrument(span.clone());
        let response = answer.await.unwrap_or_else(|_| {
            let seconds = self.limit.as_secs();
            let refusal = Error::new(Code::Timeout, format!("no answer within {seconds} seconds; ask for less"));
            Response::from_errors(vec![refusal.into_server_error()])
        });
        if response.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        (response, prepared.root_keys)
    }
}

/// A document, and of its operations the one that is meant.
struct Prepared {
    document: ExecutableDocument,
    name: Option<String>,
    ty: OperationType,
    root_keys: Vec<Name>,
}

/// Everything up to validation.
fn prepare(operation: &Operation) -> Result<Prepared, ServerError> {
    let refuse = |code, message: String| Error::new(code, message).into_server_error();
    limits::check_text(&operation.query).map_err(|reason| refuse(Code::ValidationFailed, reason))?;
    let document = parse_query(&operation.query).map_err(|error| {
        let mut refusal = refuse(Code::ParseFailed, error.to_string());
        refusal.locations = error.positions().collect();
        refusal
    })?;
    limits::check_document(&document).map_err(|reason| refuse(Code::ValidationFailed, reason))?;
    let (name, chosen) = chosen(&document, operation.name.as_deref())
        .map_err(|reason| refuse(Code::OperationResolutionFailure, reason))?;
    let (name, ty) = (name.map(ToString::to_string), chosen.ty);
    if operation.only_query && ty != OperationType::Query {
        return Err(refuse(Code::MethodNotAllowed, format!("a {ty} must be sent by POST")));
    }
    let root_keys = root_keys(&document, chosen);
    Ok(Prepared { document, name, ty, root_keys })
}

/// Whether a request ended before its execution: by validation, or by an argument that cannot be used, which leaves
/// nothing of an answer either.
fn was_refused(response: &Response) -> bool {
    let before = |error: &ServerError| error.path.is_empty() || Code::of(error) == Some(Code::BadUserInput);
    response.data == async_graphql::Value::Null && !response.errors.is_empty() && response.errors.iter().all(before)
}

/// The operation that is meant, with its name.
fn chosen<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<(Option<&'a Name>, &'a OperationDefinition), String> {
    let mut operations = document.operations.iter();
    let found = match name {
        Some(name) => operations.find(|(known, _)| known.is_some_and(|known| known == name)),
        None => match (operations.next(), operations.next()) {
            (only, None) => only,
            (_, Some(_)) => return Err("the document has several operations: operationName must say which".to_owned()),
        },
    };
    let named = || name.map(|name| format!(" named {name:?}")).unwrap_or_default();
    found.map(|(name, found)| (name, &found.node)).ok_or_else(|| format!("the document has no operation{}", named()))
}
