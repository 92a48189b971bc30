//! Ending in bounded time: a signal cancels the token, everything drains, and what has not by then is cut off.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a service may take to drain.
pub const GRACE: Duration = Duration::from_secs(10);

/// A token that the first SIGTERM or SIGINT cancels. A second one ends the process at once.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!(signal = name, "shutting down");
        cancel.cancel();
        next().await;
        std::process::exit(130);
    });
    Ok(token)
}

/// Waits for `work`; once `token` is cancelled, for at most `grace` longer. `None` when it was cut off.
pub async fn within_grace<T>(work: impl Future<Output = T>, token: &CancellationToken, grace: Duration) -> Option<T> {
    tokio::pin!(work);
    let cut_off = async {
        token.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        done = &mut work => Some(done),
        () = cut_off => {
            tracing::warn!(grace_seconds = grace.as_secs(), "not drained in time; cut off");
            None
        }
    }
}
