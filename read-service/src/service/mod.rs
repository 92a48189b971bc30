//! The service: what the process is to do, HTTP, and the end in order.
//!
//! Its two halves meet in the database alone, so that each may run in processes of its own, in as many as are wanted.

mod projecting;
mod serving;
mod thread;

use axum::Router;
use telemetry::{CancellationToken, admin, health::Health, metrics::Metrics};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{Settings, live::Commits, projection};

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
    /// The listener failed, or the thread that serves.
    #[error("HTTP: {0}")]
    Http(#[source] std::io::Error),
}

/// What every part of the process shares.
struct Process {
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
    /// Rung when something was applied.
    commits: Commits,
}

/// Answers HTTP from the start, projects, serves queries, or both, until the token is cancelled; then requests drain, for a
/// bounded time.
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
    let Settings { database, projecting, serving } = settings;
    let process =
        Process { health, metrics, shutdown: shutdown.clone(), commits: Commits::of_each(projection::names()) };
    // Also where the service is given up.
    let _stop = shutdown.clone().drop_guard();
    let mut tasks = JoinSet::new();
    if let Some(settings) = projecting {
        projecting::start(database.clone(), settings, &process, &mut tasks)?;
    }
    let served = match serving {
        Some(settings) => serving::run(database, settings, process, listener).await,
        None => telemetry::http::serve(listener, process.routes(), shutdown.clone()).await.map_err(Error::Http),
    };
    // A listener that failed ends the rest too.
    shutdown.cancel();
    let ended = async { while tasks.join_next().await.is_some() {} };
    telemetry::shutdown::within_grace(ended, &shutdown, telemetry::shutdown::GRACE).await;
    served
}

impl Process {
    /// What an operator asks it.
    fn routes(&self) -> Router {
        admin::router(self.health.clone(), self.metrics.clone())
    }
}
