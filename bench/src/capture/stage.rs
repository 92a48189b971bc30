//! The servers, and what each run needs on them: its own slot, its own topic.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use servers::{Kafka, KafkaOptions, Postgres, topics};
use tokio_postgres::Client;

use crate::services::{self, connect};

/// The outbox table's name, and what its rows' `aggregatetype` is; a topic is called like it, after its prefix.
pub(super) const KIND: &str = "booking";
const DATABASE: &str = "bench";
pub(super) const PUBLICATION: &str = "waybill";
const PARTITIONS: i32 = 4;
/// Where a transactional relay keeps its position.
const POSITIONS: &str = "cdc-capture-positions";

const SCHEMA: &str = "
    CREATE TABLE outbox (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL, aggregateid text NOT NULL,
        type text NOT NULL, payload json NOT NULL, aggregateversion bigint NOT NULL, headers json NOT NULL,
        createdat timestamptz NOT NULL DEFAULT now());
    CREATE PUBLICATION waybill FOR TABLE outbox WITH (publish = 'insert', publish_via_partition_root = true);
    CREATE PROCEDURE insert_singly(statement text, rows bigint, start bigint) LANGUAGE plpgsql AS $$
    BEGIN
        FOR row IN start .. start + rows - 1 LOOP
            EXECUTE statement USING row, row;
            COMMIT;
        END LOOP;
    END $$;";

/// A running PostgreSQL with an outbox, and a running Kafka.
pub(super) struct Stage {
    pub(super) postgres: Postgres,
    pub(super) kafka: Kafka,
    pub(super) session: Client,
    numbers: AtomicU32,
    peaks: Mutex<HashMap<&'static str, f64>>,
}

/// Where a run's events go.
pub(super) struct Target {
    /// What the relay puts before the topic's name.
    pub(super) prefix: String,
    /// The whole name.
    pub(super) topic: String,
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        let (postgres, kafka) =
            tokio::try_join!(services::postgres("512MB"), Kafka::start_with(KafkaOptions::default()))?;
        postgres.create_database(DATABASE).await?;
        let session = connect(&postgres.url(DATABASE)).await?;
        session.batch_execute(SCHEMA).await.context("cannot make the outbox")?;
        Ok(Self { postgres, kafka, session, numbers: AtomicU32::new(0), peaks: Mutex::default() })
    }

    /// The database, as the superuser.
    pub(super) fn url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// Another session.
    pub(super) async fn connect(&self) -> Result<Client> {
        connect(&self.url()).await
    }

    /// A number that no other slot or topic has.
    fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a slot. It has every row that is inserted from now on.
    pub(super) async fn slot(&self) -> Result<String> {
        let name = format!("bench_{}", self.number());
        let make = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')";
        self.session.execute(make, &[&name]).await.context("cannot make a slot")?;
        Ok(name)
    }

    /// Drops slots, so that the server may remove their log, and the rows.
    pub(super) async fn clear(&self, slots: &[String]) -> Result<()> {
        for slot in slots {
            let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                        WHERE slot_name = $1 AND NOT active";
            self.session.execute(drop, &[slot]).await.context("cannot drop a slot")?;
        }
        self.session.batch_execute("TRUNCATE outbox; CHECKPOINT").await.context("cannot empty the outbox")
    }

    /// Makes a topic whose records bear the time at which the broker appended them, and one for positions.
    pub(super) async fn topic(&self) -> Result<Target> {
        let prefix = format!("run-{}.", self.number());
        let topic = format!("{prefix}{KIND}");
        let settings = [("message.timestamp.type", "LogAppendTime")];
        let bootstrap = self.kafka.bootstrap_servers();
        topics::create(&bootstrap, &topic, PARTITIONS, &settings).await?;
        topics::create(&bootstrap, &format!("{prefix}{POSITIONS}"), 1, &[("cleanup.policy", "compact")]).await?;
        Ok(Target { prefix, topic })
    }

    pub(super) async fn delete(&self, target: &Target) -> Result<()> {
        let bootstrap = self.kafka.bootstrap_servers();
        topics::delete(&bootstrap, &target.topic).await?;
        topics::delete(&bootstrap, &format!("{}{POSITIONS}", target.prefix)).await
    }

    /// Writes everything to disk, and says where the log ends.
    pub(super) async fn settle(&self) -> Result<String> {
        self.session.batch_execute("CHECKPOINT").await.context("cannot write a checkpoint")?;
        let end = self.session.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await?;
        Ok(end.get(0))
    }

    /// The process that reads the log for whoever streams this slot.
    pub(super) async fn walsender(&self, slot: &str) -> Result<Option<u32>> {
        let ask = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
        let row = self.session.query_opt(ask, &[&slot]).await?;
        Ok(row.and_then(|row| row.get::<_, Option<i32>>(0)).map(i32::unsigned_abs))
    }

    /// Notes how much memory a program has needed at most.
    pub(super) fn note_peak(&self, program: &'static str, mib: f64) {
        let mut peaks = self.peaks.lock().unwrap_or_else(PoisonError::into_inner);
        let peak = peaks.entry(program).or_default();
        *peak = mib.max(*peak);
    }

    /// The highest of a program's so far, in MiB.
    pub(super) fn peak_of(&self, program: &str) -> Vec<f64> {
        let peaks = self.peaks.lock().unwrap_or_else(PoisonError::into_inner);
        peaks.get(program).copied().into_iter().collect()
    }

    /// The highest of our relay so far, in MiB.
    pub(super) fn peak_mib(&self) -> Vec<f64> {
        self.peak_of(super::relay::OURS)
    }
}
