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

use crate::view::{View, each_view};

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

pub use anew::{Anew, GENERATION, table};
pub use cells::Row;
pub use journal::{JOURNAL, Journal};
pub use projector::Projector;

use projector::Project;

/// What the list of views says of projections.
macro_rules! projections {
    ($($view:ident $table:literal $topic:path => $projection:path),+ $(,)?) => {
        /// What makes the rows of a view.
        fn projection(view: View) -> &'static dyn Project {
            match view {
                $(View::$view => &$projection),+
            }
        }
    };
}

each_view!(projections);

/// The name of each of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    View::ALL.iter().map(|view| view.table()).chain([JOURNAL])
}

/// Every handler that fills a view; the journal keeps its events for that long.
pub fn all(journal_keep: Duration) -> Vec<Box<dyn AnyHandler>> {
    let of_view = |view: &View| Box::new(Projector::of(*view)) as Box<dyn AnyHandler>;
    let journal: Box<dyn AnyHandler> = Box::new(Journal::new(journal_keep));
    View::ALL.iter().map(of_view).chain([journal]).collect()
}
