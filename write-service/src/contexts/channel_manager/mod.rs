//! Channel manager: the aggregator sites that sell the hotel's rooms, how many each may sell, and what they have sold.

mod embedded {
    refinery::embed_migrations!("src/contexts/channel_manager/migrations");
}

use crate::{
    context::{Context, Setting},
    routes::Routes,
};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "channel-manager",
    schema: "channel_manager",
    database_url: Setting { flag: "channel-manager-database-url", variable: "CHANNEL_MANAGER_DATABASE_URL" },
    topics: contracts::channel_manager::TOPICS,
    command_topics: &[],
    migrations: embedded::migrations::runner,
    routes: Routes::new,
    aggregates: &[],
    copies: &[],
    reactors: &[],
    workers: &[],
};
