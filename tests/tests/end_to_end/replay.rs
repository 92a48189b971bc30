//! The replay of real bookings: everybody's books come to what the file says. The rows are an excerpt of the "Hotel booking
//! demand datasets" (N. Antonio, A. de Almeida, L. Nunes, Data in Brief 22, 2019, CC BY 4.0).

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use servers::{Process, shared};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/bookings.csv");

/// How long a replay of so few rows may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How many records there are, and what they come to in cents.
type Sum = (usize, i64);

/// What the file says, by its own columns: bookings by channel and by what became of them.
#[derive(Default)]
struct File {
    rows: usize,
    refused: usize,
    /// Whether a travel agency sold it, and whether it was cancelled.
    booked: BTreeMap<(bool, bool), Sum>,
    /// Those that the hotel charges: the same, but for what costs nothing.
    charged: BTreeMap<bool, Sum>,
}

impl File {
    fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(FILE)?;
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().context("an empty file")?.split(',').collect();
        let mut file = Self::default();
        for line in lines {
            let row: BTreeMap<&str, &str> = names.iter().copied().zip(line.split(',')).collect();
            file.rows += 1;
            let number = |name: &str| row[name].parse::<i64>();
            let cents = (row["adr"].parse::<f64>()? * 100.0).round() as i64;
            let nights = number("stays_in_weekend_nights")? + number("stays_in_week_nights")?;
            let (Ok(adults), Ok(children), Ok(babies)) = (number("adults"), number("children"), number("babies"))
            else {
                file.refused += 1;
                continue;
            };
            if adults + children + babies == 0 || cents < 0 {
                file.refused += 1;
                continue;
            }
            let total = cents * nights.max(1);
            let (is_agency, is_cancelled) =
                (row["distribution_channel"] == "TA/TO", row["reservation_status"] == "Canceled");
            add(file.booked.entry((is_agency, is_cancelled)).or_default(), total);
            if !is_agency && total > 0 {
                add(file.charged.entry(is_cancelled).or_default(), total);
            }
        }
        Ok(file)
    }

    fn booked(&self, is_cancelled: bool) -> Sum {
        let [(rooms, cents), (more, more_cents)] = [true, false].map(|agency| self.booked[&(agency, is_cancelled)]);
        (rooms + more, cents + more_cents)
    }
}

fn add(sum: &mut Sum, cents: i64) {
    *sum = (sum.0 + 1, sum.1 + cents);
}

/// What the replay has printed as found, by place and state. A place is named in its first line alone.
fn found(log: &str) -> anyhow::Result<BTreeMap<(String, String), Sum>> {
    let (_, table) = log.split_once("Everybody's books beside what was posted:\n").context("no books")?;
    let mut found = BTreeMap::new();
    let mut place = String::new();
    for line in table.lines().skip(2).take_while(|line| line.starts_with("  ")) {
        let (names, figures) = line.split_at_checked(53).context("a short line")?;
        let (name, state) = names.split_at(28);
        if !name.trim().is_empty() {
            place = name.trim().to_owned();
        }
        let figures: Vec<&str> = figures.split_whitespace().collect();
        let (posted, records) = (figures.first().context(line.to_owned())?, figures.get(1).context(line.to_owned())?);
        ensure!(posted == records, "{line}");
        let cents = figures.get(3).map_or("0", |amount| amount).replace('.', "").parse()?;
        found.insert((place.clone(), state.trim().to_owned()), (records.parse()?, cents));
    }
    Ok(found)
}

#[tokio::test]
async fn real_bookings_by_all_channels_come_to_the_same_sums_in_all_books() -> anyhow::Result<()> {
    let file = File::read()?;
    let (kafka, postgres) = (&shared::kafka().bootstrap_servers, &shared::postgres().admin_url);
    let nowhere = "127.0.0.1:0";
    let mut args = vec!["--once", "--replay", FILE, "--kafka", kafka];
    args.extend(["--write-listen", nowhere, "--read-listen", nowhere, "--capture-listen", nowhere]);
    let replay = Process::spawn("demo", args, &[("DATABASE", postgres)])?;
    let status = replay.wait(PATIENCE).await?;
    let log = replay.log();
    ensure!(status.success(), "the replay ended with {status}:\n{log}");

    ensure!(log.contains(&format!("bookings.csv: {} rows", file.rows)), "{log}");
    ensure!(log.contains(&format!("{} refused:", file.refused)), "{log}");
    let found = found(&log)?;
    let says = |place: &str, state: &str| found.get(&(place.to_owned(), state.to_owned())).copied().unwrap_or_default();
    for place in ["Direct booking", "Read side", "Read side: sums"] {
        for (state, is_cancelled) in [("CONFIRMED", false), ("CANCELLED", true)] {
            let (records, cents) = file.booked(is_cancelled);
            let records = if place == "Read side: sums" { 1 } else { records };
            assert_eq!(says(place, state), (records, cents), "{place} {state}\n{log}");
        }
    }
    let [taken, refunded] = [false, true].map(|is_cancelled| file.charged[&is_cancelled]);
    assert!(taken.0 > 0 && refunded.0 > 0, "the file has bookings that are charged, and such as are given back");
    assert_eq!((says("Payments", "TAKEN"), says("Payments", "REFUNDED")), (taken, refunded), "{log}");
    let charged = (taken.0 + refunded.0, taken.1 + refunded.1);
    assert_eq!((says("Card processor", "charged"), says("Card processor", "given back")), (charged, refunded), "{log}");

    let mut sites = 0;
    for (status, is_cancelled) in [("ACCEPTED", false), ("CANCELLED", true)] {
        let (mut sold, mut told) = ((0, 0), 0);
        for ((place, state), (records, cents)) in &found {
            if place == "Channel manager" && state.ends_with(status) {
                sold = (sold.0 + records, sold.1 + cents);
                sites += 1;
            }
            if place.starts_with("Site ") && state == status {
                told += records;
            }
        }
        assert_eq!(sold, file.booked[&(true, is_cancelled)], "{log}");
        assert_eq!(told, sold.0, "{log}");
    }
    assert!(sites > 2, "more than one site sells\n{log}");
    assert_eq!(says("Housekeeping", "SCHEDULED").0, 2 * file.booked(false).0, "{log}");
    Ok(())
}
