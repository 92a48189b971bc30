//! The Kafka side: a consumer group that shares out the work, and nothing else. Where reading starts is told to it.
//!
//! librdkafka waits for an answer to each rebalance. Its callback runs while messages are polled, where no SQL can be
//! awaited; so it only passes the news on, and the intake answers with [`Member::assign`] or
//! [`Member::give_up`] once it is ready to. The protocol is the eager one: all partitions are given up and given
//! out at each rebalance, which leaves a single state to reason about.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use futures::StreamExt;
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, MessageStream, StreamConsumer},
    error::{KafkaError, KafkaResult},
    statistics::Statistics,
    types::RDKafkaRespErr,
};
use telemetry::kafka::Kafka;
use tokio::sync::{mpsc, watch};

use crate::topics::{Partition, Topics};

/// What the group tells; each awaits an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rebalance {
    /// These partitions are this instance's. Answer: [`Member::assign`].
    Assigned(Vec<Partition>),
    /// No partition is any more. Answer: [`Member::give_up`].
    Revoked,
}

/// What the client last saw of the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// Whether any broker is connected.
    pub(crate) connected: bool,
    /// Where each partition ends, as far as known.
    pub(crate) ends: Vec<(Partition, i64)>,
}

/// A membership in the consumer group. Dropping it leaves the group, which can take as long as a request to the broker.
pub(crate) struct Subscription {
    /// What the group tells.
    pub(crate) news: News,
    /// What the client sees.
    pub(crate) sights: Sights,
    /// The member itself.
    pub(crate) member: Member,
}

/// What the group tells, heard only while messages are polled.
pub(crate) struct News(mpsc::UnboundedReceiver<Rebalance>);

/// What the client sees, once a second, while messages are polled.
pub(crate) struct Sights(watch::Receiver<Sight>);

/// The member of the group that reads.
pub(crate) struct Member {
    consumer: Arc<GroupConsumer>,
    is_held: bool,
    topics: Arc<Topics>,
}

/// The client.
pub(crate) type GroupConsumer = StreamConsumer<Callbacks>;

impl Subscription {
    /// Makes a client, which reports each end of a partition that it comes to, if so wished. It connects in the background
    /// and joins nothing yet.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub(crate) fn connect(kafka: &Kafka, group: &str, topics: &Arc<Topics>, tells_ends: bool) -> KafkaResult<Self> {
        // Bounded by the protocol: the next news wait for the answer to the last.
        let (tell, news) = mpsc::unbounded_channel();
        let (see, sights) = watch::channel(Sight::default());
        let callbacks = Callbacks { tell, see, topics: topics.clone() };
        let consumer = Arc::new(config(kafka, group, tells_ends).create_with_context(callbacks)?);
        Ok(Self {
            news: News(news),
            sights: Sights(sights),
            member: Member { consumer, is_held: false, topics: topics.clone() },
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // From here on the callback answers for itself. What it has told before must still be answered, or the client
        // would wait for that when it is closed; both answers do nothing when none is due.
        self.news.0.close();
        let consumer = &self.member.consumer;
        for answer in [consumer.assign(&TopicPartitionList::new()), consumer.unassign()] {
            if let Err(error) = answer {
                tracing::debug!(%error, "giving up partitions");
            }
        }
    }
}

impl News {
    /// The next thing that the group tells.
    pub(crate) async fn next(&mut self) -> Rebalance {
        match self.0.recv().await {
            Some(news) => news,
            // The sender lives in the client, which lives as long.
            None => std::future::pending().await,
        }
    }

    /// Whether there is something to answer.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Sights {
    /// What the client sees, when it is something new.
    pub(crate) async fn next(&mut self) -> Sight {
        if self.0.changed().await.is_err() {
            // The sender lives in the client, which lives as long.
            std::future::pending::<()>().await;
        }
        self.0.borrow_and_update().clone()
    }
}

impl Member {
    /// Joins the group.
    pub(crate) fn join(&self) -> KafkaResult<()> {
        let names: Vec<&str> = self.topics.iter().map(|topic| topic.on_cluster.as_str()).collect();
        self.consumer.subscribe(&names)
    }

    /// The messages, in order within each partition.
    pub(crate) fn messages(&self) -> MessageStream<'_, Callbacks> {
        self.consumer.stream()
    }

    /// Hears what the client has to tell, for ever: unheard, it would pile up. For a member that has not joined: it gets no
    /// messages.
    pub(crate) async fn listen(&self) -> Infallible {
        let mut messages = self.messages();
        loop {
            if let Some(Err(error)) = messages.next().await {
                tracing::debug!(%error, "consumer");
            }
        }
    }

    /// Reads these partitions from these offsets and no others. Messages that were fetched before are dropped: none from
    /// before the call comes after it.
    pub(crate) fn assign(&mut self, next: &BTreeMap<Partition, i64>) -> KafkaResult<()> {
        self.is_held = false;
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (partition, offset) in next {
            let topic = &self.topics.of(*partition).on_cluster;
            list.add_partition_offset(topic, partition.number, Offset::Offset(*offset))?;
        }
        self.consumer.assign(&list)
    }

    /// Reads no partition any more.
    pub(crate) fn give_up(&mut self) -> KafkaResult<()> {
        self.is_held = false;
        self.consumer.unassign()
    }

    /// Reads no partition for now, until it is assigned where to go on. The group does not hear of it.
    pub(crate) fn hold(&mut self) -> KafkaResult<()> {
        self.is_held = true;
        self.consumer.assign(&TopicPartitionList::new())
    }

    /// Whether it does.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// The client, for requests that block.
    pub(crate) fn client(&self) -> Arc<GroupConsumer> {
        self.consumer.clone()
    }
}

fn config(kafka: &Kafka, group: &str, tells_ends: bool) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", "10000")
        // A rebalance is noticed by the answer to a heartbeat.
        .set("heartbeat.interval.ms", "500")
        // An instance that waits for its database answers no rebalance, and holds up the group for so long.
        .set("max.poll.interval.ms", "120000")
        .set("fetch.min.bytes", "1")
        // An idle client is to cost the broker little; but a fetch that waits delays the first message after an assignment.
        .set("fetch.wait.max.ms", "500")
        // Librdkafka's default of a second is the latency and throughput of everything once the prefetch is bounded.
        .set("fetch.queue.backoff.ms", "2")
        .set("queued.min.messages", "4000")
        .set("queued.max.messages.kbytes", "4096")
        .set("socket.nagle.disable", "true")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("statistics.interval.ms", "1000");
    kafka.set_properties(&mut config);
    if tells_ends {
        // The end of a partition is told with the answer to a fetch that finds nothing.
        config.set("fetch.wait.max.ms", "10");
    }
    // What the guarantees rest on cannot be set from outside.
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", if tells_ends { "true" } else { "false" })
        .set("allow.auto.create.topics", "false");
    config
}

/// What librdkafka calls while messages are polled.
pub(crate) struct Callbacks {
    tell: mpsc::UnboundedSender<Rebalance>,
    see: watch::Sender<Sight>,
    topics: Arc<Topics>,
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A broker that is away is for the health part to tell, once, and not for each try to connect.
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }

    fn stats(&self, statistics: Statistics) {
        self.see.send_replace(sight(&statistics, &self.topics));
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assigned = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let news = if assigned { Rebalance::Assigned(self.partitions(partitions)) } else { Rebalance::Revoked };
        tracing::debug!(?news, "rebalance");
        if self.tell.send(news).is_ok() {
            return;
        }
        // Nobody listens any more: the subscription is being dropped.
        let answer = if assigned { consumer.assign(&TopicPartitionList::new()) } else { consumer.unassign() };
        if let Err(error) = answer {
            tracing::debug!(%error, "giving up partitions");
        }
    }
}

impl Callbacks {
    fn partitions(&self, list: &TopicPartitionList) -> Vec<Partition> {
        list.elements().iter().filter_map(|found| self.topics.partition(found.topic(), found.partition())).collect()
    }
}

fn sight(statistics: &Statistics, topics: &Topics) -> Sight {
    let connected = statistics.brokers.values().any(|broker| broker.state == "UP" && broker.nodeid >= 0);
    let mut ends = Vec::new();
    for (topic, found) in &statistics.topics {
        for partition in found.partitions.values() {
            // What is after the last stable offset belongs to transactions that are still open.
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            let known = topics.partition(topic, partition.partition).filter(|_| end >= 0);
            ends.extend(known.map(|partition| (partition, end)));
        }
    }
    Sight { connected, ends }
}
