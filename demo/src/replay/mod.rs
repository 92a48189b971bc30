//! The replay: every row of a hotel bookings file is posted as commands over HTTP, through the channel by which it came; those
//! that were called off are called off again. Then the books of everybody are compared with what was posted: each context's,
//! the third parties', and the read side's, record by record and in sums.
//!
//! The file is the "Hotel booking demand" data set (Antonio, Almeida, Nunes; Data in Brief 22, 2019) or any other of its
//! columns. It has no ids: a booking's id is its line number. It has no inventory: each room type gets as many rooms as
//! it needs at its peak, cancelled bookings included. Its clock is the file's: a booking is made `lead_time` days before
//! arrival, and called off on its status date, when it has been paid for long: so whatever was charged is given back.

mod books;
mod inventory;
mod post;
mod read_side;
mod row;
mod settle;
mod sites;
mod third_parties;
mod write_side;

use std::{io::Read, path::Path, time::Instant};

use anyhow::{Context, ensure};
use chrono::Utc;
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    client::Client,
    replay::{
        books::{Comparison, Head},
        inventory::Inventory,
        post::Posted,
        row::{Refused, Row},
        sites::Sites,
        write_side::WriteSide,
    },
    urls::Urls,
};

/// A file larger than this is refused: all its rows are kept in memory for the comparison.
const MAX_ROWS: usize = 1_000_000;

/// Replays the file.
///
/// # Errors
/// When the file cannot be read, a service fails, or anybody's books are not what was posted.
pub(crate) async fn run(file: &Path, client: &Client, urls: &Urls) -> anyhow::Result<()> {
    let (rows, mut refused) = read(file).with_context(|| file.display().to_string())?;
    let lines = rows.len() + refused.len();
    println!("\n{}: {lines} rows, {} of which can be read", file.display(), rows.len());

    let (today, inventory, sites) = (Utc::now().date_naive(), Inventory::peak(&rows), Sites::of(&rows, &urls.sites));
    post::room_types(client, &inventory).await?;
    post::sites(client, &sites).await?;
    let accounts = post::accounts(client, &rows, &sites).await?;
    let (types, rooms) = (inventory.types(), inventory.rooms());
    println!("{types} room types with {rooms} rooms, {} accounts, {} sites", accounts.len(), sites.all.len());

    let write_side = WriteSide::at(&urls.write_database)?;
    let start = Instant::now();
    let progress = bar(rows.len(), "booking");
    let Posted { accepted, refused: by_service } = post::bookings(client, &rows, &sites, &accounts, &progress).await?;
    progress.finish_and_clear();
    let progress = bar(0, "being paid");
    let mut stuck = settle::until_none_is_left(&write_side, settle::UNDECIDED, &progress).await?;
    progress.finish_and_clear();
    let progress = bar(accepted.iter().filter(|accepted| accepted.row.cancelled_at.is_some()).count(), "cancelling");
    let cancelled = post::cancellations(client, &accepted, &progress).await?;
    progress.finish_and_clear();
    let (commands, seconds) = (rows.len() + cancelled, start.elapsed().as_secs_f64());
    let rate = commands as f64 / seconds;
    println!(
        "{commands} commands in {seconds:.1} s, {rate:.0} a second: {} booked, {cancelled} of them cancelled",
        accepted.len()
    );
    refused.extend(by_service);
    refused.sort_by_key(|refused| refused.line);
    println!("{} refused{}", refused.len(), if refused.is_empty() { "" } else { ":" });
    for Refused { line, reason } in &refused {
        println!("  line {line}: {reason}");
    }

    let progress = bar(0, "settling");
    stuck.extend(settle::until_none_is_left(&write_side, settle::UNFINISHED, &progress).await?);
    progress.finish_and_clear();
    println!("Settled in every context {:.1} s after the first booking", start.elapsed().as_secs_f64());
    let progress = bar(accepted.len(), "comparing");
    let mut compared = write_side.compare(&accepted, &sites, &accounts).await?;
    compared.extend(third_parties::compare(client, urls, &accepted, (&sites, &inventory), today).await?);
    compared.extend(read_side::compare(client, &write_side, &accepted, &progress).await?);
    progress.finish_and_clear();
    println!("\nEverybody's books beside what was posted:\n{Head}");
    compared.iter().for_each(|place| println!("{place}"));
    stuck.iter().for_each(|what| println!("  not settled: {what}"));
    ensure!(accepted.len() + refused.len() == lines, "a row is neither booked nor refused");
    ensure!(stuck.is_empty() && compared.iter().all(Comparison::agrees), "somebody's books are not what was posted");
    println!("They agree, record by record and in sums.");
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
