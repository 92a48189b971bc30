//! Connections, as the services have them, but for one thing: a handler can hang up. Then the client sees its connection
//! closed, without a byte of an answer, as when a server dies.

use axum::{
    Router,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use telemetry::CancellationToken;
use tokio::net::TcpListener;

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

/// Serves until the token is cancelled, then lets running requests end.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let router = TowerToHyperService::new(router.with_state(()));
    let service = service_fn(move |request| {
        let response = router.call(request);
        async move {
            // Routes answer whatever happens: the error is none.
            let response = response.await.map_err(|never| match never {})?;
            if response.extensions().get::<HangUp>().is_some() { Err(HungUp) } else { Ok(response) }
        }
    });
    if let Err(error) = telemetry::http::serve_with(listener, service, shutdown).await {
        tracing::error!(%error, "the listener failed");
    }
}
