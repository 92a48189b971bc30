//! The token by which a client reads its own writes.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::envelope::AggregateVersion;

/// "Answer only once you have seen this version of this aggregate." A command's answer carries it in the header
/// `Read-After`; a query, or a command in another context, takes it in the same header and waits.
///
/// Opaque to clients. Inside: base64url, without padding, of `topic/subject/version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAfter {
    /// The topic on which the aggregate's documents are published.
    pub topic: String,
    /// The aggregate's id.
    pub subject: String,
    /// The version to wait for.
    pub version: AggregateVersion,
}

/// The text is not a token that a command's answer could have carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Read-After token: pass on, unchanged, what a command answered in its Read-After header")]
pub struct InvalidReadAfter;

/// The longest token that is read, in bytes.
const MAX_BYTES: usize = 512;

impl ReadAfter {
    /// The header's name, in lower case.
    pub const HEADER: &'static str = "read-after";
}

impl fmt::Display for ReadAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}/{}/{}", self.topic, self.subject, self.version)))
    }
}

impl FromStr for ReadAfter {
    type Err = InvalidReadAfter;

    fn from_str(text: &str) -> Result<Self, InvalidReadAfter> {
        if text.len() > MAX_BYTES {
            return Err(InvalidReadAfter);
        }
        let decoded = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidReadAfter)?;
        let decoded = String::from_utf8(decoded).map_err(|_| InvalidReadAfter)?;
        let mut parts = decoded.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(topic), Some(subject), Some(version), None) if !topic.is_empty() && !subject.is_empty() => Ok(Self {
                topic: topic.to_owned(),
                subject: subject.to_owned(),
                version: version.parse().map_err(|_| InvalidReadAfter)?,
            }),
            _ => Err(InvalidReadAfter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back_what_it_writes(topic in "[a-z.-]{1,60}", subject in "[A-Za-z0-9._-]{1,64}", version in 1..i64::MAX) {
            let token = ReadAfter { topic, subject, version: version.try_into().unwrap() };
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn never_panics_on_any_text(text in ".*") {
            let _ = text.parse::<ReadAfter>();
        }
    }
}
