//! Accounts: who may book on account, and how to reach them.

mod documents;
mod domain;
mod http;
mod reactors;
mod restate;
mod store;

mod embedded {
    refinery::embed_migrations!("src/contexts/accounts/migrations");
}

use crate::context::{Context, Setting};

/// This context.
pub(crate) static CONTEXT: Context = Context {
    name: "accounts",
    schema: "accounts",
    database_url: Setting { flag: "accounts-database-url", variable: "ACCOUNTS_DATABASE_URL" },
    topics: contracts::accounts::TOPICS,
    command_topics: &[],
    migrations: embedded::migrations::runner,
    routes: http::routes,
    aggregates: restate::ALL,
    copies: &[],
    reactors: reactors::ALL,
    workers: &[],
};
