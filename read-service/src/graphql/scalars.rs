//! The scalars that GraphQL itself lacks.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::NaiveDate;

/// A whole number of 64 bits, as a JSON number. `Int` has only 32 bits. JavaScript reads up to 2^53 - 1 exactly, which as
/// an amount is 90 trillion euros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Long(pub(crate) i64);

/// A whole number of 64 bits, as a JSON number. `Int` has only 32 bits. JavaScript reads up to 2^53 - 1 exactly, which as
/// an amount is 90 trillion euros.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => {
                number.as_i64().map(Self).ok_or_else(|| InputValueError::custom("not a whole number of 64 bits"))
            }
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::Number(number) if number.is_i64())
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

/// A day of the calendar as RFC 3339 writes it: `2026-11-21`. Years 0001 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(pub(crate) NaiveDate);

impl Date {
    fn read(text: &str) -> Option<Self> {
        // The date library alone would also take `2026-1-1` and `+2026-01-01`.
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        (day.format("%Y-%m-%d").to_string() == text && !text.starts_with("0000")).then_some(Self(day))
    }
}

/// A day of the calendar as RFC 3339 writes it: `2026-11-21`. Years 0001 to 9999.
#[Scalar(name = "Date", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Self::read(text)
                .ok_or_else(|| InputValueError::custom("not a day of the calendar, written as 2026-11-21")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if Self::read(text).is_some())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.format("%Y-%m-%d").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_only_as_it_is_written() {
        for text in ["2026-11-21", "2024-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(Date::read(text).map(|date| date.to_value()), Some(Value::from(text)));
        }
        for text in
            ["", "2026-1-1", "+2026-01-01", "2025-02-29", "0000-01-01", "10000-01-01", "tomorrow", "2026-11-21 "]
        {
            assert_eq!(Date::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_long_is_a_whole_number() {
        assert_eq!(Long::parse(Value::from(i64::MAX)).ok(), Some(Long(i64::MAX)));
        assert!(!Long::is_valid(&Value::from(1.5)));
        assert!(!Long::is_valid(&Value::from("1")));
    }
}
