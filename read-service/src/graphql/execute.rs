//! From a request to its answer: its document, the operation that is meant, what it waits for, its one statement.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::{
    Name, ServerError, Variables,
    parser::types::{ExecutableDocument, OperationDefinition, OperationType},
};
use telemetry::metrics::Metrics;
use tokio_postgres::types::{FromSql, Type};
use tracing::Instrument;

use super::{
    Awaited, Code, Error, Freshness,
    answer::{Answer, Body},
    arguments,
    compile::{Asked, Compiled, Root, compile},
    conditions,
    documents::Documents,
    freshness::LONGEST_LOOK,
    live::{self, Live},
    metrics::Operations,
    model::Model,
    persisted::{Hash, Persisted},
    schema::Schemas,
    waits::Waits,
    write::{self, Cell},
};
use crate::view::{self, Connections, Sql};

/// A GraphQL request.
#[derive(Debug, Default)]
pub struct Operation {
    /// The document's text; empty where only its hash was sent.
    pub query: String,
    /// Its hash, where it is to be known by that from now on.
    pub hash: Option<Hash>,
    /// Which of its operations is meant; needed when it has several.
    pub name: Option<String>,
    /// The values of its variables.
    pub variables: Variables,
    /// What is to be visible before any field is answered.
    pub read_after: Vec<Awaited>,
    /// It came by a method that may only read (GET).
    pub only_query: bool,
    /// Who sent it may see what says something of persons.
    pub may_see_personal: bool,
}

/// What a request is.
pub enum Request {
    /// It is answered once.
    Query(Operation),
    /// It is told again and again.
    Subscription(Box<Live>),
}

/// Executes requests. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
}

/// A request whose document is valid.
struct Prepared {
    document: Arc<ExecutableDocument>,
    variables: Variables,
    sent: Operation,
}

struct Shared {
    model: Model,
    schemas: Schemas,
    documents: Documents,
    persisted: Persisted,
    connections: Connections,
    freshness: Freshness,
    operations: Operations,
    limit: Duration,
}

impl Executor {
    /// Reads through `connections`, waits for writes by `freshness`, and gives an operation up after `limit`.
    ///
    /// # Errors
    /// When the schema does not hang together, which a test would have found.
    pub fn new(
        connections: Connections,
        freshness: Freshness,
        limit: Duration,
        metrics: &Metrics,
    ) -> Result<Self, async_graphql::dynamic::SchemaError> {
        let model = Model::new();
        let schemas = Schemas::of(&model)?;
        let documents = Documents::new(schemas.clone());
        let operations = Operations::register(metrics);
        let persisted = Persisted::new();
        let shared = Shared { model, schemas, documents, persisted, connections, freshness, operations, limit };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether a request is a subscription, and if so what is to be looked at whenever what it follows has changed.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn subscription(&self, operation: Operation) -> Result<Request, Vec<ServerError>> {
        let refused = |error: Error| vec![error.into_server_error()];
        let prepared = self.shared.prepare(operation).await?;
        let (_, asked) = self.shared.asked(&prepared).map_err(refused)?;
        if asked.operation.ty != OperationType::Subscription {
            return Ok(Request::Query(prepared.sent));
        }
        if !prepared.sent.read_after.is_empty() {
            return Err(refused(Error::input(
                "a subscription does not wait: it tells what Read-After names when it is there",
            )));
        }
        let key = live::key(&prepared.sent, asked.variables);
        let connections = self.shared.connections.clone();
        Live::new(asked, key, connections).map(|live| Request::Subscription(Box::new(live))).map_err(refused)
    }

    /// Answers a request.
    pub async fn execute(&self, operation: Operation) -> Answer {
        let start = Instant::now();
        let limit = self.shared.limit;
        let answer = tokio::time::timeout(limit, self.shared.answer(operation)).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} seconds; ask for less", limit.as_secs());
            Answer::Refused(vec![Error::new(Code::Timeout, message).into_server_error()])
        });
        self.shared.operations.ended(answer.code(), start.elapsed());
        answer
    }
}

impl Shared {
    async fn answer(&self, sent: Operation) -> Answer {
        match self.prepare(sent).await {
            Ok(prepared) => self.answer_to(&prepared).await,
            Err(errors) => Answer::Refused(errors),
        }
    }

    /// Reads a request: its document is valid then, and its operation known.
    async fn prepare(&self, mut sent: Operation) -> Result<Prepared, Vec<ServerError>> {
        let refused = |error: Error| Err(vec![error.into_server_error()]);
        match self.persisted.resolve(std::mem::take(&mut sent.query), sent.hash.as_ref()) {
            Ok(text) => sent.query = text,
            Err(error) => return refused(error),
        }
        let (document, is_valid) = match self.documents.parse(&sent.query) {
            Ok(parsed) => parsed,
            Err(error) => return Err(vec![error]),
        };
        let (_, operation) = match chosen(&document, sent.name.as_deref()) {
            Ok(chosen) => chosen,
            Err(reason) => return refused(Error::new(Code::OperationResolutionFailure, reason)),
        };
        if sent.only_query && operation.ty != OperationType::Query {
            return refused(Error::new(Code::MethodNotAllowed, format!("a {} must be sent by POST", operation.ty)));
        }
        if !is_valid && let Err(errors) = self.documents.validate(&sent.query, &document).await {
            return Err(errors);
        }
        if let Some(hash) = sent.hash {
            self.persisted.remember(&sent.query, hash);
        }
        let variables = match arguments::variables(operation, &sent.variables) {
            Ok(variables) => variables,
            Err(error) => return refused(error),
        };
        if let Err(reason) = conditions::check_values(&document, operation, &variables) {
            return refused(Error::input(reason));
        }
        Ok(Prepared { document, variables, sent })
    }

    async fn answer_to(&self, prepared: &Prepared) -> Answer {
        let refused = |error: Error| Answer::Refused(vec![error.into_server_error()]);
        let (name, asked) = match self.asked(prepared) {
            Ok(asked) => asked,
            Err(error) => return refused(error),
        };
        let operation = asked.operation;
        if operation.ty == OperationType::Subscription {
            let message =
                "a subscription is told by a websocket (graphql-transport-ws) or to Accept: text/event-stream";
            return refused(Error::new(Code::BadRequest, message));
        }
        // By the conventions for GraphQL spans, without the document: its literals may be personal.
        let span = tracing::debug_span!(
            "graphql",
            otel.name = %operation.ty,
            otel.status_code = tracing::field::Empty,
            graphql.operation.type = %operation.ty,
            graphql.operation.name = name.map(Name::as_str),
        );
        match self.run(asked, name, &prepared.sent.read_after).instrument(span.clone()).await {
            Ok(body) => {
                if body.has_errors() {
                    span.record("otel.status_code", "ERROR");
                }
                body.finish()
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                refused(error)
            }
        }
    }

    /// What a request asks for.
    fn asked<'a>(&'a self, prepared: &'a Prepared) -> Result<(Option<&'a Name>, Asked<'a>), Error> {
        let Prepared { document, variables, sent } = prepared;
        let (name, operation) = chosen(document, sent.name.as_deref())
            .map_err(|reason| Error::new(Code::OperationResolutionFailure, reason))?;
        let may_see_personal = sent.may_see_personal;
        Ok((name, Asked { model: &self.model, document, operation, variables, may_see_personal }))
    }

    async fn run(&self, asked: Asked<'_>, name: Option<&Name>, sent: &[Awaited]) -> Result<Body, Error> {
        let (waits, mut failed) = Waits::read(asked, sent)?;
        let mut compiled = compile(asked, &failed)?;
        let deadline = self.freshness.deadline();
        let mut row = match (waits.only_one(&compiled), &compiled.text) {
            (Some(awaited), Some(text)) if text.len() <= LONGEST_LOOK => {
                self.freshness.answer(&compiled, text, awaited, deadline).await.transpose()
            }
            _ => None,
        };
        if row.is_none() {
            let late = waits.wait(&self.freshness, &compiled, deadline).await;
            if !late.is_empty() {
                failed.extend(late);
                compiled = compile(asked, &failed)?;
            }
        }
        let described = if compiled.roots.iter().any(|(_, root)| matches!(root, Root::Schema)) {
            Some(self.schemas.describe(asked.document, name.map(Name::as_str), asked.variables.clone()).await)
        } else {
            None
        };
        if row.is_none() && compiled.text.is_some() {
            row = self.query(&mut compiled).await.transpose();
        }
        Ok(written(compiled, row.transpose(), described.as_ref()))
    }

    async fn query(&self, compiled: &mut Compiled) -> Result<Option<tokio_postgres::Row>, view::Error> {
        let sql = Sql {
            summary: compiled.summary,
            text: compiled.text.take().unwrap_or_default(),
            parameters: compiled.parameters.types(),
        };
        Ok(self.connections.query(&sql, &compiled.parameters.values()).await?.into_iter().next())
    }
}

/// Puts an answer together.
fn written(
    compiled: Compiled,
    row: Result<Option<tokio_postgres::Row>, view::Error>,
    described: Option<&async_graphql::Response>,
) -> Body {
    let mut body = Body::new();
    let failure = row.as_ref().err().map(Error::from_view);
    let cells = row.ok().flatten();
    let cells = cells.as_ref().map(cells_of).unwrap_or_default();
    for (key, root) in compiled.roots {
        match root {
            Root::Typename => body.member(&key, |out| {
                write::text(super::model::ROOT, out);
                Ok(())
            }),
            Root::Schema => match described {
                Some(described) => body.describe(&key, described),
                None => body.fail(&key, Error::new(Code::Internal, "the schema cannot be described")),
            },
            Root::Failed(error) => body.fail(&key, error),
            Root::Shape(shape) => match &failure {
                Some(error) => body.fail(&key, error.clone()),
                None => body.member(&key, |out| write::shape(&shape, &cells, out)),
            },
        }
    }
    body
}

/// Any column, as PostgreSQL has sent it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(super) fn cells_of(row: &tokio_postgres::Row) -> Vec<Cell<'_>> {
    (0..row.len()).map(|place| row.try_get::<_, Option<Raw<'_>>>(place).ok().flatten().map(|raw| raw.0)).collect()
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
