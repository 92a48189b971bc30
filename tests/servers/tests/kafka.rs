//! A Kafka broker of one's own: it takes and gives back records, stops, is killed, and comes back with its data.

use servers::topics::{self, NewRecord};
use servers::{Kafka, KafkaOptions, unique_prefix};

fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

fn records() -> Vec<NewRecord> {
    (0..10)
        .map(|n| NewRecord {
            partition: Some(n % 3),
            key: bytes(&format!("booking-{n}")),
            value: if n == 9 { None } else { bytes(&format!("document {n}")) },
            headers: vec![("ce_id".to_owned(), n.to_string().into_bytes()), ("empty".to_owned(), Vec::new())],
        })
        .collect()
}

#[tokio::test]
async fn a_topic_is_read_back_whole_also_after_a_stop_and_a_kill() {
    let mut kafka = Kafka::start().await.unwrap();
    let bootstrap = kafka.bootstrap_servers();
    let topic = format!("{}booking.v1", unique_prefix("round trip"));
    topics::create(&bootstrap, &topic, 3, &[("cleanup.policy", "compact")]).await.unwrap();
    assert_eq!(topics::consume_all(&bootstrap, &topic).await.unwrap(), []);
    topics::produce_all(&bootstrap, &topic, records()).await.unwrap();

    let read = topics::consume_all(&bootstrap, &topic).await.unwrap();
    let places: Vec<_> = read.iter().map(|record| (record.partition, record.offset)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
    assert_eq!(read[4].key, bytes("booking-1"));
    assert_eq!(read[4].value, bytes("document 1"));
    assert_eq!(read[4].header("ce_id"), Some("1"));
    assert_eq!(read[4].header("empty"), Some(""));
    assert_eq!(read[3].value, None, "a tombstone");

    kafka.stop().await.unwrap();
    assert_eq!(kafka.pid(), None);
    kafka.start_again().await.unwrap();
    assert_eq!(kafka.bootstrap_servers(), bootstrap);
    assert_eq!(topics::consume_all(&bootstrap, &topic).await.unwrap(), read);

    kafka.kill().await.unwrap();
    kafka.start_again().await.unwrap();
    assert_eq!(topics::consume_all(&bootstrap, &topic).await.unwrap(), read);
    topics::produce_all(&bootstrap, &topic, records()).await.unwrap();
    assert_eq!(topics::consume_all(&bootstrap, &topic).await.unwrap().len(), 20);
    topics::delete(&bootstrap, &topic).await.unwrap();
}

#[tokio::test]
async fn topics_are_made_by_name_only_and_refusals_are_told() {
    let settings = vec![("message.max.bytes".to_owned(), "2000".to_owned())];
    let kafka = Kafka::start_with(KafkaOptions { settings, ..KafkaOptions::default() }).await.unwrap();
    let bootstrap = kafka.bootstrap_servers();
    let error = topics::consume_all(&bootstrap, "nobody.made.this").await.unwrap_err();
    assert!(error.to_string().contains("no topic nobody.made.this"), "{error:#}");
    topics::create(&bootstrap, "small", 1, &[]).await.unwrap();
    let large = NewRecord { value: Some(vec![b'x'; 3000]), ..NewRecord::default() };
    let error = topics::produce_all(&bootstrap, "small", vec![large]).await.unwrap_err();
    assert!(format!("{error:#}").contains("refused"), "{error:#}");
    let again = topics::create(&bootstrap, "small", 1, &[]).await.unwrap_err();
    assert!(format!("{again:#}").contains("already exists"), "{again:#}");
}
