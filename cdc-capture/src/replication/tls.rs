//! Where the server is, in pgwire's words, with verified TLS where the settings want TLS.
//!
//! pgwire's configuration takes one host; a URL with several becomes one endpoint for each, tried in turn.

use std::sync::Arc;

use pgwire::{api::client::Config, messages::ProtocolVersion, tokio::TlsConnector};
use telemetry::database::Database;
use tokio_postgres::config::{Host, SslMode};

/// One server that may be tried.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(super) config: Arc<Config>,
    pub(super) tls: Option<TlsConnector>,
    /// Host and port, for messages.
    pub(super) name: String,
}

/// The connection's settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Endpoint {
    /// All endpoints that the settings name, in their order.
    ///
    /// # Errors
    /// When no user is named, or TLS is wanted and no root certificates are found.
    pub(crate) fn all(database: &Database) -> Result<Vec<Self>, Unusable> {
        let from = database.config();
        let mode = match from.get_ssl_mode() {
            SslMode::Disable => "disable",
            SslMode::Prefer => "prefer",
            _ => "require",
        };
        let user = from.get_user().ok_or_else(|| Unusable("no user is named".to_owned()))?;
        let tls = if from.get_ssl_mode() == SslMode::Disable { None } else { Some(connector(database)?) };
        let ports = from.get_ports();
        let mut endpoints = Vec::new();
        for (at, host) in from.get_hosts().iter().enumerate() {
            // pgwire does not export its SslMode, but reads it.
            let mut config: Config = format!("sslmode={mode} user=_").parse().map_err(|error| {
                Unusable(format!("pgwire's configuration: {}", telemetry::database::reason(&error)))
            })?;
            config.user(user).dbname(from.get_dbname().unwrap_or(user)).protocol_version(ProtocolVersion::PROTOCOL3_0);
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            config.port(port);
            config.application_name(from.get_application_name().unwrap_or("cdc-capture"));
            if let Some(password) = from.get_password() {
                config.password(password);
            }
            if let Some(options) = from.get_options() {
                config.options(options);
            }
            let name = match host {
                Host::Tcp(name) => {
                    config.host(name);
                    format!("{name}:{port}")
                }
                Host::Unix(path) => {
                    config.host_path(path);
                    format!("{}:{port}", path.display())
                }
            };
            if let Some(address) = from.get_hostaddrs().get(at) {
                config.hostaddr(*address);
            }
            endpoints.push(Self { config: Arc::new(config), tls: tls.clone(), name });
        }
        Ok(endpoints)
    }
}

/// Certificate and host name are always verified.
fn connector(database: &Database) -> Result<TlsConnector, Unusable> {
    let config = database.tls_config().map_err(|error| Unusable(format!("TLS: {error}")))?;
    Ok(TlsConnector::from(Arc::new(config)))
}
