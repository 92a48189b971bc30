//! The projections: what a document becomes in its view.
//!
//! A projection is a pure function from a document to a row: a list of columns, each with its name, its type and where its
//! value is in the document. What is done with the rows is the same for all of them: [`Projector`] takes a batch into the
//! view's table by one statement, which takes a row only over a lower version, so that a message that comes twice, or late,
//! changes nothing. [`Journal`] keeps a line for each event instead of a row for each aggregate.
//!
//! ```text
//! column      a column's name, type and value              knows no other column
//! cells       values as PostgreSQL receives them           refuses what PostgreSQL could not hold
//! statement   rows into a table, a batch at a time         knows no document
//! projector   message -> row -> statement
//! told        what those who follow it hear of a batch
//! anew        the same into the table of a rebuild
//! ```

use std::time::Duration;

use inbox::AnyHandler;

use crate::view::View;

mod account;
mod anew;
mod booking;
mod cells;
mod column;
mod guest;
mod journal;
mod payment;
mod projector;
mod rate_plan;
mod room_type;
mod site;
mod site_booking;
mod statement;
mod task;
mod told;

pub use account::ACCOUNT;
pub use anew::{Anew, GENERATION, table};
pub use booking::BOOKING;
pub use cells::Row;
pub use column::Column;
pub use guest::GUEST;
pub use journal::{JOURNAL, Journal};
pub use payment::PAYMENT;
pub use projector::{Projection, Projector};
pub use rate_plan::RATE_PLAN;
pub use room_type::ROOM_TYPE;
pub use site::SITE;
pub use site_booking::SITE_BOOKING;
pub use task::TASK;

/// The name of each of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    View::ALL.iter().map(|view| view.table()).chain([JOURNAL])
}

/// Every handler that fills a view; the journal keeps its events for that long.
pub fn all(journal_keep: Duration) -> Vec<Box<dyn AnyHandler>> {
    vec![
        Box::new(Projector::new(&ACCOUNT)),
        Box::new(Projector::new(&GUEST)),
        Box::new(Projector::new(&ROOM_TYPE)),
        Box::new(Projector::new(&RATE_PLAN)),
        Box::new(Projector::new(&BOOKING)),
        Box::new(Projector::new(&PAYMENT)),
        Box::new(Projector::new(&TASK)),
        Box::new(Projector::new(&SITE)),
        Box::new(Projector::new(&SITE_BOOKING)),
        Box::new(Journal::new(journal_keep)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_a_projection_of_its_name() {
        let there = all(Duration::MAX);
        assert_eq!(there.iter().map(|handler| handler.name()).collect::<Vec<_>>(), names().collect::<Vec<_>>());
    }
}
