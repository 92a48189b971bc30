//! Private PostgreSQL and Apache Kafka servers for the demo, the tests and the benchmarks, and what tests need around
//! them.
//!
//! - [`Postgres`] and [`Kafka`] start a server of one's own from the installed programs, on a free port of the loopback
//!   interface, in a directory that is thrown away. They never outlive the process that started them.
//! - [`shared`] names the pair of servers that one run of all tests shares; [`TempDatabase`] and [`unique_prefix`] give
//!   each test its own database and topics on it. The program `servers` (`cargo run -p servers -- run -- COMMAND`)
//!   starts that pair around a command.
//! - [`Process`] runs a program of this workspace beside a test, [`eventually`] waits for what it should bring about,
//!   [`topics`] writes and reads whole topics.

pub mod binaries;
mod child;
pub mod groups;
mod issuer;
pub mod kafka;
mod ports;
pub mod postgres;
mod scratch;
pub mod shared;
mod temp_database;
pub mod topics;
mod unique;
pub mod wait;

pub use binaries::Process;
pub use issuer::IssuerKey;
pub use kafka::{Kafka, KafkaOptions};
pub use postgres::{Mode, Postgres, PostgresOptions, Release};
pub use temp_database::{Login, TempDatabase};
pub use unique::unique_prefix;
pub use wait::eventually;
