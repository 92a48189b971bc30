//! How many partitions a topic has: by that number a key has its partition. Where it changes, later versions of an aggregate go to
//! another partition than earlier ones, and overtake them; so nothing is sent then.

use std::{
    collections::HashMap,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use telemetry::{kafka::Kafka, settings::Problems};

use crate::outbox::is_topic_name;

/// What is known of the topics' numbers, by whoever takes part in one relay.
#[derive(Clone, Debug, Default)]
pub struct TopicPartitions {
    /// By the topic's name on the cluster.
    expected: Arc<HashMap<String, usize>>,
    /// Those that were written to since the process started, and how many they had.
    seen: Arc<Mutex<HashMap<String, usize>>>,
}

/// A topic has another number of partitions than it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongNumber {
    /// Than it was said to have.
    #[error(
        "it has {found} partitions, and by --topic-partitions {expected}: later events of a key would overtake earlier ones. \
         Write to a new topic instead"
    )]
    Unexpected {
        /// As the cluster has it.
        found: usize,
        /// As the setting has it.
        expected: usize,
    },
    /// Than it had.
    #[error(
        "it has {found} partitions and had {before}: later events of a key would overtake earlier ones. Write to a new topic \
         instead, or start again once all readers have read it to its end"
    )]
    Changed {
        /// As the cluster has it.
        found: usize,
        /// As it was.
        before: usize,
    },
}

impl TopicPartitions {
    /// The topics, by their names on the cluster, that are to have so many.
    pub fn of(expected: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self { expected: Arc::new(expected.into_iter().collect()), seen: Arc::default() }
    }

    /// Reads `TOPIC=NUMBER`, each without the prefix, noting what is wrong.
    pub(crate) fn check(setting: &str, list: &[String], kafka: Option<&Kafka>, problems: &mut Problems) -> Self {
        let mut expected = HashMap::new();
        for text in list.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let number = |number: &str| usize::from_str(number).ok().filter(|number| (1..=100_000).contains(number));
            let named = text.split_once('=').and_then(|(topic, count)| Some((topic, number(count)?)));
            match named.filter(|(topic, _)| is_topic_name(topic)) {
                None => problems.add(setting, format!("{text:?}: expected TOPIC=NUMBER, from 1 to 100000")),
                Some((topic, count)) => {
                    let topic = kafka.map_or_else(|| topic.to_owned(), |kafka| kafka.topic(topic));
                    if expected.insert(topic, count).is_some_and(|before| before != count) {
                        problems.add(setting, format!("{text:?}: there is another number for this topic"));
                    }
                }
            }
        }
        Self::of(expected)
    }

    /// Whether it is the number that was said.
    ///
    /// # Errors
    /// When it is another.
    pub fn expects(&self, topic: &str, found: usize) -> Result<(), WrongNumber> {
        match self.expected.get(topic) {
            Some(&expected) if expected != found => Err(WrongNumber::Unexpected { found, expected }),
            _ => Ok(()),
        }
    }

    /// Whether a topic that has so many may be written to. From then on it is to have as many.
    ///
    /// # Errors
    /// When it may not.
    pub fn admit(&self, topic: &str, found: usize) -> Result<(), WrongNumber> {
        self.expects(topic, found)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen.entry(topic.to_owned()).or_insert(found) {
            before if before == found => Ok(()),
            before => Err(WrongNumber::Changed { found, before }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_the_number_that_was_said_or_that_it_had_first() {
        let topics = TopicPartitions::of([("orders".to_owned(), 4)]);
        assert_eq!(topics.admit("orders", 8), Err(WrongNumber::Unexpected { found: 8, expected: 4 }));
        assert_eq!(topics.admit("orders", 4), Ok(()));
        let another_session = topics.clone();
        assert_eq!(topics.admit("invoices", 2), Ok(()));
        assert_eq!(another_session.admit("invoices", 3), Err(WrongNumber::Changed { found: 3, before: 2 }));
        assert_eq!(another_session.admit("invoices", 2), Ok(()));
    }

    #[test]
    fn topics_are_named_without_the_prefix() {
        let checked = |list: &[&str]| {
            let (list, mut problems) = (list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), Problems::new());
            let kafka = Kafka { topic_prefix: "staging.".to_owned(), ..Kafka::at("localhost:9092") };
            let topics = TopicPartitions::check("--topic-partitions", &list, Some(&kafka), &mut problems);
            problems.finish(Some(topics)).map_err(|problems| problems.to_string())
        };
        let topics = checked(&["orders=4", " a.v1=1", ""]).unwrap();
        assert!(topics.expects("staging.orders", 5).is_err() && topics.expects("orders", 5).is_ok());
        for wrong in ["orders", "orders=", "orders=0", "=4", "a topic=4", "orders=four"] {
            assert!(checked(&[wrong]).unwrap_err().contains("expected TOPIC=NUMBER"), "{wrong}");
        }
        assert!(checked(&["orders=4", "orders=8"]).unwrap_err().contains("another number"));
    }
}
