//! Thousands who follow a booking each, over websockets: how long after it was published a change is told to all who follow it, and
//! what a subscriber costs in memory.
//!
//! Changes are published to Kafka at an even rate, ten subscribers follow each booking, and every one has to be told every version in
//! its order. Time runs from the moment at which the producer is given a change until a subscriber has read it; Kafka, the view and its
//! commit are in it. Memory is what the read service has resident when all was told, less what it had before the first of them came.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contracts::direct_booking::BOOKING;
use futures::{StreamExt, TryStreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Scale, apply,
    bookings::Bookings,
    house::{EMPTY, House, ReadService, Views},
    intake::until_applied,
    publisher::Publisher,
    websocket::Subscriber,
};
use crate::{
    effort::progress,
    pace,
    process::resident_kib,
    report::Report,
    services::{connect, until_ready},
    stats::percentile,
};

/// Changes a second, and how many follow each booking.
const RATE: u32 = 100;
const FOLLOWERS: u64 = 10;
/// The first seconds of a run are not counted.
const LEAD_IN: u64 = 2;
/// How many connect at the same time.
const CONNECTING: usize = 32;
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures.
pub(super) async fn measure(house: &House, scale: Scale, report: &mut Report) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // For the service, too, which inherits it.
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).with_context(|| format!("cannot open more than {soft} files"))?;
    let (mut p99s, mut kib) = (Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        let (prefix, database) = (house.topics().await?, house.copy(EMPTY).await?);
        let service = house.read_service(&database, &prefix, Views::All)?;
        until_ready(&service.address, &service.process).await;
        let bookings = Followed { bookings: apply::recent(), count: scale.subscribers / FOLLOWERS };
        let topic = format!("{prefix}{}", BOOKING.name);
        let publisher = Publisher::new(&house.kafka.bootstrap_servers(), &topic, "0")?;
        for number in 0..bookings.count {
            publisher.publish(&bookings.bookings.told(number, 1)?)?;
        }
        until_applied(&connect(&database.url).await?, &prefix, bookings.count, &service).await?;

        let run = run(&service, bookings, &publisher, scale).await?;
        let p99 = percentile(&run.millis, 99).unwrap_or_default();
        let p50 = percentile(&run.millis, 50).unwrap_or_default();
        progress(format_args!("told {} times: p50 {p50:.1} ms, p99 {p99:.1} ms", run.millis.len()));
        p99s.push(p99);
        kib.extend(run.kib);
        house.end(service).await?;
        house.remove(database).await?;
    }
    report.add("subscribers_p99_ms", "ms", &p99s, &[]);
    report.add("subscriber_kib", "KiB", &kib, &[]);
    Ok(())
}

/// Bookings, of which the first ones are followed.
#[derive(Clone, Copy)]
struct Followed {
    bookings: Bookings,
    count: u64,
}

impl Followed {
    /// Which booking a change is of, and which version it makes.
    fn change(self, number: u64) -> Result<(u64, i64)> {
        Ok((number % self.count, 2 + i64::try_from(number / self.count)?))
    }

    /// The change that made a version, or will.
    fn number(self, booking: u64, version: i64) -> Result<usize> {
        Ok(usize::try_from((version - 2).unsigned_abs() * self.count + booking)?)
    }
}

/// What came of a run.
struct Run {
    /// How long each change took to each who follows.
    millis: Vec<f64>,
    /// What a subscriber needs, where that is known.
    kib: Option<f64>,
}

async fn run(service: &ReadService, followed: Followed, publisher: &Publisher, scale: Scale) -> Result<Run> {
    let address: Arc<str> = service.address.as_str().into();
    // The first has things made that all share.
    follow(&address, followed, 0).await?;
    let before = resident_kib(service.process.pid());
    let opening = stream::iter((0..scale.subscribers).map(|place| {
        let address = address.clone();
        let booking = place % followed.count;
        async move { anyhow::Ok((booking, follow(&address, followed, booking).await?)) }
    }));
    let opened: Vec<_> = opening.buffer_unordered(CONNECTING).try_collect().await?;
    let idle = resident_kib(service.process.pid());
    progress(format_args!("{} subscribers have come", opened.len()));

    let changes = u64::from(RATE) * (LEAD_IN + scale.seconds);
    let mut following = JoinSet::new();
    for (booking, mut subscriber) in opened {
        following.spawn(async move {
            let mut arrivals = Vec::new();
            for expected in 2.. {
                if u64::try_from(followed.number(booking, expected)?)? >= changes {
                    break;
                }
                let version = subscriber.version().await?;
                ensure!(version == expected, "booking {booking}: version {version} was told, and {expected} was not");
                arrivals.push((followed.number(booking, version)?, Instant::now()));
            }
            anyhow::Ok((subscriber, arrivals))
        });
    }
    let begun = pace::evenly(RATE, LEAD_IN + scale.seconds, |number| {
        let (booking, version) = followed.change(number)?;
        publisher.publish(&followed.bookings.told(booking, version)?)
    })
    .await?;
    let all =
        timeout(PATIENCE, following.join_all()).await.context("not every change was told to all who follow it")?;
    let all = all.into_iter().collect::<Result<Vec<_>>>()?;
    sleep(Duration::from_secs(1)).await;
    let after = resident_kib(service.process.pid());
    let each = |now: Option<f64>| Some((now? - before?) / scale.subscribers as f64);
    let shown = |kib: Option<f64>| kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{kib:.1}"));
    let (come, told) = (shown(each(idle)), shown(each(after)));
    progress(format_args!("KiB a subscriber: {come} when all had come, {told} when all was told"));

    let lead_in = usize::try_from(u64::from(RATE) * LEAD_IN)?;
    let arrivals = all.iter().flat_map(|(_, arrivals)| arrivals).filter(|(number, _)| *number >= lead_in);
    let millis = arrivals.map(|(number, at)| at.duration_since(begun[*number]).as_secs_f64() * 1e3).collect();
    Ok(Run { millis, kib: each(after) })
}

/// One who follows a booking, and has been told its state.
async fn follow(address: &str, followed: Followed, booking: u64) -> Result<Subscriber> {
    let id = followed.bookings.id(booking)?;
    let query = format!("subscription {{ booking(id: \\\"{id}\\\") {{ bookingId version status }} }}");
    let mut subscriber = Subscriber::open(address, &query).await?;
    let version = timeout(PATIENCE, subscriber.version()).await.context("nothing was told")??;
    ensure!(version == 1, "version {version} of booking {booking} was told, and nothing has changed");
    Ok(subscriber)
}
