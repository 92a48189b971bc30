//! The right to replace the slot, and its replacement.
//!
//! The right is a temporary slot, named after the one that is replaced. The server makes only one of a name, and drops it
//! when its connection ends: so of several relays one resyncs, and when that one dies another begins anew. It is also
//! where the new slot begins. The permanent slot is made as a copy of it, for a server copies any slot's position, also a
//! temporary one's that is another session's, while that keeps the log from there on: what is committed between the
//! snapshot and the copy is in the copy's stream.

use contracts::envelope::Lsn;
use tokio_postgres::{Client, error::SqlState};

use super::{Error, error::unavailable};
use crate::{
    Settings,
    names::SlotName,
    replication::{self, Connection, Endpoint, Exported, Server, verify},
    slot::SlotState,
};

/// The right to replace a slot.
pub(super) struct Right {
    connection: Connection,
    /// The server that it is of.
    pub(super) server: Server,
    /// Where the new slot begins.
    pub(super) from: Exported,
}

/// How the slot was found once nobody else could replace it.
pub(super) enum Condition {
    /// It is missing, or the server has removed log that it needs.
    Lost {
        /// Which of them.
        problem: String,
        /// It is there and was copied to standbys.
        was_failover: bool,
    },
    /// It could be streamed, and nobody does.
    Free {
        /// It is copied to standbys.
        is_failover: bool,
    },
}

impl Condition {
    /// Whether the new slot should be copied to standbys, as this one was. Of a missing one that is not known.
    pub(super) fn was_failover(&self) -> bool {
        match self {
            Self::Lost { was_failover: failover, .. } | Self::Free { is_failover: failover } => *failover,
        }
    }
}

impl Right {
    /// Waits until all transactions have ended that are running now.
    pub(super) async fn acquire(settings: &Settings, endpoints: &[Endpoint]) -> Result<Self, Error> {
        let mut connection = Connection::open(endpoints).await?;
        let server = connection.identify().await?;
        let from = connection.export_snapshot(&settings.slot.for_resync()).await?;
        Ok(Self { connection, server, from })
    }

    /// How the slot is now. Comes after the snapshot was taken up.
    pub(super) async fn condition(&mut self, settings: &Settings, client: &Client) -> Result<Condition, Error> {
        let Settings { slot, publication, format, .. } = settings;
        let state = SlotState::read(client, slot).await.map_err(|error| unavailable(&error))?;
        let is_failover = state.as_ref().and_then(|state| state.failover).unwrap_or_default();
        match verify(&mut self.connection, &self.server, slot, publication, format).await {
            Err(replication::Error::LostSlot(lost)) => {
                return Ok(Condition::Lost { problem: lost.problem, was_failover: is_failover });
            }
            verified => _ = verified?,
        }
        match state.and_then(|state| state.active_pid) {
            Some(pid) => Err(in_use(slot, Some(pid))),
            None => Ok(Condition::Free { is_failover }),
        }
    }

    /// Waits until the right is lost.
    pub(super) async fn until_lost(&mut self) -> Error {
        self.connection.until_lost().await.into()
    }
}

/// Drops the slot if it is there and nobody reads it.
pub(super) async fn drop_it(client: &Client, slot: &SlotName) -> Result<(), Error> {
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
    match client.execute(drop, &[&slot.as_str()]).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => Err(in_use(slot, None)),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Makes the new slot, which begins at `from`. One that was made meanwhile, by `setup` say, begins too late and goes.
pub(super) async fn replace(client: &Client, slot: &SlotName, from: Lsn) -> Result<(), Error> {
    drop_it(client, slot).await?;
    // Only from our own temporary slot: the right may have been lost a moment ago, and another's begins later.
    let copy = "SELECT copy.lsn::text
        FROM pg_replication_slots ours, pg_copy_logical_replication_slot(ours.slot_name, $2, false) copy
        WHERE ours.slot_name = $1 AND ours.confirmed_flush_lsn = $3::text::pg_lsn";
    let (temporary, position) = (slot.for_resync(), from.to_string());
    let copied = client.query_opt(copy, &[&temporary.as_str(), &slot.as_str(), &position]).await;
    match copied.map_err(|error| unavailable(&error))? {
        Some(copy) if copy.get::<_, &str>(0).parse() == Ok(from) => Ok(()),
        Some(_) => {
            drop_it(client, slot).await?;
            Err(Error::RightLost)
        }
        None => Err(Error::RightLost),
    }
}

/// Lets the new slot be copied to standbys, which a copy is not by itself.
pub(super) async fn make_failover(endpoints: &[Endpoint], slot: &SlotName) -> Result<(), Error> {
    Ok(Connection::open(endpoints).await?.make_failover(slot).await?)
}

fn in_use(slot: &SlotName, pid: Option<i32>) -> Error {
    let by = pid.map_or_else(String::new, |pid| format!(" by the process {pid} of the server"));
    replication::Error::SlotInUse(format!("replication slot {slot} is in use{by}: stop that relay first")).into()
}
