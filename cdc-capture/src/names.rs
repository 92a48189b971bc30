//! Names of things in PostgreSQL, checked once, quoted where they enter a statement.

use std::{fmt, str::FromStr};

/// The longest name that PostgreSQL keeps, in bytes.
const LONGEST: usize = 63;

/// The name of a replication slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotName(String);

/// The name of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationName(String);

/// The name of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleName(String);

/// The name of a table with its schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

/// Why a text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It has characters that it may not have, too many or none.
    #[error("a slot's name has 1 to 63 of a-z 0-9 _")]
    Slot,
    /// It is empty, too long or has a zero byte.
    #[error("a name has 1 to 63 bytes")]
    Identifier,
    /// It is not `schema.table`.
    #[error("expected schema.table")]
    Table,
}

impl SlotName {
    /// The slot that is used unless another is named.
    pub const DEFAULT: &str = "waybill";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slot that is held while this one is replaced.
    pub fn for_resync(&self) -> Self {
        const SUFFIX: &str = "_resync";
        // All of it is ASCII.
        Self(format!("{}{SUFFIX}", &self.0[..self.0.len().min(LONGEST - SUFFIX.len())]))
    }
}

impl Default for SlotName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for SlotName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(legal);
        fits.then(|| Self(text.to_owned())).ok_or(InvalidName::Slot)
    }
}

impl PublicationName {
    /// The publication that is used unless another is named.
    pub const DEFAULT: &str = "waybill";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PublicationName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for PublicationName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        identifier(text).map(Self)
    }
}

impl RoleName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        identifier(text).map(Self)
    }
}

impl TableName {
    /// `"schema"."table"`.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.table))
    }
}

impl FromStr for TableName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (schema, table) = text.split_once('.').ok_or(InvalidName::Table)?;
        if table.contains('.') {
            return Err(InvalidName::Table);
        }
        Ok(Self { schema: identifier(schema)?, table: identifier(table)? })
    }
}

fn identifier(text: &str) -> Result<String, InvalidName> {
    let fits = (1..=LONGEST).contains(&text.len()) && !text.contains('\0');
    fits.then(|| text.to_owned()).ok_or(InvalidName::Identifier)
}

/// `"name"`, for a place where a statement wants an identifier.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, for a place where a statement wants a literal.
pub(crate) fn quote_literal(text: &str) -> String {
    // An E string has the same meaning whatever standard_conforming_strings is set to.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
display_as_str!(SlotName, PublicationName, RoleName);

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_postgres_rules() {
        assert!("waybill_2".parse::<SlotName>().is_ok());
        for text in ["", "Waybill", "a-b", "a'b", &"a".repeat(64)] {
            assert_eq!(text.parse::<SlotName>(), Err(InvalidName::Slot), "{text}");
        }
    }

    #[test]
    fn the_slot_of_a_resync_has_a_name_too() {
        let of = |name: &str| name.parse::<SlotName>().unwrap().for_resync().to_string();
        assert_eq!(of("waybill"), "waybill_resync");
        assert_eq!(of(&"a".repeat(63)), format!("{}_resync", "a".repeat(56)));
    }

    #[test]
    fn a_table_is_named_with_its_schema() {
        let table: TableName = "Sales.out\"box".parse().unwrap();
        assert_eq!(table.quoted(), r#""Sales"."out""box""#);
        for text in ["outbox", ".outbox", "sales.", "a.b.c"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(quote_literal(r"it's \' "), r"E'it''s \\'' '");
        assert_eq!(quote_identifier(r#"a"b"#), r#""a""b""#);
    }
}
