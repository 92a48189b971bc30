//! The settings by which every service reaches Kafka. No client here: only their text.

use crate::settings::Problems;

/// Flags for reaching Kafka; flatten them into a service's own.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Brokers to ask first, as `host:port,host:port`.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "HOST:PORT,…")]
    kafka_bootstrap_servers: Option<String>,

    /// A librdkafka property, such as `security.protocol=SASL_SSL`; repeat it, or separate several in the variable by
    /// line breaks. `KEY=@FILE` reads the value from a file, as secrets should be.
    #[arg(long, env = "KAFKA_CONFIG", value_name = "KEY=VALUE", value_delimiter = '\n', hide_env_values = true)]
    kafka_config: Vec<String>,

    /// Put before every topic's name, for several installations on one cluster (`staging.`).
    #[arg(long, env = "TOPIC_PREFIX", default_value = "")]
    topic_prefix: String,
}

/// How to reach Kafka.
#[derive(Clone)]
pub struct Kafka {
    /// `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// Further librdkafka properties, in the order given. May hold secrets: not to be logged.
    pub properties: Vec<(String, String)>,
    /// Put before every topic's name.
    pub topic_prefix: String,
}

impl Kafka {
    /// A broker without further properties and without a prefix.
    pub fn at(bootstrap_servers: impl Into<String>) -> Self {
        Self { bootstrap_servers: bootstrap_servers.into(), properties: Vec::new(), topic_prefix: String::new() }
    }

    /// The name under which a topic of the contracts exists on this cluster.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.topic_prefix)
    }
}

impl KafkaArgs {
    /// Checks the flags, noting each problem.
    pub fn check(self, problems: &mut Problems) -> Option<Kafka> {
        let servers = problems.required(
            "--kafka-bootstrap-servers / KAFKA_BOOTSTRAP_SERVERS",
            self.kafka_bootstrap_servers.filter(|servers| !servers.trim().is_empty()),
        );
        let mut properties = Vec::new();
        for property in self.kafka_config.iter().map(|property| property.trim()).filter(|property| !property.is_empty())
        {
            match property.split_once('=').filter(|(key, _)| !key.is_empty()) {
                None => problems.add("--kafka-config / KAFKA_CONFIG", "expected KEY=VALUE"),
                Some((key, value)) => match value.strip_prefix('@') {
                    None => properties.push((key.to_owned(), value.to_owned())),
                    Some(file) => match std::fs::read_to_string(file) {
                        Ok(content) => properties.push((key.to_owned(), content.trim_end().to_owned())),
                        Err(error) => problems.add("--kafka-config / KAFKA_CONFIG", format!("{key}=@{file}: {error}")),
                    },
                },
            }
        }
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.topic_prefix.len() > 64 || !self.topic_prefix.bytes().all(legal) {
            problems.add("--topic-prefix / TOPIC_PREFIX", "at most 64 of a-z A-Z 0-9 . _ - are allowed");
        }
        Some(Kafka { bootstrap_servers: servers?, properties, topic_prefix: self.topic_prefix })
    }
}
