//! Direct booking: room types, their rooms, what they cost, and the bookings of them.

mod documents;
mod domain;
mod http;
mod reactors;
mod restate;
mod store;
mod worker;

mod embedded {
    refinery::embed_migrations!("src/contexts/direct_booking/migrations");
}

use futures::FutureExt;

use crate::context::{Context, Setting};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "direct-booking",
    schema: "direct_booking",
    database_url: Setting { flag: "direct-booking-database-url", variable: "DIRECT_BOOKING_DATABASE_URL" },
    topics: contracts::direct_booking::TOPICS,
    command_topics: &[contracts::direct_booking::COMMANDS],
    migrations: embedded::migrations::runner,
    routes: http::routes,
    aggregates: restate::ALL,
    copies: reactors::COPIES,
    reactors: reactors::ALL,
    workers: &[|workshop, shutdown| worker::run(workshop, shutdown).boxed()],
};
