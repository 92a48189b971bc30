//! A process is killed in the middle: nothing is lost, nothing doubled.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use chrono::{Days, Utc};
use end_to_end::{PATIENCE, Pipeline, booking};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use servers::{
    eventually,
    topics::{Record, consume_all},
};
use tokio::sync::Semaphore;

/// How many bookings are posted between two deaths.
const BOOKINGS: usize = 100;

/// How often the victim dies: three times, or as often as `SOAK` says (`make soak`).
fn deaths() -> anyhow::Result<usize> {
    std::env::var("SOAK").map_or(Ok(3), |deaths| deaths.parse()).context("SOAK is not a number of deaths")
}

#[derive(Clone, Copy)]
enum Victim {
    Read,
    Capture,
    Write,
}

#[tokio::test]
async fn the_read_service_killed_in_the_middle_loses_and_doubles_nothing() -> anyhow::Result<()> {
    bookings_survive_the_death_of(Victim::Read, "killread").await
}

#[tokio::test]
async fn the_capture_killed_in_the_middle_loses_and_doubles_nothing() -> anyhow::Result<()> {
    bookings_survive_the_death_of(Victim::Capture, "killcapture").await
}

#[tokio::test]
async fn the_write_service_killed_in_the_middle_loses_nothing_that_it_has_answered() -> anyhow::Result<()> {
    bookings_survive_the_death_of(Victim::Write, "killwrite").await
}

/// Posts bookings, kills the victim again and again meanwhile, and compares commands, topic and view at the end.
async fn bookings_survive_the_death_of(victim: Victim, purpose: &str) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::start(purpose, &[]).await?;
    let deaths = deaths()?;
    let (account, room_type) = pipeline.open_for_bookings(BOOKINGS).await?;
    let mut answered: BTreeMap<String, String> = BTreeMap::new();
    for death in 0..deaths {
        let ids: Vec<String> = (0..BOOKINGS).map(|number| format!("{death}-{number}")).collect();
        let taken = Semaphore::new(0);
        // Each time another night, so that the rooms are enough however often it dies. Half of them are cancelled too.
        let night = Utc::now().date_naive() + Days::new(40 + death as u64);
        let post = async |(number, id): (usize, &String)| {
            let mut wish = booking(&account, &room_type);
            (wish["bookingId"], wish["checkIn"], wish["checkOut"]) =
                (json!(id), json!(night), json!(night + Days::new(1)));
            let (_, mut token) = pipeline.must("/direct-booking/bookings", &wish, None).await?;
            if number % 2 == 0 {
                let cancel = format!("/direct-booking/bookings/{id}/cancel");
                (_, token) = pipeline.must(&cancel, &json!({}), None).await?;
            }
            taken.add_permits(1);
            anyhow::Ok((id.clone(), token))
        };
        // It dies when a third of them are taken and others are under way.
        let dies = async {
            let _a_third = taken.acquire_many(BOOKINGS as u32 / 3).await?;
            match victim {
                Victim::Read => pipeline.read.kill().await,
                Victim::Capture => pipeline.capture.kill().await,
                Victim::Write => pipeline.write.kill().await,
            }
        };
        let posts = stream::iter(ids.iter().enumerate()).map(post).buffer_unordered(8).collect::<Vec<_>>();
        let (died, outcomes) = tokio::join!(dies, posts);
        died?;
        for outcome in outcomes {
            match (outcome, victim) {
                (Ok((id, token)), _) => drop(answered.insert(id, token)),
                // Unanswered: it may have been taken or not.
                (Err(_), Victim::Write) => {}
                (Err(error), _) => return Err(error),
            }
        }
        match victim {
            Victim::Read => pipeline.read.start_again()?,
            Victim::Capture => pipeline.capture.start_again()?,
            Victim::Write => pipeline.write.start_again()?,
        }
        for service in [&pipeline.write, &pipeline.capture, &pipeline.read] {
            pipeline.until_ready(service).await;
        }
    }
    match victim {
        Victim::Write => ensure!(answered.len() < deaths * BOOKINGS, "it was killed when all were answered"),
        _ => ensure!(answered.len() == deaths * BOOKINGS, "only {} were answered", answered.len()),
    }

    // Each has a query that waits for it; a loaded machine may need more than one.
    let tokens: Vec<&str> = answered.values().map(String::as_str).collect();
    for tokens in tokens.chunks(16) {
        eventually("what was answered is visible", PATIENCE, async || {
            let seen = pipeline.query("{ __typename }", &json!({}), tokens).await;
            seen.map(Some).map_err(|error| format!("{error:#}"))
        })
        .await;
    }
    // Unanswered commands may have been committed too: the write side's own table says what topic and view must hold.
    // The topic is read anew each time, since what was committed last may still be on its way.
    let committed = committed(&pipeline).await?;
    for id in answered.keys() {
        ensure!(committed.contains_key(id), "booking {id} was answered, but is not stored");
    }
    let topic = format!("{}hotel.direct-booking.booking.v1", pipeline.topic_prefix);
    let records = eventually("the topic holds what was committed", PATIENCE, async || {
        let records = consume_all(&pipeline.kafka, &topic).await.map_err(|error| format!("{error:#}"))?;
        let published = last_documents(&records).map_err(|error| format!("{error:#}"))?;
        difference(&published, &committed).map_or(Ok(Some(records)), Err)
    })
    .await;
    in_order_without_gaps(&records)?;
    eventually("the view holds what was committed", PATIENCE, async || {
        let seen = all_bookings(&pipeline).await.map_err(|error| format!("{error:#}"))?;
        difference(&seen, &committed).map_or(Ok(Some(())), Err)
    })
    .await;
    Ok(())
}

/// A booking's version and status, by its id.
type Bookings = BTreeMap<String, (u64, String)>;

/// Which bookings are not the same in both, if any.
fn difference(found: &Bookings, committed: &Bookings) -> Option<String> {
    let ids: BTreeSet<&String> = found.keys().chain(committed.keys()).collect();
    let differ: Vec<_> = ids.into_iter().filter(|id| found.get(*id) != committed.get(*id)).collect();
    let (first, count) = (*differ.first()?, differ.len());
    Some(format!("{count} differ; {first}: {:?}, committed {:?}", found.get(first), committed.get(first)))
}

fn version_and_status(document: &Value) -> anyhow::Result<(u64, String)> {
    let version = document["version"].as_u64().context("no version")?;
    Ok((version, document["status"].as_str().context("no status")?.to_owned()))
}

/// What the write side's own table holds.
async fn committed(pipeline: &Pipeline) -> anyhow::Result<Bookings> {
    let (client, connection) = tokio_postgres::connect(&pipeline.write_database.url(), tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let select = "SELECT booking_id, version, status
                  FROM direct_booking.booking";
    let rows = client.query(select, &[]).await?;
    drop(client);
    connection.await??;
    rows.iter().map(|row| Ok((row.get(0), (row.get::<_, i64>(1).try_into()?, row.get(2))))).collect()
}

/// Per key, versions rise by one from 1 on; a relay that was killed may repeat a stretch, but never leave one out.
fn in_order_without_gaps(records: &[Record]) -> anyhow::Result<()> {
    let mut last: BTreeMap<&[u8], u64> = BTreeMap::new();
    for record in records {
        let key = record.key.as_deref().context("a record without a key")?;
        let sequence: u64 = record.header("ce_sequence").context("no ce_sequence")?.parse()?;
        let last = last.entry(key).or_default();
        ensure!(sequence <= *last + 1, "version {sequence} of {} follows {last}", String::from_utf8_lossy(key));
        *last = sequence.max(*last);
    }
    Ok(())
}

fn last_documents(records: &[Record]) -> anyhow::Result<Bookings> {
    let mut documents = Bookings::new();
    for record in records {
        let document: Value = serde_json::from_slice(record.value.as_deref().context("a tombstone")?)?;
        documents.insert(String::from_utf8(record.key.clone().unwrap_or_default())?, version_and_status(&document)?);
    }
    Ok(documents)
}

async fn all_bookings(pipeline: &Pipeline) -> anyhow::Result<Bookings> {
    let query = "query($after: String) { bookings(first: 100, after: $after) {
        nodes { bookingId version status } pageInfo { hasNextPage endCursor } } }";
    let (mut seen, mut after) = (Bookings::new(), Value::Null);
    loop {
        let data = pipeline.query(query, &json!({"after": after}), &[]).await?;
        for node in data["bookings"]["nodes"].as_array().context("no nodes")? {
            let id = node["bookingId"].as_str().context("no id")?.to_owned();
            ensure!(seen.insert(id, version_and_status(node)?).is_none(), "{node} is in the view twice");
        }
        if data["bookings"]["pageInfo"]["hasNextPage"] != true {
            return Ok(seen);
        }
        after = data["bookings"]["pageInfo"]["endCursor"].clone();
    }
}
