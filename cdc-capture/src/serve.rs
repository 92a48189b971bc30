//! The relay and, beside it, what an operator's machinery asks: `/healthz`, `/readyz`, `/metrics`.

use telemetry::{CancellationToken, health::Health, http, metrics::Metrics};
use tokio::net::TcpListener;

use crate::{Settings, capture, slot_watch};

/// Why serving ended other than by the token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The relay's settings can never work.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// The admin server failed.
    #[error("the admin server: {0}")]
    Admin(#[from] std::io::Error),
}

/// Relays until the token is cancelled, and answers on the listener meanwhile.
///
/// # Errors
/// When the settings can never work or the listener fails; the other part is ended then.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let both = shutdown.child_token();
    let _ends_with_either = both.clone().drop_guard();
    let router = telemetry::admin::router(health.clone(), metrics.clone());
    let admin = async { http::serve(listener, router, both.clone()).await.map_err(Error::from) };
    let (database, slot, of_slot) = (settings.database.clone(), settings.slot.clone(), metrics.clone());
    let watch = async {
        slot_watch::watch(database, slot, &of_slot, both.clone()).await;
        Ok(())
    };
    let relay = async { capture::run(settings, health, metrics, both.clone()).await.map_err(Error::from) };
    tokio::try_join!(relay, admin, watch)?;
    Ok(())
}
