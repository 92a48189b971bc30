//! TLS, passwords and SASL on real servers that insist on them, with a CA of the test's own.

use std::path::PathBuf;

use cdc_capture::check::Verdict;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use servers::{Kafka, KafkaOptions, Postgres, PostgresOptions, TempDatabase, shared};
use telemetry::database::Database;
use tempfile::TempDir;

use crate::{
    outbox::{Outbox, Relay},
    process::Program,
};

pub(crate) const SECRET: &str = "hunter2-of-the-relay";

/// A certificate authority; `ca.pem` in its directory is its certificate.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, dir: tempfile::tempdir().unwrap() };
        authority.keep("ca.pem", &authority.issuer.pem());
        authority
    }

    /// Certificate and key of a server that is named by its address only.
    fn server(&self) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "server");
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn keep(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn file(&self) -> String {
        self.dir.path().join("ca.pem").to_str().unwrap().to_owned()
    }
}

/// A PostgreSQL that takes everyone but its superuser by TLS only.
async fn postgres(authority: &Authority) -> Postgres {
    let (certificate, key) = authority.server();
    let settings = [("ssl", "on"), ("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")];
    let hba = "host all postgres 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    let files = [("server.pem", certificate.as_str()), ("server.key", &key), ("pg_hba.conf", hba)];
    let options = PostgresOptions {
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        files: files.map(|(name, content)| (name.to_owned(), content.to_owned())).to_vec(),
        ..PostgresOptions::default()
    };
    Postgres::start(options).await.unwrap()
}

#[tokio::test]
async fn postgres_is_reached_by_verified_tls_or_not_at_all() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger"));
    let server = postgres(&authority).await;
    let database = TempDatabase::create_on(&server.url("postgres"), "tls").await.unwrap();
    let mut outbox = Outbox::bare_in(database, "tls", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 1).await;
    outbox.set_up().await.unwrap();
    let plain = outbox.login.url.clone();
    let url = |authority: &Authority| format!("{plain}?sslmode=verify-full&sslrootcert={}", authority.file());
    let with = |url: &str| {
        let mut settings = outbox.settings();
        settings.database = Database::parse(url).unwrap();
        settings
    };

    let relay = Relay::start(with(&url(&authority)));
    relay.until("ready by TLS", |report| report.ready).await;
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE ssl";
    assert_eq!(outbox.client.query_one(encrypted, &[]).await.unwrap().get::<_, i64>(0), 1);
    relay.stop().await;
    outbox.assert_all_there("k", 10).await;
    let report = cdc_capture::check(&with(&url(&authority))).await;
    assert!(report.passed(), "{report}");

    let elsewhere = url(&authority).replace("@127.0.0.1", "@localhost");
    for (url, words) in [
        (
            url(&stranger),
            "invalid peer certificate: UnknownIssuer: name the server as its certificate does, and its CA",
        ),
        (elsewhere, "not valid for name \"localhost\""),
        (format!("{plain}?sslmode=disable"), "no encryption"),
    ] {
        let relay = Relay::start(with(&url));
        relay.until_part_says("postgres", words).await;
        relay.stop().await;
        let report = cdc_capture::check(&with(&url)).await;
        let named = report
            .lines()
            .iter()
            .any(|line| line.verdict == Verdict::Problem && line.text.starts_with("PostgreSQL cannot be reached: "));
        assert!(named, "{report}");
    }

    // The password comes from a file, first a wrong one.
    let password = outbox.login.url.split([':', '@']).nth(2).unwrap().to_owned();
    outbox.login.url = url(&authority).replace(&format!(":{password}@"), "@");
    let file = authority.keep("password", &format!("{SECRET}\n"));
    let environment = [("DATABASE_PASSWORD_FILE", file.to_str().unwrap())];
    let program = Program::run(&outbox, &environment);
    program.until_readyz_says("check the user, its password and pg_hba.conf").await;
    program.end().await;
    authority.keep("password", &format!("{password}\n"));
    let program = Program::run(&outbox, &environment);
    program.until_readyz_says("\"ready\":true").await;
    program.end().await;
}

/// A Kafka whose second listener takes TLS with SASL only.
async fn kafka(authority: &Authority) -> Kafka {
    let (certificate, key) = authority.server();
    let store = authority.keep("kafka.pem", &format!("{key}{certificate}{}", authority.issuer.pem()));
    let module = "org.apache.kafka.common.security";
    let scram = format!("{module}.scram.ScramLoginModule required;");
    let settings = [
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned()),
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", store.to_str().unwrap().to_owned()),
        (
            "listener.name.sasl_ssl.plain.sasl.jaas.config",
            format!("{module}.plain.PlainLoginModule required user_relay=\"{SECRET}\";"),
        ),
        ("listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config", scram.clone()),
        ("listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config", scram),
    ];
    let credentials = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
        .iter()
        .flat_map(|mechanism| ["--add-scram".to_owned(), format!("{mechanism}=[name=relay,password={SECRET}]")]);
    let options = KafkaOptions {
        settings: settings.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        second_listener: Some("SASL_SSL".to_owned()),
        format_arguments: credentials.collect(),
    };
    Kafka::start_with(options).await.unwrap()
}

#[tokio::test]
async fn kafka_is_reached_by_sasl_over_verified_tls_or_not_at_all() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger"));
    let broker = kafka(&authority).await;
    let mut outbox = Outbox::create_with("sasl", &broker.bootstrap_servers()).await;
    let properties = |mechanism: &str, authority: &Authority, password: &str| {
        let password = authority.keep("password", password);
        format!(
            "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.username=relay\nsasl.password=@{}\n\
             ssl.ca.location={}",
            password.display(),
            authority.file()
        )
    };
    let second = broker.second_bootstrap_servers();
    let plain = std::mem::replace(&mut outbox.kafka.bootstrap_servers, second);
    for (at, mechanism) in (0..).zip(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
        let program = Program::run(&outbox, &[("KAFKA_CONFIG", &properties(mechanism, &authority, SECRET))]);
        program.until_readyz_says("\"ready\":true").await;
        outbox.insert("k", at..at + 1).await;
        outbox.drained().await;
        program.end().await;
    }
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let wrong = format!("{SECRET}-mistyped");
        let program = Program::run(&outbox, &[("KAFKA_CONFIG", &properties(mechanism, &authority, &wrong))]);
        program.until_readyz_says("Authentication failed").await;
        program.end().await;
    }
    let program = Program::run(&outbox, &[("KAFKA_CONFIG", &properties("PLAIN", &stranger, SECRET))]);
    program.until_readyz_says("certificate verify failed").await;
    program.end().await;

    outbox.kafka.bootstrap_servers = plain;
    outbox.assert_all_there("k", 3).await;
}
