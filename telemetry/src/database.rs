//! The PostgreSQL connection pool.
//!
//! TLS: without `sslmode` in the URL it is off for this machine (loopback, Unix sockets) and required for every other.
//! Required always means verified, certificate and host name, against the system's roots or those in `SSL_CERT_FILE`.

use std::{str::FromStr, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, health::Part, settings::Problems};

/// Where the database is, and as whom to work there.
#[derive(Clone)]
pub struct Database {
    config: Config,
    pool_size: usize,
}

impl Database {
    /// Reads a `postgres://` URL or a `key=value` connection string.
    ///
    /// # Errors
    /// When it is neither. The message holds no part of the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The driver has no name for what it always does here once TLS is on: verify everything.
        let text = text.replace("sslmode=verify-full", "sslmode=require");
        let mut config = Config::from_str(&text).map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })?;
        if config.get_hosts().is_empty() {
            return Err("no host is named".to_owned());
        }
        if !text.contains("sslmode=") {
            config.ssl_mode(if config.get_hosts().iter().all(is_local) { SslMode::Disable } else { SslMode::Require });
        }
        config.connect_timeout(Duration::from_secs(5)).keepalives_idle(Duration::from_secs(30));
        Ok(Self { config, pool_size: 8 })
    }

    /// Reads the URL of a setting, noting what is wrong with it.
    pub fn check(setting: &str, url: Option<&str>, problems: &mut Problems) -> Option<Self> {
        let url = problems.required(setting, url)?;
        Self::parse(url).map_err(|reason| problems.add(setting, reason)).ok()
    }

    /// Works as this role from the first statement on (`SET ROLE`): a login that is a member of several roles has the
    /// privileges of this one alone.
    #[must_use]
    pub fn as_role(mut self, role: &str) -> Self {
        let options = self.config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        self.config.options(format!("{options}-c role={role}"));
        self
    }

    /// What the server's own lists show this connection as.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        self.config.application_name(name);
        self
    }

    /// At most so many connections. 8 unless set.
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// The driver's own configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A pool that has not connected yet.
    ///
    /// # Errors
    /// When the system's root certificates are needed and cannot be read.
    pub fn pool(&self) -> std::io::Result<Pool> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls()?, recycling);
        Pool::builder(manager)
            .max_size(self.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(5)))
            .create_timeout(Some(Duration::from_secs(5)))
            .build()
            .map_err(std::io::Error::other)
    }

    /// The TLS side of a connection by [`Database::config`].
    ///
    /// # Errors
    /// When the system's root certificates are needed and cannot be read.
    pub fn tls(&self) -> std::io::Result<MakeRustlsConnect> {
        let mut roots = RootCertStore::empty();
        if self.config.get_ssl_mode() != SslMode::Disable {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(std::io::Error::other(format!("no root certificates found: {:?}", found.errors)));
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Waits until the pool's database answers, with backoff, saying meanwhile through `part` why the service is not ready.
/// `false` when the token was cancelled first.
pub async fn wait_until_there(pool: &Pool, part: &Part, shutdown: &CancellationToken) -> bool {
    let mut backoff = Backoff::for_connecting();
    loop {
        match pool.get().await {
            Ok(_) => {
                part.ready();
                return true;
            }
            Err(error) => part.not_ready(format!("PostgreSQL: {}", reason(&error))),
        }
        tokio::select! {
            () = shutdown.cancelled() => return false,
            () = tokio::time::sleep(backoff.next_wait()) => {}
        }
    }
}

/// An error with its causes, which drivers tend to leave out of the first line.
pub fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssl_mode(url: &str) -> SslMode {
        Database::parse(url).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn tls_is_off_at_home_and_on_abroad() {
        assert_eq!(ssl_mode("postgres://a@127.0.0.1/x"), SslMode::Disable);
        assert_eq!(ssl_mode("postgres://a@localhost/x"), SslMode::Disable);
        assert_eq!(ssl_mode("postgres://a@db.example/x"), SslMode::Require);
        assert_eq!(ssl_mode("postgres://a@db.example/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(ssl_mode("postgres://a@localhost/x?sslmode=verify-full"), SslMode::Require);
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        let refusal = Database::parse("postgres://me:secret@host:port/x").err().unwrap();
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}
