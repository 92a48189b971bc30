//! What is asked of the write service over and over.

use super::stage::{ACCOUNTS, BOOKINGS, ROOM_TYPES};
use crate::http::{Numbers, Request};

/// `POST /direct-booking/bookings`, each under a key of its own.
pub(super) fn booking(numbers: &mut Numbers) -> Request {
    // Within the days that can be booked, wherever today is.
    let today = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / 86_400;
    let first = today + numbers.up_to(360);
    let (check_in, check_out) = (date(first), date(first + numbers.up_to(3)));
    let (account, room_type) = (numbers.up_to(ACCOUNTS), numbers.up_to(ROOM_TYPES));
    let body = format!(
        r#"{{"accountId":"{account}","roomTypeId":"{room_type}","checkIn":"{check_in}","checkOut":"{check_out}","guests":{{"adults":2}},"nightlyRate":{{"amountMinor":7500,"currency":"EUR"}}}}"#
    );
    let (key, length) = (numbers.next(), body.len());
    let text = format!(
        "POST /direct-booking/bookings HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nidempotency-key: {key:016x}\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    (text, 202)
}

/// `GET` of a booking that the client has.
pub(super) fn unchanged(numbers: &mut Numbers) -> Request {
    let id = numbers.up_to(BOOKINGS);
    (format!("GET /direct-booking/bookings/{id} HTTP/1.1\r\nhost: bench\r\nif-none-match: \"1-1\"\r\n\r\n"), 304)
}

/// The date of a day counted from 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(day: u64) -> String {
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_date() {
        for (day, expected) in [(0, "1970-01-01"), (59, "1970-03-01"), (20_513, "2026-03-01"), (18_321, "2020-02-29")] {
            assert_eq!(date(day), expected);
        }
    }
}
