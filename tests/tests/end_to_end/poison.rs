//! A message that cannot be read is set aside, visibly, and the rest flows.

use end_to_end::{PATIENCE, Pipeline, booking};
use serde_json::json;
use servers::{
    eventually,
    topics::{NewRecord, produce_all},
};

#[tokio::test]
async fn a_message_that_cannot_be_read_is_set_aside_and_the_rest_flows() -> anyhow::Result<()> {
    let pipeline = Pipeline::start("poison", &[]).await?;
    let (account, room_type) = pipeline.open_for_bookings(10).await?;
    let topic = format!("{}hotel.direct-booking.booking.v1", pipeline.topic_prefix);
    let poison = (0..8).map(|partition| NewRecord {
        partition: Some(partition),
        key: Some(b"poison".to_vec()),
        value: Some(b"{\"this\": is no JSON".to_vec()),
        headers: vec![("ce_specversion".to_owned(), b"1.0".to_vec())],
    });
    produce_all(&pipeline.kafka, &topic, poison.collect()).await?;

    let (booked, token) = pipeline.must("/direct-booking/bookings", &booking(&account, &room_type), None).await?;
    let seen = pipeline
        .query("query($id: ID!) { booking(id: $id) { status } }", &json!({"id": booked["bookingId"]}), &[&token])
        .await?;
    assert_eq!(seen["booking"]["status"], "PENDING");

    let (client, connection) = tokio_postgres::connect(&pipeline.read_database.url(), tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    // The journal reads the topic too.
    const DEAD_LETTERS: &str = "SELECT error FROM view.inbox_dead_letter WHERE handler = 'booking'";
    let errors = eventually("eight dead letters", PATIENCE, async || {
        let rows = client.query(DEAD_LETTERS, &[]).await.map_err(|error| error.to_string())?;
        if rows.len() == 8 { Ok(Some(rows)) } else { Err(format!("{} dead letters", rows.len())) }
    })
    .await;
    for row in errors {
        assert!(row.get::<_, &str>(0).contains("ce_id"), "{}", row.get::<_, &str>(0));
    }
    drop(client);
    connection.await??;

    let metrics = reqwest::get(format!("{}/metrics", pipeline.read.url)).await?.text().await?;
    let of_bookings = "inbox_dead_letters_total{handler=\"booking\"}";
    let counted = metrics.lines().any(|line| line.starts_with(of_bookings) && line.ends_with(" 8"));
    assert!(counted, "{metrics}");
    Ok(())
}
