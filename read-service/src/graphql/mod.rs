//! The views as GraphQL.
//!
//! [`model`] says what can be asked and where it comes from, as data. The schema is made of it, and an operation is compiled to one
//! SQL statement by it, whose row is written as the answer. Nothing here knows HTTP.
//!
//! ```text
//! documents   text -> parsed and validated, once       arguments, selection   what is asked, by the specification's rules
//! compile     what is asked -> SQL and a shape         write                  PostgreSQL's binary row -> JSON, by the shape
//! waits       what is to be visible before that          freshness              whether it is
//! execute     a request -> its answer: waits, asks, writes
//! ```

mod answer;
mod arguments;
mod compile;
mod conditions;
mod documents;
mod error;
mod execute;
mod freshness;
mod limits;
mod live;
mod metrics;
mod model;
mod page;
mod parameters;
mod persisted;
mod schema;
mod selection;
mod shape;
mod waits;
mod write;

pub use answer::Answer;
pub use error::{Code, Error};
pub use execute::{Executor, Operation, Request};
pub use freshness::{Awaited, Freshness};
pub use live::Live;
pub(crate) use live::Seen;
pub use persisted::Hash;

/// The scope of who may query.
pub const READ: &str = "view:read";

/// The scope of who may see what says something of persons, too.
pub const PERSONAL: &str = "view:personal";

/// The schema in GraphQL's own language, as `schema.graphql` has it.
///
/// # Errors
/// When the model does not hang together.
pub fn sdl() -> Result<String, async_graphql::dynamic::SchemaError> {
    Ok(schema::Schemas::of(&model::Model::new())?.sdl())
}
