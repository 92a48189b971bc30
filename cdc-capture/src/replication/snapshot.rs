//! A temporary slot whose snapshot other sessions can read by. It lives as long as its connection does, and there can
//! only be one of its name, so that holding it is also a right that dies with its holder.

use std::time::Duration;

use contracts::envelope::Lsn;
use tokio::time::timeout;

use super::{Connection, Error};
use crate::names::{SlotName, quote_identifier};

/// How often the connection is tried, so that neither end keeps it for longer than the other lives.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What a new slot's stream begins with, and what was committed before that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Every transaction whose commit record is here or later is in the slot's stream.
    pub(crate) consistent: Lsn,
    /// The name of the snapshot that sees exactly the transactions before. It can be taken up until this connection
    /// gets its next statement.
    pub(crate) snapshot: String,
}

impl Connection {
    /// Makes the temporary slot. That waits, for however long it takes, until each transaction that is running now has
    /// ended.
    ///
    /// # Errors
    /// [`Error::SlotInUse`] when another has it.
    pub(crate) async fn export_snapshot(&mut self, slot: &SlotName) -> Result<Exported, Error> {
        // Nothing is said on this connection for long.
        self.query("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'").await?;
        let name = quote_identifier(slot.as_str());
        let create = format!("CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')");
        let rows = self.query_unbounded(&create).await?;
        let column = |at: usize| rows.first()?.get(at)?.as_deref();
        let exported = || Some(Exported { consistent: column(1)?.parse().ok()?, snapshot: column(2)?.to_owned() });
        exported().ok_or_else(|| Error::Protocol("an unreadable answer to CREATE_REPLICATION_SLOT".to_owned()))
    }

    /// Waits until the connection has ended, and with it the temporary slot. Not to be used again once it was dropped.
    pub(crate) async fn until_lost(&mut self) -> Error {
        loop {
            match timeout(PING_EVERY, self.next()).await {
                // A notice, say.
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error,
                Err(_) => {
                    if let Err(error) = self.query("SELECT 1").await {
                        return error;
                    }
                }
            }
        }
    }
}
