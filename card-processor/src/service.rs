//! The running processor: the ledger behind the API.

use telemetry::{CancellationToken, admin, health::Health, metrics::Metrics};
use tokio::net::TcpListener;

use crate::{
    api,
    ledger::{Ledger, LedgerError},
    server,
    settings::Settings,
};

/// Serves until the token is cancelled, then lets running requests end, for ten seconds at most. When this returns, the ledger's
/// file is closed.
///
/// # Errors
/// When the ledger cannot be opened, or at any time cannot be written: then nothing more is promised.
pub async fn serve(settings: Settings, listener: TcpListener, shutdown: CancellationToken) -> Result<(), LedgerError> {
    let (ledger, mut writer) = Ledger::open(settings.ledger.as_deref()).await?;
    let health = Health::new();
    health.part("ledger").ready();
    let router = api::router(ledger, admin::router(health, Metrics::new()), shutdown.clone());
    let served = server::serve(listener, router, shutdown);
    let written = tokio::select! {
        written = &mut writer => written,
        () = served => writer.await,
    };
    written.map_err(|_| LedgerError::Stopped)?
}
