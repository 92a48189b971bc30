//! Payments: charges what is booked, once, from its own copy of the cards, whoever else is down.
//!
//! ```text
//! reactors    bookings and cards come in              -> domain decides -> store: payment, event, operation
//! worker      takes operations that are due           -> processor: the third party over HTTP
//!             writes down what came of them           -> domain decides -> store: payment, event
//! ```

mod documents;
mod domain;
mod http;
mod operations;
mod payer;
mod processor;
mod reactors;
mod restate;
mod store;
mod worker;

mod embedded {
    refinery::embed_migrations!("src/contexts/payments/migrations");
}

use futures::FutureExt;

use crate::context::{Context, Setting};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "payments",
    schema: "payments",
    database_url: Setting { flag: "payments-database-url", variable: "PAYMENTS_DATABASE_URL" },
    topics: contracts::payments::TOPICS,
    command_topics: &[],
    migrations: embedded::migrations::runner,
    routes: http::routes,
    aggregates: restate::ALL,
    copies: &[],
    reactors: reactors::ALL,
    workers: &[|workshop, shutdown| worker::run(workshop, shutdown).boxed()],
};
