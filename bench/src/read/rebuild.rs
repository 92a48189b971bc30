//! How fast a view is rebuilt: the whole of `read-service rebuild booking`, from its start as a process to its end, of a topic with
//! two versions of each booking.
//!
//! The floor is COPY FROM a file on the server, in the binary format, of the rows that a rebuild has left, into a table of the same
//! columns and constraints, whose indexes are built afterwards: rows a second. Each run has a copy of the same database.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use servers::Process;

use super::{
    EVENTS, Scale,
    apply::{FIRST, publish, recent},
    house::{Database, EMPTY, House},
};
use crate::{effort::progress, process::peak_mib, report::Report, services::connect};

/// How often it is looked how much memory it has.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Versions of each booking.
const VERSIONS: u64 = 2;

/// Measures.
pub(super) async fn measure(house: &House, scale: Scale, report: &mut Report) -> Result<()> {
    let (prefix, bookings) = (house.topics().await?, scale.events / VERSIONS);
    progress(format_args!("publishing {VERSIONS} versions of {bookings} bookings"));
    let (of, numbers) = (recent(), FIRST..FIRST + bookings);
    let told = (1..=VERSIONS).flat_map(|version| numbers.clone().map(move |number| (number, version)));
    publish(house, &prefix, told.map(|(number, version)| (of, number, version.cast_signed())))?;
    let file = house.file("rebuilt.copy").await?;
    let (mut ours, mut floors, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..scale.warm_up.max(1) + scale.runs {
        let database = house.copy(EMPTY).await?;
        let (took, peak) = rebuild(house, &database, &prefix).await?;
        if round == 0 {
            let write = format!("COPY view.booking TO '{file}' (FORMAT binary)");
            let rows = connect(&database.url).await?.execute(&write, &[]).await.context("cannot write the rows")?;
            ensure!(rows == bookings, "{rows} rows were made of {bookings} bookings");
        }
        house.remove(database).await?;
        let rate = (bookings * VERSIONS) as f64 / took.as_secs_f64();
        progress(format_args!("rebuild: {rate:.0} events/s, {peak:.0} MiB at most"));
        let database = house.copy(EMPTY).await?;
        let floor = bookings as f64 / floor(&database, &file).await?.as_secs_f64();
        house.remove(database).await?;
        progress(format_args!("floor: COPY, then indexes: {floor:.0} rows/s"));
        if round > 0 {
            ours.push(rate);
            floors.push(floor);
            peaks.push(peak);
            house.note_peak(Some(peak));
        }
    }
    report.add("rebuild", EVENTS, &ours, &floors);
    report.add("rebuild_rss_mib", "MiB", &peaks, &[]);
    Ok(())
}

/// How long it took, and the most memory that it had.
async fn rebuild(house: &House, database: &Database, prefix: &str) -> Result<(Duration, f64)> {
    let (bootstrap, directory) = (house.kafka.bootstrap_servers(), tempfile::tempdir()?);
    let directory = directory.path().join("runs").to_string_lossy().into_owned();
    let args = ["rebuild", "booking", "--migration-database-url", &database.url, "--topic-prefix", prefix];
    let args = args.into_iter().chain(["--kafka-bootstrap-servers", &bootstrap, "--directory", &directory]);
    let start = Instant::now();
    let process = Process::spawn("read-service", args, &[("RUST_LOG", "warn")])?;
    let mut peak = 0.0;
    while process.status().is_none() {
        ensure!(start.elapsed() < PATIENCE, "the rebuild does not end:\n{}", process.log());
        peak = peak_mib(process.pid()).map_or(peak, |now| now.max(peak));
        tokio::time::sleep(LOOK).await;
    }
    let took = start.elapsed();
    ensure!(process.status().is_some_and(|status| status.success()), "the rebuild failed:\n{}", process.log());
    Ok((took, peak))
}

/// How long it takes to copy the rows and to index them.
async fn floor(database: &Database, file: &str) -> Result<Duration> {
    let session = connect(&database.url).await?;
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'view' AND tablename = 'booking'";
    let indexes: Vec<String> = session.query(indexes, &[]).await?.iter().map(|row| row.get(0)).collect();
    let bare = "CREATE TABLE view.bare (LIKE view.booking INCLUDING CONSTRAINTS); DROP TABLE view.booking; \
        ALTER TABLE view.bare RENAME TO booking";
    session.batch_execute(bare).await.context("cannot make the floor's table")?;
    let start = Instant::now();
    session.execute(&format!("COPY view.booking FROM '{file}' (FORMAT binary)"), &[]).await.context("cannot copy")?;
    for index in &indexes {
        session.batch_execute(index).await.with_context(|| format!("cannot execute {index}"))?;
    }
    Ok(start.elapsed())
}
