//! What every service has, whatever it serves: settings, logs and traces, metrics, health, the database pool, an HTTP
//! server that drains, and a shutdown in bounded time. It knows nothing of the domain.
//!
//! The order in which a `main` uses it: [`settings`], [`logs::init`], [`shutdown::on_signal`], [`health::Health`],
//! [`database::Database`], [`http::serve`].

pub mod admin;
pub mod backoff;
pub mod database;
pub mod health;
pub mod http;
pub mod kafka;
pub mod logs;
pub mod metrics;
pub mod settings;
pub mod shutdown;
pub mod trace;

pub use tokio_util::sync::CancellationToken;
