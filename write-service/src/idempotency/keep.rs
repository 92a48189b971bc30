//! For how long an answer is kept.

use std::{str::FromStr, time::Duration};

/// For how long a command's answer is kept under its key: `24h`, `90m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep(Duration);

/// The text is no such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of seconds, minutes, hours or days from 1s to 366d, such as 24h")]
pub struct InvalidKeep;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

impl Keep {
    /// A day: a client that sees no answer for that long has stopped trying.
    pub const DEFAULT: Self = Self(Duration::from_secs(24 * 3600));

    /// How long that is.
    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Keep {
    type Err = InvalidKeep;

    fn from_str(text: &str) -> Result<Self, InvalidKeep> {
        let unit = text.chars().next_back().ok_or(InvalidKeep)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return Err(InvalidKeep),
        };
        let count = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let count: u64 = count.and_then(|digits| digits.parse().ok()).ok_or(InvalidKeep)?;
        let keep = Duration::from_secs(count.checked_mul(seconds).ok_or(InvalidKeep)?);
        if (SHORTEST..=LONGEST).contains(&keep) { Ok(Self(keep)) } else { Err(InvalidKeep) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_with_a_unit_and_nothing_else() {
        for (text, seconds) in [("1s", 1), ("90m", 5400), ("24h", 86_400), ("366d", 31_622_400)] {
            assert_eq!(text.parse().map(Keep::duration), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "24", "0s", "367d", "-1h", "+1h", "1.5h", "1 h", "1ä", "18446744073709551615d"] {
            assert_eq!(text.parse::<Keep>(), Err(InvalidKeep), "{text}");
        }
    }
}
