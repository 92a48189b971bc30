//! The version of an aggregate.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An aggregate's version: 1 when it is created, rising by 1 with each change. Fits PostgreSQL's `bigint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "i64", into = "i64")]
#[schemars(extend("minimum" = 1))]
pub struct AggregateVersion(i64);

/// The number is not a version: it is below 1, or no number at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version (a whole number from 1 on): {0}")]
pub struct InvalidVersion(pub String);

impl AggregateVersion {
    /// The version of an aggregate that has just been created.
    pub const FIRST: Self = Self(1);

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number, at least 1.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The number as the CloudEvents `sequence` extension wants it, ordered as text: 20 digits, zero-padded.
    pub fn to_sequence(self) -> String {
        format!("{:020}", self.0)
    }
}

impl TryFrom<i64> for AggregateVersion {
    type Error = InvalidVersion;

    fn try_from(number: i64) -> Result<Self, InvalidVersion> {
        if number >= 1 { Ok(Self(number)) } else { Err(InvalidVersion(number.to_string())) }
    }
}

impl From<AggregateVersion> for i64 {
    fn from(version: AggregateVersion) -> i64 {
        version.0
    }
}

impl fmt::Display for AggregateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AggregateVersion {
    type Err = InvalidVersion;

    /// Reads the number with or without leading zeros.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
        number
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| InvalidVersion(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sequences_are_ordered_as_text(a in 1..i64::MAX, b in 1..i64::MAX) {
            let (a, b) = (AggregateVersion(a), AggregateVersion(b));
            prop_assert_eq!(a.cmp(&b), a.to_sequence().cmp(&b.to_sequence()));
            prop_assert_eq!(a.to_sequence().parse(), Ok(a));
        }
    }

    #[test]
    fn refuses_what_is_not_a_version() {
        for text in ["", "0", "-1", "+1", "1.0", "99999999999999999999"] {
            assert!(text.parse::<AggregateVersion>().is_err(), "{text:?}");
        }
    }
}
