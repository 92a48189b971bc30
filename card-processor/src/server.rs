//! Connections, as the services have them, but for one thing: a handler can hang up. Then the client sees its connection
//! closed, without a byte of an answer, as when a server dies.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
    serve::Listener,
};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use telemetry::{CancellationToken, shutdown};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// How long until a request's whole header is there, from the connection's start or the last answer on.
const HEADER: Duration = Duration::from_secs(10);

/// Connections open at once. Those beyond wait in the listener's queue.
const CONNECTIONS: usize = 1024;

/// Instead of an answer: the connection is to be closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HangUp;

impl IntoResponseParts for HangUp {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

impl IntoResponse for HangUp {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// Why hyper closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("hung up, as told")]
struct HungUp;

/// Serves until the token is cancelled, then lets running requests end, for at most [`shutdown::GRACE`].
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: &CancellationToken) {
    shutdown::within_grace(accept(listener, router, shutdown), shutdown, shutdown::GRACE).await;
}

async fn accept(mut listener: TcpListener, router: Router, shutdown: &CancellationToken) {
    let router = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let draining = GracefulShutdown::new();
    // Cut off with this function.
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            // Waits a while where there are no more file descriptors.
            (place, Listener::accept(&mut listener).await.0)
        };
        let (place, stream) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        let router = router.clone();
        let service = service_fn(move |request| {
            let response = router.call(request);
            async move {
                // Routes answer whatever happens: the error is none.
                let response = response.await.map_err(|never| match never {})?;
                if response.extensions().get::<HangUp>().is_some() { Err(HungUp) } else { Ok(response) }
            }
        });
        let connection = draining.watch(builder.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    draining.shutdown().await;
}
