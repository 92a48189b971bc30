//! Where going on would lose or repeat an effect, the intake stops and says why.

use inbox::Halt;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions},
    client::DefaultClientContext,
};

use servers::{eventually, topics};

use crate::fixture::{DEADLINE, FOUR, Fixture, Instance, ONE, Recorder, bootstrap, record, records};

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_halts() {
    let fixture = Fixture::without_topics("partitions").await;
    fixture.create_topic(&FOUR[0], 3).await;
    let mut instance = fixture.start(Recorder::of(FOUR));
    let halt = instance.ended().await.unwrap_err();
    let topic = fixture.kafka.topic(FOUR[0].name);
    assert_eq!(halt, Halt::Partitions { topic, expected: 4, found: 3 });
    instance.await_state(false, &halt.to_string()).await;
}

/// Keys go to other partitions from then on, where later versions of an aggregate would be applied before earlier ones.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_while_it_runs_halt() {
    let fixture = Fixture::new("more partitions", FOUR).await;
    let mut instance = fixture.start(Recorder::of(FOUR));
    fixture.produce(&FOUR[0], records(0, 100)).await;
    fixture.await_effects(100).await;
    let topic = fixture.kafka.topic(FOUR[0].name);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap()).create().unwrap();
    let more = admin.create_partitions([&NewPartitions::new(&topic, 5)], &AdminOptions::new()).await.unwrap();
    assert_eq!(more, [Ok(topic.clone())]);
    assert_eq!(instance.ended().await, Err(Halt::Partitions { topic, expected: 4, found: 5 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_after_the_end_halts() {
    let fixture = Fixture::new("after the end", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.start_and_stop(10).await;
    fixture.admin.batch_execute(r#"UPDATE "the view".inbox_offset SET next_offset = 12"#).await.unwrap();
    fixture.assert_out_of_range(12, 0, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_deleted_unread_halt() {
    let fixture = Fixture::new("deleted", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.start_and_stop(10).await;
    fixture.produce(&ONE[0], records(10, 10)).await;
    fixture.delete_before(15).await;
    fixture.assert_out_of_range(10, 15, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_deleted_while_it_waits_halt() {
    let fixture = Fixture::new("deleted running", ONE).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(true, "").await;
    // As if it had been elsewhere while ten messages came and went: its next try finds the offset moved back.
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.await_effects(10).await;
    fixture.delete_before(10).await;
    fixture.admin.batch_execute(r#"UPDATE "the view".inbox_offset SET next_offset = 5"#).await.unwrap();
    fixture.produce(&ONE[0], records(10, 1)).await;
    let topic = fixture.kafka.topic(ONE[0].name);
    instance.await_halt(Halt::OutOfRange { topic, partition: 0, next: 5, first: 10, end: 11 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_while_it_waits_halts() {
    let fixture = Fixture::new("made anew", ONE).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.await_effects(10).await;
    fixture.make_anew().await;
    fixture.produce(&ONE[0], records(10, 1)).await;
    instance.await_another_topic().await;
    assert_eq!(fixture.effects().await, 10, "nothing of it is applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_and_is_longer_than_before_halts() {
    let fixture = Fixture::new("made longer", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.start_and_stop(10).await;
    fixture.make_anew().await;
    fixture.produce(&ONE[0], records(10, 30)).await;
    fixture.start(Recorder::of(ONE)).await_another_topic().await;
    assert_eq!(fixture.effects().await, 10, "nothing of it is applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_and_longer_while_it_waits_halts() {
    let fixture = Fixture::new("longer running", ONE).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.await_effects(10).await;
    fixture.make_anew().await;
    fixture.produce(&ONE[0], records(10, 30)).await;
    instance.await_another_topic().await;
}

/// Given a handler that waits since its topic is another one, when it is told to begin anew, then it does, without a restart of
/// the service, and what was set aside of the old topic holds nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_halted_begins_anew_when_it_is_told_to() {
    let fixture = Fixture::new("restart", ONE).await;
    fixture.produce(&ONE[0], vec![record("a", 13), record("b", 1)]).await;
    fixture.start_and_stop(1).await;
    fixture.make_anew().await;
    fixture.produce(&ONE[0], vec![record("a", 1), record("a", 2), record("a", 3)]).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_another_topic().await;
    instance.await_state(false, "`service inbox restart --handler recorder`").await;

    let restart = ["restart", "--handler", "recorder"];
    let refused = fixture.command(Recorder::of(ONE), &restart).await.unwrap_err();
    assert!(refused.contains("1 messages that were set aside are dropped") && refused.ends_with("--yes"), "{refused}");
    let confirmed = ["restart", "--handler", "recorder", "--yes"];
    let refused = fixture.command(repeating(), &confirmed).await.unwrap_err();
    assert!(refused.contains("and letters are sent twice") && refused.ends_with("--yes --repeating"), "{refused}");
    assert_eq!((fixture.next_offsets().await, fixture.reasons().await.len()), (2, 1), "nothing is forgotten yet");

    let (done, said) = fixture.command(Recorder::of(ONE), &confirmed).await.unwrap();
    assert!(done && said.contains("recorder begins at the beginning"), "{said}");
    fixture.await_effects(4).await;
    instance.await_state(true, "").await;
    assert_eq!(fixture.reasons().await, [""; 0]);
    assert_eq!(instance.stop().await, Ok(()));
    let repeating_too = ["restart", "--handler", "recorder", "--yes", "--repeating"];
    assert!(fixture.command(repeating(), &repeating_too).await.unwrap().0);
    assert_eq!(fixture.next_offsets().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_runs_begins_anew_at_its_next_event() {
    let fixture = Fixture::new("restart running", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(10).await;
    fixture.command(Recorder::of(ONE), &["restart", "--handler", "recorder", "--yes"]).await.unwrap();
    fixture.produce(&ONE[0], records(10, 1)).await;
    fixture.await_effects(21).await;
    assert_eq!(instance.stop().await, Ok(()));
    assert_eq!((fixture.effects().await, fixture.next_offsets().await), (21, 11));
}

fn repeating() -> Recorder {
    Recorder { repeats: Some("letters are sent twice"), ..Recorder::of(ONE) }
}

/// As after a start at which the brokers did not tell the ids, or kept none yet.
#[tokio::test(flavor = "multi_thread")]
async fn ids_that_were_not_known_at_first_are_stored_as_soon_as_they_are() {
    let fixture = Fixture::new("ids later", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.start_and_stop(10).await;
    fixture
        .admin
        .batch_execute(r#"UPDATE "the view".inbox_offset SET cluster_id = NULL, topic_id = NULL"#)
        .await
        .unwrap();
    fixture.produce(&ONE[0], records(10, 1)).await;
    fixture.start_and_stop(11).await;
    let known = r#"SELECT count(*) FROM "the view".inbox_offset WHERE cluster_id <> '' AND topic_id <> ''"#;
    assert_eq!(fixture.number(known, &[]).await, 1);
    fixture.make_anew().await;
    fixture.produce(&ONE[0], records(20, 30)).await;
    fixture.start(Recorder::of(ONE)).await_another_topic().await;
    assert_eq!(fixture.effects().await, 11, "nothing of it is applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_handler_starts_where_the_topic_does() {
    let fixture = Fixture::new("late", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.delete_before(4).await;
    fixture.start_and_stop(6).await;
    fixture.assert_once_and_in_order(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_halts() {
    let fixture = Fixture::new("cluster", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.start_and_stop(10).await;
    fixture.admin.batch_execute(r#"UPDATE "the view".inbox_offset SET cluster_id = 'another'"#).await.unwrap();
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "were stored for cluster another").await;
    instance.await_state(false, "inbox restart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_the_client_refuses_halt() {
    let mut fixture = Fixture::without_topics("settings").await;
    fixture.kafka.properties.push(("no.such.property".into(), "1".into()));
    let mut instance = fixture.start(Recorder::of(ONE));
    let halt = instance.ended().await.unwrap_err();
    assert!(matches!(&halt, Halt::Settings(reason) if reason.contains("no.such.property")), "{halt}");
}

impl Instance {
    /// Waits until it stands still for this, and says what to do.
    async fn await_halt(&self, halt: Halt) {
        self.await_state(false, &format!("{halt}: `service inbox restart")).await;
    }

    /// Waits until it stands still since the topic is another one.
    async fn await_another_topic(&self) {
        self.await_state(false, "was deleted and made anew: its offsets were stored for the one with id").await;
    }
}

impl Fixture {
    async fn start_and_stop(&self, effects: i64) {
        let instance = self.start(Recorder::of(ONE));
        self.await_effects(effects).await;
        assert_eq!(instance.stop().await, Ok(()));
    }

    async fn assert_out_of_range(&self, next: i64, first: i64, end: i64) {
        let before = self.effects().await;
        let instance = self.start(Recorder::of(ONE));
        let topic = self.kafka.topic(ONE[0].name);
        instance.await_halt(Halt::OutOfRange { topic, partition: 0, next, first, end }).await;
        assert_eq!(self.effects().await, before);
    }

    /// Deletes the topic and makes it again.
    async fn make_anew(&self) {
        let topic = self.kafka.topic(ONE[0].name);
        topics::delete(bootstrap(), &topic).await.unwrap();
        eventually("the topic's name is free", DEADLINE, async || {
            topics::create(bootstrap(), &topic, 1, ONE[0].config()).await.map(Some)
        })
        .await;
    }

    async fn delete_before(&self, offset: i64) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", bootstrap()).create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.kafka.topic(ONE[0].name), 0, Offset::Offset(offset)).unwrap();
        let deleted = admin.delete_records(&offsets, &AdminOptions::new()).await.unwrap();
        deleted.elements()[0].error().unwrap();
    }
}
