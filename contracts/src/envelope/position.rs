//! Where in which write-ahead log an event was read.

use std::{fmt, str::FromStr};

use super::Lsn;

/// An event's place in the write-ahead log of one server. Events of one server and timeline are ordered by `(commit,
/// ordinal)`; the log positions of single changes are not ordered, since those of concurrent transactions interleave.
///
/// Written as `system:timeline:commit:ordinal`, such as `7301234567890123456:1:16/B374D848:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The system identifier that `IDENTIFY_SYSTEM` answers: one per `initdb`.
    pub system: u64,
    /// The timeline; a failover starts a new one, on which the same LSN can mean another transaction.
    pub timeline: u32,
    /// LSN of the transaction's commit record.
    pub commit: Lsn,
    /// The event's number within its transaction, from 0.
    pub ordinal: u32,
}

/// The text is not a [`Position`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position (system:timeline:lsn:ordinal): {0:?}")]
pub struct InvalidPosition(pub String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.system, self.timeline, self.commit, self.ordinal)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.split(':');
        let mut next = || parts.next();
        let parsed = (|| {
            Some(Self {
                system: next()?.parse().ok()?,
                timeline: next()?.parse().ok()?,
                commit: next()?.parse().ok()?,
                ordinal: next()?.parse().ok()?,
            })
        })();
        match (parsed, parts.next()) {
            (Some(position), None) => Ok(position),
            _ => Err(InvalidPosition(text.chars().take(64).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back_what_it_writes(system: u64, timeline: u32, commit: u64, ordinal: u32) {
            let position = Position { system, timeline, commit: Lsn(commit), ordinal };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn never_panics_on_any_text(text in "[0-9:/A-F]*") {
            let _ = text.parse::<Position>();
        }
    }
}
