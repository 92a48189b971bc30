//! Periods of time, as a setting has them.

use std::{str::FromStr, time::Duration};

/// A period: `24h`, `90m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(Duration);

/// The text is no such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of seconds, minutes, hours or days from 1s to 366d, such as 24h")]
pub struct InvalidPeriod;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

impl Period {
    /// A day.
    pub const DAY: Self = Self(Duration::from_secs(24 * 3600));
    /// A week.
    pub const WEEK: Self = Self(Duration::from_secs(7 * 24 * 3600));

    /// How long that is.
    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let unit = text.chars().next_back().ok_or(InvalidPeriod)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return Err(InvalidPeriod),
        };
        let count = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let count: u64 = count.and_then(|digits| digits.parse().ok()).ok_or(InvalidPeriod)?;
        let period = Duration::from_secs(count.checked_mul(seconds).ok_or(InvalidPeriod)?);
        if (SHORTEST..=LONGEST).contains(&period) { Ok(Self(period)) } else { Err(InvalidPeriod) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_with_a_unit_and_nothing_else() {
        for (text, seconds) in [("1s", 1), ("90m", 5400), ("24h", 86_400), ("366d", 31_622_400)] {
            assert_eq!(text.parse().map(Period::duration), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "24", "0s", "367d", "-1h", "+1h", "1.5h", "1 h", "1ä", "18446744073709551615d"] {
            assert_eq!(text.parse::<Period>(), Err(InvalidPeriod), "{text}");
        }
    }
}
