//! Ids of aggregates.
//!
//! An id is chosen by whoever creates the aggregate, or made for them: 1 to 64 letters, digits, `.`, `_` and `-`. So it
//! goes unchanged into a path, a Kafka key and a header, and reference data may have readable ids (room type `A`).

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 1 to 64 of the characters a-z A-Z 0-9 . _ - are allowed, and it may not be . or ..")]
pub struct InvalidId;

fn checked(text: String) -> Result<String, InvalidId> {
    let valid = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && text != "."
        && text != "..";
    if valid { Ok(text) } else { Err(InvalidId) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$"))]
        pub struct $name(String);

        impl $name {
            /// A new id, a UUIDv7: later ids sort after earlier ones.
            pub fn generate() -> Self {
                Self(Uuid::now_v7().to_string())
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                checked(text.to_owned()).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                checked(text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The id of an account.
    AccountId
);
id!(
    /// The id of a room type.
    RoomTypeId
);
id!(
    /// The id of a booking.
    BookingId
);

id!(
    /// The id of a guest who books without an account.
    GuestId
);
id!(
    /// The id of a rate plan.
    RatePlanId
);
id!(
    /// The id of a housekeeping task.
    TaskId
);
id!(
    /// The id of an aggregator site.
    SiteId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_line_numbers_codes_and_uuids() {
        for text in ["2", "A", "room-type_1.b", &Uuid::now_v7().to_string()] {
            assert!(text.parse::<BookingId>().is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_what_would_not_survive_a_path_or_a_header() {
        for text in ["", ".", "..", "a/b", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert!(text.parse::<BookingId>().is_err(), "{text:?}");
        }
    }
}
