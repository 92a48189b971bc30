//! Who reads what: `readers.toml`, in which every reader declares its topics, so that nobody drops what somebody reads.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A context of the write service, or another service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// How the names of its consumer groups begin.
    pub groups: String,
    /// The names of the topics that it reads.
    pub reads: Vec<String>,
}

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("readers.toml: {0}")]
pub struct InvalidReaders(#[from] toml::de::Error);

/// Every reader, by its name.
///
/// # Errors
/// When the file that was built in is not what it should be.
pub fn readers() -> Result<BTreeMap<String, Reader>, InvalidReaders> {
    Ok(toml::from_str(include_str!("../readers.toml"))?)
}
