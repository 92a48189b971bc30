//! The service: projections, serving connections and HTTP, wired together and ended in order.

use std::{sync::Arc, time::Duration};

use auth::Auth;
use inbox::{Applied, Intake};
use telemetry::{CancellationToken, health::Health, metrics::Metrics};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    Settings,
    graphql::{Executor, Freshness},
    http,
    live::{self, Hub, Subscribers},
    projection,
    view::{self, Connections},
};

/// Why the service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Verified TLS is asked for and cannot be had.
    #[error("the database connections cannot be set up: {0}")]
    Connections(#[source] std::io::Error),
    /// TLS to the issuer of tokens cannot be set up.
    #[error("tokens cannot be checked: {0}")]
    Auth(#[source] std::io::Error),
    /// The GraphQL schema does not hang together: a fault of this program.
    #[error("the GraphQL schema: {0}")]
    Schema(#[source] async_graphql::dynamic::SchemaError),
    /// The listener failed.
    #[error("HTTP: {0}")]
    Http(#[source] std::io::Error),
}

/// What an operation may take beside waiting for its tokens: a statement's limit, and some.
const OPERATION_SLACK: Duration = Duration::from_secs(3);

/// Connections of the projections: one for each, and one for what ends the journal.
const PROJECTING_CONNECTIONS: usize = view::View::ALL.len() + 2;

/// Serves HTTP from the start and projects until the token is cancelled; then requests drain, for a bounded time.
///
/// PostgreSQL and Kafka may come and go: `/readyz` says so, and what needs them waits. A projection that must not go on
/// stays where it is and says why in `/readyz`, while queries are answered from what is there.
///
/// # Errors
/// When the database's settings cannot be used, or the listener fails.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let connections = Connections::new(&settings.database, settings.serving, &metrics);
    let applied = Applied::new();
    let freshness = Freshness::new(connections.clone(), applied.clone(), settings.read_after_timeout);
    let limit = settings.read_after_timeout + settings.serving.statement_timeout + OPERATION_SLACK;
    let executor = Executor::new(connections.clone(), freshness, limit, &metrics).map_err(Error::Schema)?;
    let auth = settings.auth.map(Auth::new).transpose().map_err(Error::Auth)?.map(Arc::new);
    let (hub, running_hub) = Hub::new();
    let subscribers = Subscribers::new(hub.clone(), settings.subscribers, shutdown.clone());
    let router = http::router(executor, subscribers.clone(), auth.clone(), health.clone(), metrics.clone());

    let listening = settings.database.clone();
    let projecting = settings.database.as_role(view::ROLE).application_name("read-service project");
    let pool = projecting.pool_size(PROJECTING_CONNECTIONS).pool().map_err(Error::Connections)?;
    let intake = Intake {
        kafka: settings.kafka,
        service: "read-service".to_owned(),
        schema: view::SCHEMA.to_owned(),
        pool,
        health: health.clone(),
        metrics,
        max_parked: settings.max_parked,
        trace_messages: settings.trace_messages,
    };

    // The serving connections outlive the requests that are draining.
    let drained = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(connections.run(health.part("postgres"), drained.clone()));
    tasks.spawn(running_hub.run(drained.clone()));
    let stop = shutdown.clone();
    tasks.spawn(async move { live::listen(&listening, hub, stop).await });
    match auth {
        Some(auth) => {
            let (part, stop) = (health.part("auth"), shutdown.clone());
            tasks.spawn(async move { auth.keep_keys(&part, &stop).await });
        }
        None => tracing::warn!("no tokens are asked for: whoever reaches this service may see everything"),
    }
    tasks.spawn(view::keep_journal(intake.pool.clone(), settings.journal_keep, shutdown.clone()));
    for handler in projection::all(settings.journal_keep) {
        let name = handler.name();
        let run = handler.run(intake.clone(), applied.clone(), shutdown.clone());
        // If it halts, it has said so in its health part: the others and the queries go on.
        tasks.spawn(async move {
            if let Err(halt) = run.await {
                tracing::error!(projection = name, error = %halt, "a projection has halted");
            }
        });
    }
    let served = telemetry::http::serve(listener, router, shutdown.clone()).await.map_err(Error::Http);
    // A listener that failed ends the rest too.
    shutdown.cancel();
    let ended = async {
        subscribers.gone().await;
        drained.cancel();
        while tasks.join_next().await.is_some() {}
    };
    telemetry::shutdown::within_grace(ended, &shutdown, telemetry::shutdown::GRACE).await;
    served
}
