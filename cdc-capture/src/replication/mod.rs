//! The PostgreSQL side: a connection in replication mode, what is verified before streaming, the stream itself and the
//! confirmations that go back.
//!
//! Guarantees: nothing is ever confirmed here but what the caller hands over; a confirmation never goes back; TLS is
//! verified wherever the settings want TLS. It knows nothing of Kafka or of an outbox's meaning.
//!
//! ```text
//! Connection::open -> identify, verify -> Connection::start -> Stream: next() frames in, confirm() statuses out
//! ```

mod connection;
mod error;
mod frame;
mod snapshot;
mod startup;
mod stream;
mod tls;
mod verify;

pub use connection::{Connection, Server};
pub use error::{Error, Finding};
pub use frame::{Frame, MalformedFrame};
pub use stream::Stream;
pub use tls::Unusable as UnusableTls;
pub use verify::{Slot, verify};

pub(crate) use snapshot::Exported;
pub(crate) use tls::Endpoint;
