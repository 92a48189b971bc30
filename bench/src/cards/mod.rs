//! The two ways by which Payments comes by a card, side by side: how long a booking waits for its payment, and what becomes of
//! bookings while Accounts is down.
//!
//! ```text
//! Hotel (PostgreSQL, Kafka, the relay, the third party, Accounts by itself, the other contexts) -> bookings -> Report
//! ```

mod hotel;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use self::hotel::Hotel;
use crate::{
    effort::{Effort, progress},
    report::Report,
    stats::percentile,
};

/// How often a booking is begun.
const EACH: Duration = Duration::from_millis(50);
/// How many bookings are made while Accounts is down, and how long after the last it is looked how many are paid.
const DOWN: usize = 50;
const A_WHILE: Duration = Duration::from_secs(5);

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    effort: Effort,
}

/// Measures.
///
/// # Errors
/// When a server does not start, or anything that is asked for is refused.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let bookings = if args.effort.quick { 20 } else { 400 };
    let mut report = Report::new("cards");
    for way in ["cache", "pipeline"] {
        let (mut p50, mut p99, mut down, mut back) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..args.effort.runs() {
            progress(format_args!("{way}: starting PostgreSQL, Kafka and the services"));
            let mut hotel = Hotel::open(way).await?;
            let latencies = paid(&hotel, bookings).await?;
            p50.extend(percentile(&latencies, 50));
            p99.extend(percentile(&latencies, 99));
            progress(format_args!(
                "{way}: a booking is paid after {:.1} ms (p50), {:.1} ms (p99)",
                p50[p50.len() - 1],
                p99[p99.len() - 1]
            ));

            hotel.close_accounts().await?;
            let begun = begin(&hotel, DOWN).await?;
            tokio::time::sleep(A_WHILE).await;
            let count = hotel.confirmed(&begun).await?;
            down.push(count as f64);
            let opened = Instant::now();
            hotel.open_accounts().await?;
            while hotel.confirmed(&begun).await? < begun.len() {
                ensure!(opened.elapsed() < Duration::from_secs(120), "{way}: not all bookings are paid in the end");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            back.push(opened.elapsed().as_secs_f64() * 1e3);
            progress(format_args!("{way}: {count} of {DOWN} were paid while Accounts was down"));
            hotel.close().await?;
        }
        report.add(&format!("{way}_paid_p50_ms"), "ms", &p50, &[]);
        report.add(&format!("{way}_paid_p99_ms"), "ms", &p99, &[]);
        report.add(&format!("{way}_paid_while_down"), "of 50", &down, &[]);
        report.add(&format!("{way}_all_paid_after_ms"), "ms", &back, &[]);
    }
    Ok(report)
}

/// Makes bookings at an even rate; how long each took from its command to its confirmation, in milliseconds.
async fn paid(hotel: &Hotel, count: usize) -> Result<Vec<f64>> {
    let mut tasks = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(EACH);
    for _ in 0..count {
        ticks.tick().await;
        let desk = hotel.desk.clone();
        tasks.spawn(async move {
            let begun = Instant::now();
            desk.book(true).await?;
            anyhow::Ok(begun.elapsed().as_secs_f64() * 1e3)
        });
    }
    tasks.join_all().await.into_iter().collect()
}

async fn begin(hotel: &Hotel, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(hotel.desk.book(false).await?);
    }
    Ok(ids)
}
