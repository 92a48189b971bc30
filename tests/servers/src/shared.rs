//! The servers that all tests of one run share, named by two variables. A test that needs them and does not find them
//! fails: it is never skipped.

use std::sync::OnceLock;

/// The variable that names the shared PostgreSQL server: the URL of a superuser.
pub const TEST_DATABASE_URL: &str = "TEST_DATABASE_URL";
/// The variable that names the shared Kafka: `HOST:PORT`.
pub const KAFKA_BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// The PostgreSQL server that all tests share.
#[derive(Debug)]
pub struct SharedPostgres {
    /// The URL of a superuser.
    pub admin_url: String,
}

/// The Kafka cluster that all tests share.
#[derive(Debug)]
pub struct SharedKafka {
    /// `HOST:PORT`, as a client's `bootstrap.servers` takes it.
    pub bootstrap_servers: String,
}

/// The shared PostgreSQL server.
///
/// # Panics
/// When the environment does not name it.
pub fn postgres() -> &'static SharedPostgres {
    static POSTGRES: OnceLock<SharedPostgres> = OnceLock::new();
    POSTGRES.get_or_init(|| SharedPostgres { admin_url: required(TEST_DATABASE_URL) })
}

/// The shared Kafka cluster.
///
/// # Panics
/// When the environment does not name it.
pub fn kafka() -> &'static SharedKafka {
    static KAFKA: OnceLock<SharedKafka> = OnceLock::new();
    KAFKA.get_or_init(|| SharedKafka { bootstrap_servers: required(KAFKA_BOOTSTRAP_SERVERS) })
}

fn required(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{variable} is not set, so this test has no server to run on. Run `make test`, or for one crate: \
             cargo run -p servers -- run -- cargo test -p inbox"
        ),
    }
}
