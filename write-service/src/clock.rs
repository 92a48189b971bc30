//! The business clock: what time it is for the commands.
//!
//! Domain code never looks at a clock; the time is passed in with the command. The outbox row's own time stamp is not
//! from here: it is the database's.

use std::str::FromStr;

use axum::http::HeaderValue;
use chrono::{DateTime, SubsecRound, TimeZone, Utc};

use crate::problem::Problem;

/// The request header by which a command of a replay says what time it is.
pub const HEADER: &str = "waybill-time";

/// Where the time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// From the system.
    #[default]
    System,
    /// From the request's `Waybill-Time` header where it has one, for replays; else from the system.
    Request,
}

/// The text names no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected system or request")]
pub struct UnknownClock;

impl FromStr for Clock {
    type Err = UnknownClock;

    fn from_str(text: &str) -> Result<Self, UnknownClock> {
        match text {
            "system" => Ok(Self::System),
            "request" => Ok(Self::Request),
            _ => Err(UnknownClock),
        }
    }
}

impl Clock {
    /// The time of a command, in the microseconds that PostgreSQL keeps.
    pub(crate) fn now(self, header: Option<&HeaderValue>) -> Result<DateTime<Utc>, Problem> {
        let now = match (self, header) {
            (_, None) => Utc::now(),
            (Self::System, Some(_)) => {
                return Err(Problem::invalid_header(
                    "Waybill-Time",
                    "is taken only by a service run with --clock request",
                ));
            }
            (Self::Request, Some(value)) => value
                .to_str()
                .ok()
                .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
                .map(|time| time.with_timezone(&Utc))
                .filter(|time| Some(*time) >= Utc.timestamp_opt(0, 0).single())
                .ok_or_else(|| {
                    Problem::invalid_header("Waybill-Time", "expected a time as in RFC 3339, from 1970 on")
                })?,
        };
        Ok(now.trunc_subsecs(6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: Clock, header: &'static str) -> Result<DateTime<Utc>, Problem> {
        clock.now(Some(&HeaderValue::from_static(header)))
    }

    #[test]
    fn a_replay_brings_its_own_time() {
        let time = at(Clock::Request, "2015-07-01T14:00:00.1234567+02:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2015-07-01T12:00:00.123456+00:00");
    }

    #[test]
    fn the_header_is_refused_where_it_means_nothing() {
        assert!(at(Clock::System, "2015-07-01T14:00:00Z").is_err());
        for text in ["", "yesterday", "2015-07-01", "1969-12-31T23:59:59Z", "2015-07-01T14:00:00"] {
            assert!(at(Clock::Request, text).is_err(), "{text:?}");
        }
    }
}
