//! The views as GraphQL: the schema, and executing a request against it.
//!
//! A module for each type says which columns it is made of; [`Query`](query::Query) turns each root field into one SQL
//! statement by looking ahead in the selection. Nothing here knows HTTP.

mod account;
mod booking;
mod bookings;
mod error;
mod execute;
mod filter;
mod freshness;
mod limits;
mod metrics;
mod money;
mod page;
mod query;
mod room_type;
mod root;
mod scalars;
mod summary;

pub use error::{Code, Error};
pub use execute::{Answer, Executor, Operation};
pub use freshness::{Awaited, Freshness};

use async_graphql::{EmptyMutation, EmptySubscription, Schema, SchemaBuilder};

type ReadSchema = Schema<query::Query, EmptyMutation, EmptySubscription>;

fn builder() -> SchemaBuilder<query::Query, EmptyMutation, EmptySubscription> {
    Schema::build(query::Query, EmptyMutation, EmptySubscription)
        .limit_depth(limits::MAX_DEPTH)
        .limit_complexity(limits::MAX_COMPLEXITY)
        .limit_directives(limits::MAX_DIRECTIVES)
}

/// The schema in GraphQL's own language, as `schema.graphql` has it.
pub fn sdl() -> String {
    builder().finish().sdl()
}
