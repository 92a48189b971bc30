//! The replay: every row of a hotel bookings file is posted as commands over HTTP, then the read side is compared with
//! what was posted, row by row and in sums.
//!
//! The file is the "Hotel booking demand" data set (Antonio, Almeida, Nunes; Data in Brief 22, 2019) or any other of its
//! columns. It has no ids: a booking's id is its line number. It has no inventory: each room type gets as many rooms as
//! it needs at its peak, cancelled bookings included. Its clock is the file's: a booking is made `lead_time` days before
//! arrival, and called off on its status date.

mod compare;
mod inventory;
mod post;
mod row;

use std::{io::Read, path::Path, time::Instant};

use anyhow::{Context, ensure};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    client::Client,
    replay::{
        inventory::Inventory,
        row::{Refused, Row},
    },
};

/// A file larger than this is refused: all its rows are kept in memory for the comparison.
const MAX_ROWS: usize = 1_000_000;

/// Replays the file.
///
/// # Errors
/// When the file cannot be read, a service fails, or the read side is not what was posted.
pub(crate) async fn run(file: &Path, client: &Client) -> anyhow::Result<()> {
    let (rows, mut refused) = read(file).with_context(|| file.display().to_string())?;
    let lines = rows.len() + refused.len();
    println!("\n{}: {lines} rows, {} of which can be read", file.display(), rows.len());

    let inventory = Inventory::peak(&rows);
    post::room_types(client, &inventory).await?;
    let accounts = post::accounts(client, &rows).await?;
    println!("{} room types with {} rooms, {} accounts", inventory.types(), inventory.rooms(), accounts.len());

    let start = Instant::now();
    let progress = bar(rows.len(), "posting");
    let posted = post::bookings(client, &rows, &accounts, &progress).await?;
    progress.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} commands in {seconds:.1} s, {:.0} a second: {} booked, {} of them cancelled",
        posted.commands,
        posted.commands as f64 / seconds,
        posted.accepted.len(),
        posted.accepted.iter().filter(|accepted| accepted.row.cancelled_at.is_some()).count(),
    );
    refused.extend(posted.refused);
    refused.sort_by_key(|refused| refused.line);
    println!("{} refused{}", refused.len(), if refused.is_empty() { "" } else { ":" });
    for Refused { line, reason } in &refused {
        println!("  line {line}: {reason}");
    }

    let progress = bar(posted.accepted.len(), "comparing");
    let found = compare::read_side(client, &posted.accepted, &progress).await?;
    progress.finish_and_clear();
    println!("\nThe read side beside what was posted:\n{found}");
    ensure!(posted.accepted.len() + refused.len() == lines, "a row is neither booked nor refused");
    ensure!(found.agrees(), "the read side is not what was posted");
    println!("They agree, row by row and in sums.");
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<(Vec<Row>, Vec<Refused>)> {
    let raw = std::fs::read(file)?;
    let text: Box<dyn Read> = match raw.starts_with(&[0x1f, 0x8b]) {
        true => Box::new(MultiGzDecoder::new(&raw[..])),
        false => Box::new(&raw[..]),
    };
    row::read_all(text, MAX_ROWS)
}

fn bar(length: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} ETA {eta}");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what)
}
