//! The PostgreSQL connection pool.
//!
//! TLS: without `sslmode` in the URL it is off for this machine (loopback, Unix sockets) and required for every other.
//! Required always means verified, certificate and host name, against the roots in the URL's `sslrootcert`, else the
//! system's or those in `SSL_CERT_FILE`.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::{
    Client, Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, health::Part, settings::Problems};

// Set in any case, for the session: a server's setting that changes later does not reach it then.
const SYNCHRONOUS: &str = "SELECT set_config('synchronous_commit',
    CASE setting WHEN 'off' THEN 'on' ELSE setting END, false) FROM current_setting('synchronous_commit') AS setting";

/// Where the database is, and as whom to work there.
#[derive(Clone)]
pub struct Database {
    config: Config,
    root_certificates: Option<PathBuf>,
    pool_size: usize,
    is_synchronous: bool,
}

impl Database {
    /// Reads a `postgres://` URL or a `key=value` connection string.
    ///
    /// # Errors
    /// When it is neither. The message holds no part of the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The driver has no name for what it always does here once TLS is on: verify everything.
        let text = text.replace("sslmode=verify-full", "sslmode=require");
        let (text, root_certificates) = take_root_certificates(&text);
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
        Ok(Self { config, root_certificates, pool_size: 8, is_synchronous: false })
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

    /// Takes the password from a file, a newline at its end not being part of it, and notes what is wrong with that.
    #[must_use]
    pub fn password_from_file(mut self, setting: &str, file: &str, problems: &mut Problems) -> Self {
        if self.config.get_password().is_some() {
            problems.add(setting, "the URL has a password already: take it out there");
        }
        match std::fs::read_to_string(file) {
            Err(error) => problems.add(setting, format!("{file}: {error}")),
            Ok(content) => {
                let password = content.trim_end_matches(['\r', '\n']);
                if password.is_empty() {
                    problems.add(setting, format!("{file}: is empty"));
                }
                self.config.password(password);
            }
        }
        self
    }

    /// At most so many connections. 8 unless set.
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// What a pool's connections have committed survives a crash of the server, though its setting be `synchronous_commit = off`: that
    /// becomes `on`. Any other stays, as the connection found it when it was made: it may say more than `on`.
    #[must_use]
    pub fn synchronous(mut self) -> Self {
        self.is_synchronous = true;
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
        let mut pool = Pool::builder(manager);
        if self.is_synchronous {
            pool = pool.post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(SYNCHRONOUS).await.map_err(HookError::Backend) })
            }));
        }
        pool.max_size(self.pool_size)
            .runtime(Runtime::Tokio1)
            // The one that was used last: its process has warm caches.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(Duration::from_secs(5)))
            .create_timeout(Some(Duration::from_secs(5)))
            .build()
            .map_err(std::io::Error::other)
    }

    /// The TLS side of a connection by [`Database::config`].
    ///
    /// # Errors
    /// When root certificates are needed and cannot be read.
    pub fn tls(&self) -> std::io::Result<MakeRustlsConnect> {
        self.tls_config().map(MakeRustlsConnect::new)
    }

    /// The same for another client than tokio-postgres.
    ///
    /// # Errors
    /// When root certificates are needed and cannot be read.
    pub fn tls_config(&self) -> std::io::Result<ClientConfig> {
        let roots = if self.config.get_ssl_mode() == SslMode::Disable { RootCertStore::empty() } else { self.roots()? };
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }

    fn roots(&self) -> std::io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.root_certificates else {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(std::io::Error::other(format!("no root certificates found: {:?}", found.errors)));
            }
            return Ok(roots);
        };
        let refused = |reason: String| std::io::Error::other(format!("sslrootcert {}: {reason}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refused(reason(&error)))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| refused(reason(&error)))?;
            roots.add(certificate).map_err(|error| refused(reason(&error)))?;
        }
        if roots.is_empty() { Err(refused("holds no certificate".to_owned())) } else { Ok(roots) }
    }
}

/// Takes `sslrootcert`, which the driver does not know, out of a URL or a connection string.
fn take_root_certificates(text: &str) -> (String, Option<PathBuf>) {
    const NAME: &str = "sslrootcert=";
    let is_url = text.contains("://");
    let borders: &[char] = if is_url { &['?', '&'] } else { &[' ', '\t', '\n'] };
    let starts = |at: &usize| *at == 0 || text[..*at].ends_with(borders);
    let Some(start) = text.match_indices(NAME).map(|(at, _)| at).find(starts) else { return (text.to_owned(), None) };
    let rest = &text[start + NAME.len()..];
    let end = rest.find(if is_url { &['&'][..] } else { borders }).unwrap_or(rest.len());
    let (value, mut after) = rest.split_at(end);
    // The separator goes with it: the one behind it, or at the end the one before it.
    let mut before = &text[..start];
    match after.strip_prefix(borders) {
        Some(next) => after = next,
        None => before = before.strip_suffix(borders).unwrap_or(before),
    }
    let path = if is_url { percent_decoded(value) } else { value.trim_matches('\'').to_owned() };
    (format!("{before}{after}"), Some(PathBuf::from(path)))
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &after[2..]),
            None => (bytes.push(*first), rest = after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
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

/// Whether the server still answers, or is there but hangs: it hangs when a question has waited for `patience` and `goes_on`, asked
/// then, knows of nothing else that has come from it meanwhile. If it does, the question waits as long again, since answers come in
/// order.
pub async fn answers(client: &Client, patience: Duration, mut goes_on: impl FnMut() -> bool) -> bool {
    let question = client.batch_execute("");
    tokio::pin!(question);
    loop {
        match tokio::time::timeout(patience, &mut question).await {
            // An error as well: that a connection was lost, its driver says.
            Ok(_) => return true,
            Err(_) if goes_on() => {}
            Err(_) => return false,
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
    fn root_certificates_are_taken_out_of_the_url() {
        let taken = |text: &str| {
            let (text, path) = take_root_certificates(text);
            (text, path.unwrap().to_str().unwrap().to_owned())
        };
        let url = |text: &str| (text.to_owned(), "/a b/ca.pem".to_owned());
        assert_eq!(taken("postgres://h/x?sslrootcert=/a%20b/ca.pem"), url("postgres://h/x"));
        assert_eq!(taken("postgres://h/x?sslrootcert=/a%20b/ca.pem&a=1"), url("postgres://h/x?a=1"));
        assert_eq!(taken("postgres://h/x?a=1&sslrootcert=/a%20b/ca.pem"), url("postgres://h/x?a=1"));
        assert_eq!(taken("host=h sslrootcert=/ca.pem user=u"), ("host=h user=u".to_owned(), "/ca.pem".to_owned()));
        assert!(take_root_certificates("host=h password=sslrootcert=x").1.is_none());
        let missing = Database::parse("postgres://a@h/x?sslrootcert=/none/ca.pem").unwrap().tls().err().unwrap();
        assert!(missing.to_string().contains("sslrootcert /none/ca.pem"), "{missing}");
    }

    #[test]
    fn a_password_comes_from_a_file_or_from_the_url() {
        let file = std::env::temp_dir().join(format!("waybill-password-{}", std::process::id()));
        std::fs::write(&file, "s3cret \n").unwrap();
        let read = |url: &str, file: &str| {
            let mut problems = Problems::new();
            let database = Database::parse(url).unwrap().password_from_file("--file", file, &mut problems);
            problems.finish(Some(())).map(|()| database.config.get_password().unwrap().to_owned())
        };
        let path = file.to_str().unwrap();
        assert_eq!(read("postgres://a@h/x", path).unwrap(), b"s3cret ");
        assert!(read("postgres://a:b@h/x", path).unwrap_err().to_string().contains("a password already"));
        assert!(read("postgres://a@h/x", "/none/pw").unwrap_err().to_string().contains("--file: /none/pw: "));
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        let refusal = Database::parse("postgres://me:secret@host:port/x").err().unwrap();
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}
