//! Housekeeping: what has to be done to the rooms, and when.

mod embedded {
    refinery::embed_migrations!("src/contexts/housekeeping/migrations");
}

use crate::{
    context::{Context, Setting},
    routes::Routes,
};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "housekeeping",
    schema: "housekeeping",
    database_url: Setting { flag: "housekeeping-database-url", variable: "HOUSEKEEPING_DATABASE_URL" },
    topics: contracts::housekeeping::TOPICS,
    command_topics: &[],
    migrations: embedded::migrations::runner,
    routes: Routes::new,
    aggregates: &[],
    copies: &[],
    reactors: &[],
    workers: &[],
};
