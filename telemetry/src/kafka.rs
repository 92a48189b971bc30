//! The settings by which every service reaches Kafka, checked before any client is made of them.

use rdkafka::{ClientConfig, error::KafkaError};

use crate::settings::Problems;

const CONFIG: &str = "--kafka-config / KAFKA_CONFIG";

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

    /// Sets the further properties in a client's configuration, over what it has; nothing else.
    pub fn set_properties(&self, config: &mut ClientConfig) {
        for (key, value) in &self.properties {
            config.set(key, value);
        }
    }

    /// What a property is set to; as in librdkafka, the last one counts.
    pub fn property(&self, name: &str) -> Option<&str> {
        let (_, value) = self.properties.iter().rev().find(|(key, _)| key == name)?;
        Some(value)
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
                None => problems.add(CONFIG, "expected KEY=VALUE"),
                Some((key, value)) => match value.strip_prefix('@') {
                    None => properties.push((key.to_owned(), value.to_owned())),
                    Some(file) => match std::fs::read_to_string(file) {
                        Ok(content) => properties.push((key.to_owned(), content.trim_end().to_owned())),
                        Err(error) => problems.add(CONFIG, format!("{key}=@{file}: {error}")),
                    },
                },
            }
        }
        for (key, value) in &properties {
            if let Err(error) = ClientConfig::new().set(key, value).create_native_config() {
                problems.add(CONFIG, reason(&error));
            }
        }
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.topic_prefix.len() > 64 || !self.topic_prefix.bytes().all(legal) {
            problems.add("--topic-prefix / TOPIC_PREFIX", "at most 64 of a-z A-Z 0-9 . _ - are allowed");
        }
        Some(Kafka { bootstrap_servers: servers?, properties, topic_prefix: self.topic_prefix })
    }
}

/// What a Kafka error says, without a setting's value, which may be a secret and is in the error's own text.
pub fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, key, value) if value.is_empty() => format!("{key}: {reason}"),
        // The client's own words repeat the value.
        KafkaError::ClientConfig(_, reason, key, value) => format!("{key}: {}", reason.replace(value.as_str(), "…")),
        error => crate::database::reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_librdkafka_refuses_is_named_without_its_value() {
        let args = KafkaArgs {
            kafka_bootstrap_servers: Some("127.0.0.1:9092".to_owned()),
            kafka_config: vec!["sasl.passwort=hunter2".to_owned(), "security.protocol=hunter3".to_owned()],
            topic_prefix: String::new(),
        };
        let mut problems = Problems::new();
        let kafka = args.check(&mut problems);
        let message = problems.finish(kafka).map(drop).unwrap_err().to_string();
        assert!(message.contains("sasl.passwort") && message.contains("security.protocol"), "{message}");
        assert!(!message.contains("hunter"), "{message}");
    }
}
