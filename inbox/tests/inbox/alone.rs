//! An intake without a group knows when it has read all that there is.

use std::time::Duration;

use inbox::{Reached, Share, run_alone};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use servers::unique_prefix;
use telemetry::CancellationToken;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::fixture::{DEADLINE, FOUR, Fixture, Recorder, bootstrap, records};

/// Given partitions that end with the markers of transactions, one of which was aborted, when the topic
/// is read in two shares, then the end is told, and not before all is applied; and what comes later is applied too.
#[tokio::test(flavor = "multi_thread")]
async fn it_tells_when_it_is_at_the_end() {
    let fixture = Fixture::new("alone", FOUR).await;
    fixture.produce(&FOUR[0], records(0, 3_000)).await;
    fixture.transaction(3_000, true).await;
    fixture.transaction(3_010, false).await;
    let stop = CancellationToken::new();
    let (mut running, mut reached) = (JoinSet::new(), Vec::new());
    for number in 0..2 {
        let (tell, told) = watch::channel(Reached::default());
        let (intake, share) = (fixture.intake("service"), Share { number, of: 2 });
        running.spawn(run_alone(Recorder::of(FOUR), intake, share, tell, stop.clone()));
        reached.push(told);
    }
    for reached in &mut reached {
        let at_the_end = reached.wait_for(|reached| reached.to_the_end);
        timeout(DEADLINE, at_the_end).await.expect("it comes to the end").unwrap();
    }
    assert_eq!(fixture.effects().await, 3_010);
    fixture.produce(&FOUR[0], records(3_020, 10)).await;
    fixture.await_effects(3_020).await;
    stop.cancel();
    assert_eq!(running.join_all().await, [Ok(()), Ok(())]);
}

impl Fixture {
    /// Writes ten records in a transaction.
    async fn transaction(&self, first: i64, is_committed: bool) {
        let topic = self.kafka.topic(FOUR[0].name);
        let write = move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap())
                .set("transactional.id", unique_prefix("alone"))
                .create()?;
            producer.init_transactions(DEADLINE)?;
            producer.begin_transaction()?;
            for record in records(first, 10) {
                let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(Header { key, value: Some(value) })
                });
                let (key, value) = (record.key.unwrap(), record.value.unwrap());
                let record = BaseRecord::to(&topic).key(&key).payload(&value).headers(headers);
                producer.send(record).map_err(|(error, _)| error)?;
            }
            producer.flush(Duration::from_secs(10))?;
            if is_committed { producer.commit_transaction(DEADLINE) } else { producer.abort_transaction(DEADLINE) }
        };
        tokio::task::spawn_blocking(write).await.unwrap().unwrap();
    }
}
