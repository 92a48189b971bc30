//! Whether a database error is an event's own or passes.
//!
//! Only what an event's data can cause is definite: the event would fail for ever, so it is set aside. Everything else is
//! waited out, since setting events aside would lose them for a reason that is not theirs. That includes what an operator
//! has to mend: a missing table or column, a missing privilege (class 42), a full disk (53). The intake then stands still
//! and its health says why.

use std::error::Error as _;

use tokio_postgres::{Error, types::WrongType};

use crate::Unapplied;

/// What a failed statement means for the event that it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Trying again later can help: the event is not to blame.
    Passing,
    /// It fails however often it is tried.
    Definite,
}

/// SQLSTATE classes that an event's data can cause: routine and case errors, cardinality, data exceptions, integrity and
/// check-option violations, triggers' own, program limits (a value too large for its index), raised exceptions.
const OF_THE_DATA: [&str; 12] = ["09", "20", "21", "22", "23", "27", "2F", "38", "39", "44", "54", "P0"];

impl Fault {
    pub(crate) fn of(error: &Unapplied) -> Self {
        match error {
            Unapplied::Statement(error) => Self::of_statement(error),
            Unapplied::Delayed(_) => Self::Passing,
            Unapplied::Refused(_) => Self::Definite,
        }
    }

    fn of_statement(error: &Error) -> Self {
        match error.code() {
            Some(state) => Self::of_state(state.code()),
            None if is_unencodable_value(error) => Self::Definite,
            None => Self::Passing,
        }
    }

    fn of_state(state: &str) -> Self {
        let definite = state.get(..2).is_some_and(|class| OF_THE_DATA.contains(&class));
        if definite { Self::Definite } else { Self::Passing }
    }
}

/// A value that the driver cannot encode, such as a date that PostgreSQL does not have. A value of another type than the
/// statement's is the handler's mistake and not the event's.
fn is_unencodable_value(error: &Error) -> bool {
    // The driver does not publish its errors' kinds.
    error.to_string().starts_with("error serializing parameter")
        && error.source().is_some_and(|cause| !cause.is::<WrongType>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_events_data_causes_is_definite() {
        for state in ["22001", "22021", "22P02", "23502", "23505", "23514", "21000", "44000", "54000", "P0001"] {
            assert_eq!(Fault::of_state(state), Fault::Definite, "{state}");
        }
        let passing =
            ["08006", "40001", "40P01", "57P01", "57P03", "53300", "53100", "57014", "55P03", "25006", "XX000"];
        let operators = ["42P01", "42703", "42501", "3D000", "28P01", ""];
        for state in passing.into_iter().chain(operators) {
            assert_eq!(Fault::of_state(state), Fault::Passing, "{state}");
        }
    }
}
