//! The read side: views of what the contexts tell, kept in PostgreSQL and served as GraphQL.
//!
//! [`projection`] writes the views from Kafka, [`view`] is where they are kept, [`graphql`] reads them, [`live`] tells what
//! has changed in them, [`http`] serves that. [`serve`] wires all of it together; [`migrate`] prepares the database;
//! [`rebuild`](fn@rebuild) fills views anew. Nothing here knows a write-side table.

pub mod graphql;
pub mod http;
pub mod live;
pub mod projection;
mod rebuild;
mod recent;
mod service;
mod settings;
pub mod view;

pub use rebuild::{Error as RebuildError, RebuildArgs, RebuildSettings, rebuild};
pub use service::{Error, serve};
pub use settings::{InboxArgs, Projecting, ServeArgs, Serving, Settings, desk};
pub use view::migrate;
