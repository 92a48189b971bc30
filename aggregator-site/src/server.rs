//! Connections, as the services have them, but for what the site was told to do to requests: it can also hang up, without a byte of
//! an answer, as when a server dies.

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::IntoResponse,
};
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use telemetry::{CancellationToken, admin, health::Health, metrics::Metrics};
use tokio::net::TcpListener;

use crate::{
    api::{self, Site},
    behaviour::Mode,
};

/// Why hyper closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("hung up, as told")]
struct HungUp;

/// Serves until the token is cancelled, then lets running requests end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    let site = Site::default();
    let behaviour = site.behaviour.clone();
    let router = TowerToHyperService::new(api::router(site, admin::router(Health::new(), Metrics::new())));
    let stop = shutdown.clone();
    let service = service_fn(move |request: Request<Body>| {
        // How it behaves, and what it was told, can be asked at any time.
        let is_told = ["/availability/", "/bookings/"].iter().any(|path| request.uri().path().starts_with(path));
        let mode = if is_told { behaviour.next() } else { Mode::Normal };
        let (router, stop) = (router.clone(), stop.clone());
        async move {
            let answer = |status: StatusCode| Ok(status.into_response().map(Body::new));
            match mode {
                Mode::Fail => return answer(StatusCode::SERVICE_UNAVAILABLE),
                Mode::Refuse => return answer(StatusCode::UNPROCESSABLE_ENTITY),
                Mode::DropBeforeCommit => return Err(HungUp),
                Mode::Hang => {
                    stop.cancelled().await;
                    return Err(HungUp);
                }
                Mode::Normal | Mode::DropAfterCommit => {}
            }
            // Routes answer whatever happens: the error is none.
            let response = router.call(request).await.map_err(|never| match never {})?;
            if mode == Mode::DropAfterCommit { Err(HungUp) } else { Ok(response) }
        }
    });
    telemetry::http::serve_with(listener, service, shutdown).await
}
