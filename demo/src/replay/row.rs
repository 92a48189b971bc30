//! A row of the file, and why one cannot be read.

use std::io::Read;

use anyhow::{Context, ensure};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;

/// A row as a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line in the file, the header being line 1.
    pub(crate) line: u64,
    pub(crate) room_type: String,
    pub(crate) channel: Channel,
    /// The agency or tour operator that it came through, or that made it.
    pub(crate) agent: Option<String>,
    /// The company that made it.
    pub(crate) company: Option<String>,
    pub(crate) check_in: NaiveDate,
    pub(crate) check_out: NaiveDate,
    pub(crate) guests: [u16; 3],
    pub(crate) rate_cents: i64,
    pub(crate) made_at: DateTime<Utc>,
    /// When it was called off. Who did not come has called off nothing: the room was held, and is paid.
    pub(crate) cancelled_at: Option<DateTime<Utc>>,
}

/// How a booking came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// A travel agency on the web or a tour operator sold it, and collects the money.
    Agency,
    /// It was made at the hotel, which charges it.
    House,
}

/// A row that was not booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// The columns that are read, as text: the file writes `NULL` and `NA` where it has no value.
#[derive(Deserialize)]
struct Columns {
    lead_time: String,
    arrival_date_year: String,
    arrival_date_month: String,
    arrival_date_day_of_month: String,
    stays_in_weekend_nights: String,
    stays_in_week_nights: String,
    adults: String,
    children: String,
    babies: String,
    distribution_channel: String,
    reserved_room_type: String,
    agent: String,
    company: String,
    adr: String,
    reservation_status: String,
    reservation_status_date: String,
}

/// Reads all rows; those that cannot be read come with their reason.
///
/// # Errors
/// When the file is not CSV of these columns.
pub(crate) fn read_all(file: impl Read, limit: usize) -> anyhow::Result<(Vec<Row>, Vec<Refused>)> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let headers = reader.headers()?.clone();
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for (record, line) in reader.records().zip(2..) {
        ensure!(rows.len() + refused.len() < limit, "more than {limit} rows");
        let columns: Columns = record?.deserialize(Some(&headers)).with_context(|| format!("line {line}"))?;
        match columns.row(line) {
            Ok(row) => rows.push(row),
            Err(error) => refused.push(Refused { line, reason: format!("{error:#}") }),
        }
    }
    Ok((rows, refused))
}

impl Columns {
    fn row(&self, line: u64) -> anyhow::Result<Row> {
        let check_in = self.arrival()?;
        let nights = number::<u64>("stays_in_weekend_nights", &self.stays_in_weekend_nights)?
            + number::<u64>("stays_in_week_nights", &self.stays_in_week_nights)?;
        let day = |from: NaiveDate, days: Option<NaiveDate>| days.with_context(|| format!("no such day beside {from}"));
        let check_out = day(check_in, check_in.checked_add_days(Days::new(nights)))?;
        let lead = Days::new(number("lead_time", &self.lead_time)?);
        let made_on = day(check_in, check_in.checked_sub_days(lead))?;
        let cancelled_on = match self.reservation_status.as_str() {
            "Check-Out" | "No-Show" => None,
            "Canceled" => {
                Some(NaiveDate::parse_from_str(&self.reservation_status_date, "%m/%d/%Y").with_context(|| {
                    format!("reservation_status_date: {:?} is no date M/D/YYYY", self.reservation_status_date)
                })?)
            }
            other => anyhow::bail!("reservation_status: {other:?} is neither Check-Out, Canceled nor No-Show"),
        };
        Ok(Row {
            line,
            room_type: self.reserved_room_type.clone(),
            channel: if self.distribution_channel == "TA/TO" { Channel::Agency } else { Channel::House },
            agent: named(&self.agent),
            company: named(&self.company),
            check_in,
            check_out,
            guests: [
                number("adults", &self.adults)?,
                number("children", &self.children)?,
                number("babies", &self.babies)?,
            ],
            rate_cents: cents(&self.adr).with_context(|| format!("adr: {:?} is no amount", self.adr))?,
            made_at: made_on.and_time(NaiveTime::MIN).and_utc(),
            cancelled_at: cancelled_on.map(|day| day.and_time(NaiveTime::MIN).and_utc()),
        })
    }

    fn arrival(&self) -> anyhow::Result<NaiveDate> {
        let text = format!("{} {} {}", self.arrival_date_year, self.arrival_date_month, self.arrival_date_day_of_month);
        NaiveDate::parse_from_str(&text, "%Y %B %d").with_context(|| format!("arrival date: {text:?} is none"))
    }
}

/// A value, where there is one.
fn named(text: &str) -> Option<String> {
    (!["", "NULL"].contains(&text)).then(|| text.to_owned())
}

fn number<T: std::str::FromStr>(column: &str, text: &str) -> anyhow::Result<T> {
    text.parse().ok().with_context(|| format!("{column}: {text:?} is not a whole number from 0 on, or too large"))
}

/// `75`, `107.4` or `-6.38` in cents, exactly.
fn cents(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<2}").parse().ok()?;
    Some(sign * (whole.parse::<i64>().ok()?.checked_mul(100)? + fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "lead_time,arrival_date_year,arrival_date_month,arrival_date_day_of_month,\
        stays_in_weekend_nights,stays_in_week_nights,adults,children,babies,distribution_channel,reserved_room_type,\
        agent,company,adr,reservation_status,reservation_status_date";

    fn read(lines: &str) -> (Vec<Row>, Vec<Refused>) {
        read_all(format!("{HEADER}\n{lines}").as_bytes(), 10).unwrap()
    }

    fn at(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn a_row_becomes_a_booking_by_the_files_own_clock() {
        let (rows, refused) = read("31,2016,February,1,1,2,2,1,0,TA/TO,A,240,NULL,107.4,Canceled,1/15/2016\n");
        assert_eq!(refused, []);
        let expected = Row {
            line: 2,
            room_type: "A".to_owned(),
            channel: Channel::Agency,
            agent: Some("240".to_owned()),
            company: None,
            check_in: at(2016, 2, 1),
            check_out: at(2016, 2, 4),
            guests: [2, 1, 0],
            rate_cents: 10_740,
            made_at: at(2016, 1, 1).and_time(NaiveTime::MIN).and_utc(),
            cancelled_at: Some(at(2016, 1, 15).and_time(NaiveTime::MIN).and_utc()),
        };
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn who_does_not_come_has_called_off_nothing() {
        let (rows, _) = read("0,2015,July,1,0,1,2,0,0,Corporate,A,NULL,110,75,No-Show,7/1/2015\n");
        assert_eq!((rows[0].channel, rows[0].company.as_deref()), (Channel::House, Some("110")));
        assert_eq!(rows[0].cancelled_at, None);
    }

    #[test]
    fn no_nights_is_day_use() {
        let (rows, _) = read("0,2015,July,1,0,0,2,0,0,Direct,C,NULL,NULL,0,Check-Out,7/1/2015\n");
        assert_eq!((rows[0].check_in, rows[0].check_out, rows[0].cancelled_at), (at(2015, 7, 1), at(2015, 7, 1), None));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_refused_with_its_line_and_column() {
        let (rows, refused) = read(
            "0,2015,July,1,0,1,2,NA,0,Direct,C,NULL,NULL,75,Check-Out,7/1/2015\n\
                0,2015,July,32,0,1,2,0,0,Direct,C,NULL,NULL,75,Check-Out,7/1/2015\n\
                0,2015,July,1,0,1,2,0,0,Direct,C,NULL,NULL,75,Gone,7/1/2015\n",
        );
        assert_eq!(rows, []);
        assert!(refused[2].reason.contains("reservation_status: \"Gone\""), "{refused:?}");
        assert!(refused[0].line == 2 && refused[0].reason.contains("children: \"NA\""), "{refused:?}");
        assert!(refused[1].line == 3 && refused[1].reason.contains("arrival date"), "{refused:?}");
    }

    #[test]
    fn amounts_are_exact() {
        let amounts = [("75", 7500), ("107.4", 10740), ("98.25", 9825), ("-6.38", -638), ("0", 0)];
        for (text, expected) in amounts {
            assert_eq!(cents(text), Some(expected), "{text}");
        }
        for text in ["", ".", "1.", ".5", "1.234", "1,5", "1e3", "--1", "99999999999999999999"] {
            assert_eq!(cents(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_of_other_columns_is_refused() {
        let error = read_all("name,price\nx,1\n".as_bytes(), 10).unwrap_err();
        assert!(format!("{error:#}").contains("lead_time"), "{error:#}");
    }
}
