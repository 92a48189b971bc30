//! Channel manager: the aggregator sites that sell the hotel's rooms, how many each may sell, and what they have sold.
//!
//! ```text
//! http        sites are connected and allotted rooms; what they sell and cancel comes in   -> domain -> store: state, event
//! reactors    bookings and rooms come in: copies; what became of the sites' bookings        -> domain -> store: state, event
//! notices     what each site is to be told because of that, in the same transactions
//! worker      takes notices that are due, looks up what there is to say                     -> site_api: the site over HTTP
//! ```
//!
//! No deadlock: whoever locks, locks in this order, and several of a kind in the order of their keys: a site, room types
//! (advisory locks, see [`store::allotments`]), bookings of sites, copies, notices of bookings, notices of nights.

mod documents;
mod domain;
mod http;
mod notices;
mod reactors;
mod restate;
mod site_api;
mod store;
mod worker;

mod embedded {
    refinery::embed_migrations!("src/contexts/channel_manager/migrations");
}

use futures::FutureExt;

use crate::context::{Context, Setting};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "channel-manager",
    schema: "channel_manager",
    database_url: Setting { flag: "channel-manager-database-url", variable: "CHANNEL_MANAGER_DATABASE_URL" },
    topics: contracts::channel_manager::TOPICS,
    command_topics: &[],
    migrations: embedded::migrations::runner,
    routes: http::routes,
    aggregates: restate::ALL,
    copies: &[],
    reactors: reactors::ALL,
    workers: &[|workshop, shutdown| worker::run(workshop, shutdown).boxed()],
};
