//! The databases of one run: the contexts' and the views', each with the logins that its services need and no more.

use std::time::Duration;

use anyhow::Context;
use cdc_capture::SetupSettings;
use servers::{Login, TempDatabase};
use telemetry::{database::Database, kafka::Kafka};
use write_service::{Surroundings, clock::Clock, contexts};

/// Empty databases for this run alone; dropped with this value, and slot and logins with them.
pub(crate) struct Databases {
    pub(crate) write: TempDatabase,
    pub(crate) read: TempDatabase,
    writer: Login,
    relay: Login,
    reader: Login,
}

impl Databases {
    /// Makes them, with schemas, roles, publication and slot.
    pub(crate) async fn create(admin_url: &str) -> anyhow::Result<Self> {
        let write = TempDatabase::create_on(admin_url, "waybill").await?;
        let read = TempDatabase::create_on(admin_url, "views").await?;
        write_service::migrate(&database(&write.url())?).await.context("the contexts' schemas")?;
        read_service::migrate(&database(&read.url())?).await.context("the views' schema")?;
        let schemas = contexts::ALL.map(|context| context.schema);
        let writer = write.create_login("writer", &format!("NOINHERIT IN ROLE {}", schemas.join(", "))).await?;
        let reader = read.create_login("reader", "NOINHERIT IN ROLE read_service").await?;
        let relay = write.create_login("relay", "REPLICATION").await?;
        cdc_capture::setup(SetupSettings {
            format: cdc_capture::outbox::Format::default(),
            database: database(&write.url())?,
            tables: schemas.map(|schema| format!("{schema}.outbox").parse()).into_iter().collect::<Result<_, _>>()?,
            role: Some(relay.role.parse()?),
            slot: relay.role.parse()?,
            failover: false,
            publication: "waybill".parse()?,
        })
        .await
        .context("publication and slot")?;
        Ok(Self { write, read, writer, relay, reader })
    }

    /// A name of this run's own.
    pub(crate) fn name(&self) -> &str {
        self.write.name()
    }

    /// The write service, which takes the time of a command from the command: a replay has a clock of its own.
    pub(crate) fn write_settings(
        &self,
        kafka: Kafka,
        card_processor: &str,
        traced: bool,
    ) -> anyhow::Result<write_service::Settings> {
        let surroundings = Surroundings {
            card_processor: card_processor.parse()?,
            card_wait: Duration::from_secs(600),
            card_details: write_service::CardDetails::Cache,
            booking_expiry: Duration::from_secs(1800),
        };
        let settings = write_service::Settings::all_in(&database(&self.writer.url)?, kafka, surroundings);
        Ok(write_service::Settings { clock: Clock::Request, trace_messages: traced, ..settings })
    }

    /// The capture.
    pub(crate) fn capture_settings(&self, kafka: Kafka, traced: bool) -> anyhow::Result<cdc_capture::Settings> {
        let partitions = contracts::topics()
            .filter_map(|topic| Some((kafka.topic(topic.name), usize::try_from(topic.partitions).ok()?)));
        let topic_partitions = cdc_capture::TopicPartitions::of(partitions);
        let settings = cdc_capture::Settings::new(database(&self.relay.url)?, kafka);
        Ok(cdc_capture::Settings { slot: self.relay.role.parse()?, topic_partitions, trace: traced, ..settings })
    }

    /// The read service.
    pub(crate) fn read_settings(&self, kafka: Kafka, traced: bool) -> anyhow::Result<read_service::Settings> {
        let projecting = read_service::Projecting { trace_messages: traced, ..read_service::Projecting::new(kafka) };
        let serving = Some(read_service::Serving::default());
        Ok(read_service::Settings { database: database(&self.reader.url)?, projecting: Some(projecting), serving })
    }
}

fn database(url: &str) -> anyhow::Result<Database> {
    Database::parse(url).map_err(anyhow::Error::msg)
}
