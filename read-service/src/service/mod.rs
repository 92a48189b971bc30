//! The service: what the process is to do, HTTP, and the end in order.
//!
//! Its two halves meet in the database alone, so that each may run in processes of its own, in as many as are wanted.

mod projecting;
mod serving;

use inbox::Applied;
use telemetry::{CancellationToken, admin, health::Health, metrics::Metrics};
use tokio::{net::TcpListener, task::JoinSet};

use crate::Settings;
use serving::Serving;

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

/// What every part of the process shares.
struct Process {
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
    /// Rung when something was applied.
    applied: Applied,
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
    let mut router = admin::router(health.clone(), metrics.clone());
    let process = Process { health, metrics, shutdown: shutdown.clone(), applied: Applied::new() };
    let mut tasks = JoinSet::new();
    let serving = serving.map(|settings| Serving::start(&database, settings, &process, &mut tasks)).transpose()?;
    if let Some(serving) = &serving {
        router = router.merge(serving.routes());
    }
    if let Some(settings) = projecting {
        projecting::start(database, settings, &process, &mut tasks)?;
    }
    let served = telemetry::http::serve(listener, router, shutdown.clone()).await.map_err(Error::Http);
    // A listener that failed ends the rest too.
    shutdown.cancel();
    let ended = async {
        if let Some(serving) = serving {
            serving.end().await;
        }
        while tasks.join_next().await.is_some() {}
    };
    telemetry::shutdown::within_grace(ended, &shutdown, telemetry::shutdown::GRACE).await;
    served
}
