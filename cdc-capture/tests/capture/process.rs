//! A relay as a process of its own, and what its admin server says.

use std::time::Duration;

use servers::{Process, eventually};

use crate::{
    outbox::{Outbox, SOON},
    security::SECRET,
};

/// The program with these variables beside those that name the outbox; and what `/readyz` says.
pub(crate) struct Program {
    pub(crate) process: Process,
    admin: String,
}

impl Program {
    pub(crate) fn run(outbox: &Outbox, environment: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let admin = format!("127.0.0.1:{port}");
        let mut all = vec![
            ("ADMIN_LISTEN", admin.as_str()),
            ("DATABASE_URL", &outbox.login.url),
            ("KAFKA_BOOTSTRAP_SERVERS", &outbox.kafka.bootstrap_servers),
            ("TOPIC_PREFIX", &outbox.kafka.topic_prefix),
        ];
        all.extend(environment);
        let process = Process::spawn("cdc-capture", ["run", "--slot", &outbox.slot], &all).unwrap();
        Self { process, admin }
    }

    pub(crate) async fn until_readyz_says(&self, words: &str) {
        eventually(&format!("/readyz says {words:?}"), SOON, async || {
            let text = self.get("/readyz").await?;
            assert!(!text.contains(SECRET), "{text}");
            if text.contains(words) { Ok(Some(())) } else { Err(text) }
        })
        .await;
    }

    pub(crate) async fn get(&self, path: &str) -> Result<String, String> {
        let url = format!("http://{}{path}", self.admin);
        let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
        answer.text().await.map_err(|error| error.to_string())
    }

    pub(crate) async fn end(self) {
        let status = self.process.terminate(Duration::from_secs(20)).await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.process.log());
        assert!(!self.process.log().contains(SECRET), "secrets stay out of the log");
    }
}
