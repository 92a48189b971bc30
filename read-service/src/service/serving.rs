//! The half that serves the views: connections, GraphQL, and those who subscribe.

use std::{sync::Arc, time::Duration};

use auth::Auth;
use axum::Router;
use telemetry::{CancellationToken, database::Database};
use tokio::task::JoinSet;

use super::{Error, Process};
use crate::{
    graphql::{Executor, Freshness},
    http,
    live::{self, Hub, Subscribers},
    settings,
    view::Connections,
};

/// What an operation may take beside waiting for its tokens: a statement's limit, and some.
const OPERATION_SLACK: Duration = Duration::from_secs(3);

/// What serves.
pub(super) struct Serving {
    executor: Executor,
    subscribers: Subscribers,
    auth: Option<Arc<Auth>>,
    /// The connections outlive the requests that are draining.
    drained: CancellationToken,
}

impl Serving {
    pub(super) fn start(
        database: &Database,
        settings: settings::Serving,
        process: &Process,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, Error> {
        let Process { health, metrics, shutdown, applied } = process;
        let connections = Connections::new(database, settings.connections, metrics);
        let freshness = Freshness::new(connections.clone(), applied.clone(), settings.read_after_timeout);
        let limit = settings.read_after_timeout + settings.connections.statement_timeout + OPERATION_SLACK;
        let executor = Executor::new(connections.clone(), freshness, limit, metrics).map_err(Error::Schema)?;
        let auth = settings.auth.map(Auth::new).transpose().map_err(Error::Auth)?.map(Arc::new);
        let meters = live::Meters::register(metrics);
        let (hub, running_hub) = Hub::new(meters.clone());
        let subscribers = Subscribers::new(hub.clone(), settings.subscribers, meters, shutdown.clone());

        let drained = CancellationToken::new();
        tasks.spawn(connections.run(health.part("postgres"), drained.clone()));
        tasks.spawn(running_hub.run(drained.clone()));
        let listener = live::Listener { hub, applied: applied.clone(), part: health.part("changes") };
        tasks.spawn(listener.run(database.clone(), shutdown.clone()));
        match auth.clone() {
            Some(auth) => {
                let (part, stop) = (health.part("auth"), shutdown.clone());
                tasks.spawn(async move { auth.keep_keys(&part, &stop).await });
            }
            None => tracing::warn!("no tokens are asked for: whoever reaches this service may see everything"),
        }
        Ok(Self { executor, subscribers, auth, drained })
    }

    /// What it serves over HTTP.
    pub(super) fn routes(&self) -> Router {
        http::router(self.executor.clone(), self.subscribers.clone(), self.auth.clone())
    }

    /// Lets those who subscribe go, then the connections.
    pub(super) async fn end(self) {
        self.subscribers.gone().await;
        self.drained.cancel();
    }
}
