//! Housekeeping: what has to be done to the rooms, and when.
//!
//! ```text
//! reactors    bookings come in                        -> domain says what changes -> store: stay, tasks, events
//! worker      the day's cleaning of rooms in use      -> domain says what is due  -> store: tasks, events
//! http        a task is done                          -> domain decides           -> store: task, event
//! ```
//!
//! No deadlock: whoever schedules, changes or cancels tasks holds their booking's stay. A reactor locks the stays of its batch
//! in the order of the bookings' ids, all of them before any task; the worker leaves out those that somebody has; and a command
//! locks one task, and nothing after it.

mod documents;
mod domain;
mod http;
mod reactors;
mod restate;
mod store;
mod worker;

mod embedded {
    refinery::embed_migrations!("src/contexts/housekeeping/migrations");
}

use futures::FutureExt;

use crate::context::{Context, Setting};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "housekeeping",
    schema: "housekeeping",
    database_url: Setting { flag: "housekeeping-database-url", variable: "HOUSEKEEPING_DATABASE_URL" },
    topics: contracts::housekeeping::TOPICS,
    command_topics: &[],
    migrations: embedded::migrations::runner,
    routes: http::routes,
    aggregates: restate::ALL,
    copies: reactors::COPIES,
    reactors: reactors::ALL,
    workers: &[|workshop, shutdown| worker::run(workshop, shutdown).boxed()],
};
