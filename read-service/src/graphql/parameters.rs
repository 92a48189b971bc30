//! A statement's parameters, in the order of their numbers.

use bytes::BytesMut;
use chrono::{DateTime, NaiveDate, Utc};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A value from outside. None ever becomes part of a statement's text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `text`
    Text(String),
    /// `bigint`
    Long(i64),
    /// `date`
    Date(NaiveDate),
    /// `timestamptz`
    Instant(DateTime<Utc>),
}

impl Value {
    fn ty(&self) -> Type {
        match self {
            Self::Text(_) => Type::TEXT,
            Self::Long(_) => Type::INT8,
            Self::Date(_) => Type::DATE,
            Self::Instant(_) => Type::TIMESTAMPTZ,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Text(text) => text.to_sql(ty, out),
            Self::Long(number) => number.to_sql(ty, out),
            Self::Date(day) => day.to_sql(ty, out),
            Self::Instant(instant) => instant.to_sql(ty, out),
        }
    }

    // Each is sent as the type that it says.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The parameters so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<Value>);

impl Parameters {
    /// Adds a value and gives its name in the statement: `$3`.
    pub(crate) fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Only the first so many.
    pub(super) fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    pub(super) fn types(&self) -> Vec<Type> {
        self.0.iter().map(Value::ty).collect()
    }

    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|value| value as _).collect()
    }
}
