//! The half that serves the views: connections, GraphQL, and those who subscribe.

use std::{sync::Arc, time::Duration};

use auth::Auth;
use axum::Router;
use telemetry::{CancellationToken, database::Database, shutdown};
use tokio::{net::TcpListener, task::JoinSet};

use super::{Error, Process, thread};
use crate::{
    graphql::{Executor, Freshness},
    http,
    live::{self, Hub, Subscribers},
    settings,
    view::Connections,
};

/// What an operation may take beside waiting for its tokens: a statement's limit, and some.
const OPERATION_SLACK: Duration = Duration::from_secs(3);

/// Serves until the token is cancelled, on a thread of its own; then requests drain.
///
/// # Errors
/// When it cannot be set up, or the listener fails.
pub(super) async fn run(
    database: Database,
    settings: settings::Serving,
    process: Process,
    listener: TcpListener,
) -> Result<(), Error> {
    // It belongs to the runtime that made it.
    let listener = listener.into_std().map_err(Error::Http)?;
    let serving = thread::run("serving", move || serve(database, settings, process, listener));
    serving.await.map_err(Error::Http)?
}

async fn serve(
    database: Database,
    settings: settings::Serving,
    process: Process,
    listener: std::net::TcpListener,
) -> Result<(), Error> {
    let listener = TcpListener::from_std(listener).map_err(Error::Http)?;
    let (limits, mut tasks) = (settings.http, JoinSet::new());
    let serving = Serving::start(&database, settings, &process, &mut tasks)?;
    let routes = serving.routes(process.routes());
    let stop = process.shutdown.clone();
    let served = telemetry::http::serve_within(limits, listener, routes, stop).await.map_err(Error::Http);
    process.shutdown.cancel();
    let ended = async {
        serving.end().await;
        while tasks.join_next().await.is_some() {}
    };
    shutdown::within_grace(ended, &process.shutdown, shutdown::GRACE).await;
    served
}

/// What serves.
struct Serving {
    executor: Executor,
    subscribers: Subscribers,
    auth: Option<Arc<Auth>>,
    /// The connections outlive the requests that are draining.
    drained: CancellationToken,
}

impl Serving {
    fn start(
        database: &Database,
        settings: settings::Serving,
        process: &Process,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, Error> {
        let Process { health, metrics, shutdown, commits } = process;
        let connections = Connections::new(database, settings.connections, metrics);
        let freshness = Freshness::new(connections.clone(), commits.clone(), settings.read_after_timeout);
        let limit = settings.read_after_timeout + settings.connections.statement_timeout + OPERATION_SLACK;
        let executor = Executor::new(connections.clone(), freshness, limit, metrics).map_err(Error::Schema)?;
        let auth = settings.auth.map(Auth::new).transpose().map_err(Error::Auth)?.map(Arc::new);
        let meters = live::Meters::register(metrics);
        let (hub, running_hub) = Hub::new(settings.subscribers.memory, meters.clone());
        let subscribers = Subscribers::new(hub.clone(), settings.subscribers, meters, shutdown.clone());

        let drained = CancellationToken::new();
        tasks.spawn(connections.run(health.part("postgres"), drained.clone()));
        tasks.spawn(running_hub.run(drained.clone()));
        let listener = live::Listener { hub, commits: commits.clone(), part: health.part("changes") };
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

    /// What it serves over HTTP, beside `others`.
    fn routes(&self, others: Router) -> http::Routes {
        http::Routes::new(self.executor.clone(), self.subscribers.clone(), self.auth.clone(), others)
    }

    /// Lets those who subscribe go, then the connections.
    async fn end(self) {
        self.subscribers.gone().await;
        self.drained.cancel();
    }
}
