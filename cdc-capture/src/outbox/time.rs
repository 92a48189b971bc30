//! PostgreSQL's points in time as RFC 3339 in UTC, with microseconds.

use std::fmt::Write;

use chrono::{DateTime, Utc};

/// 2000-01-01 in microseconds of the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Microseconds of the Unix epoch.
pub(crate) fn unix_micros(postgres_micros: i64) -> i64 {
    postgres_micros.saturating_add(POSTGRES_EPOCH)
}

/// Microseconds of PostgreSQL's epoch.
pub(crate) fn postgres_micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros().saturating_sub(POSTGRES_EPOCH)
}

/// Writes a commit's time.
pub(super) fn write_committed_at(out: &mut String, postgres_micros: i64) {
    let time = DateTime::from_timestamp_micros(unix_micros(postgres_micros)).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
}

/// Writes a timestamptz that PostgreSQL wrote with `DateStyle=ISO` and `TimeZone=UTC`: `2026-11-21 10:02:40.5+00`.
pub(super) fn write_timestamptz(out: &mut String, text: &[u8]) -> Result<(), String> {
    let refused = || format!("{:?} is not a time of the years 1 to 9999", String::from_utf8_lossy(text));
    let (seconds, rest) = text.split_at_checked(19).ok_or_else(refused)?;
    let shape = b"0000-00-00 00:00:00";
    let fits = |(byte, model): (&u8, &u8)| if *model == b'0' { byte.is_ascii_digit() } else { byte == model };
    let fraction = rest.strip_suffix(b"+00").ok_or_else(refused)?;
    let fraction = if fraction.is_empty() { fraction } else { fraction.strip_prefix(b".").ok_or_else(refused)? };
    if !seconds.iter().zip(shape).all(fits) || fraction.len() > 6 || !fraction.iter().all(u8::is_ascii_digit) {
        return Err(refused());
    }
    out.extend(seconds.iter().map(|byte| if *byte == b' ' { 'T' } else { char::from(*byte) }));
    out.push('.');
    out.extend(fraction.iter().map(|byte| char::from(*byte)));
    out.extend(std::iter::repeat_n('0', 6 - fraction.len()));
    out.push('Z');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let mut out = String::new();
        write_timestamptz(&mut out, text.as_bytes()).map(|()| out)
    }

    #[test]
    fn a_timestamptz_becomes_rfc_3339() {
        assert_eq!(written("2026-11-21 10:02:40+00").unwrap(), "2026-11-21T10:02:40.000000Z");
        assert_eq!(written("2026-11-21 10:02:40.5+00").unwrap(), "2026-11-21T10:02:40.500000Z");
        assert_eq!(written("2026-11-21 10:02:40.123456+00").unwrap(), "2026-11-21T10:02:40.123456Z");
    }

    #[test]
    fn what_is_no_such_time_is_refused() {
        for text in ["", "infinity", "2026-11-21 10:02:40", "2026-11-21 10:02:40+01", "0044-03-15 12:00:00+00 BC"] {
            assert!(written(text).is_err(), "{text}");
        }
        assert!(written("12026-11-21 10:02:40+00").is_err());
        assert!(written("2026-11-21 10:02:40.+00").is_ok(), "harmless");
    }

    #[test]
    fn a_commit_time_becomes_rfc_3339() {
        let mut out = String::new();
        write_committed_at(&mut out, 1_500_000);
        assert_eq!(out, "2000-01-01T00:00:01.500000Z");
        write_committed_at(&mut out, i64::MAX);
    }
}
