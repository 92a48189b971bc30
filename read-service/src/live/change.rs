//! What a batch changes, told to every instance by `NOTIFY`, once the batch is visible.
//!
//! Transactions that notify commit one after the other, by a lock that PostgreSQL holds for the whole server while they do. A batch
//! that notified in its own transaction would keep all others waiting until its commit is on the disk, and they would wait for the
//! disk one after the other. So that is done right after it, by a transaction of its own for which nobody waits: what is told is
//! looked up, and is on the disk by then. Whoever goes on with a view's partitions tells that anything may have changed, so that
//! nothing is missed when the batch's writer has not come to it. And a batch notifies a few times at most, however many rows it has.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

/// The channel.
pub(super) const CHANNEL: &str = "view_changes";

/// PostgreSQL takes less than 8,000 bytes.
const LONGEST: usize = 7_900;

/// A batch that changes more of a kind than this says that anything of it may have changed: those who follow something look for
/// themselves. That is how it is while a projection catches up.
const MOST: usize = 500;

/// By what changes can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A booking, its payment or its tasks, by the booking's id.
    Booking,
    /// A room type or its bookings, by the room type's id.
    RoomType,
    /// An event, by its correlation id.
    Correlation,
    /// An event, by the id of the aggregate that it is about.
    Subject,
}

/// Something has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// This one.
    One(Kind, String),
    /// It is not known which.
    Any(Kind),
}

/// What one notification says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notification {
    /// The handler that has applied something, for those who wait until it is visible.
    pub(super) by: String,
    /// What can be followed by this; none: nothing of it can.
    pub(super) kind: Option<Kind>,
    /// Which ones; none: any may have changed.
    pub(super) ids: Option<Vec<String>>,
}

const NOTIFY: &str = "SELECT pg_notify('view_changes', payload) FROM unnest($1) payload";

/// A transaction of its own, whose commit does not wait for the disk.
const TELL: &str =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify('view_changes', payload) FROM unnest($1) payload";

/// Tells what a transaction changes, once it commits.
pub(crate) async fn notify(
    transaction: &impl GenericClient,
    by: &str,
    changes: impl Iterator<Item = &Change>,
) -> Result<(), tokio_postgres::Error> {
    send(transaction, NOTIFY, by, changes).await
}

/// Tells what has been committed.
pub(crate) async fn tell(
    client: &impl GenericClient,
    by: &str,
    changes: impl Iterator<Item = &Change>,
) -> Result<(), tokio_postgres::Error> {
    send(client, TELL, by, changes).await
}

/// Something in any case, for those who wait until it is visible.
async fn send(
    client: &impl GenericClient,
    sql: &str,
    by: &str,
    changes: impl Iterator<Item = &Change>,
) -> Result<(), tokio_postgres::Error> {
    let mut payloads = payloads(by, changes);
    if payloads.is_empty() {
        payloads.extend(payload(by, None, None));
    }
    let statement = client.prepare_typed_cached(sql, &[Type::TEXT_ARRAY]).await?;
    client.execute(&statement, &[&payloads]).await?;
    Ok(())
}

/// As few notifications as hold all of it.
fn payloads<'a>(by: &str, changes: impl Iterator<Item = &'a Change>) -> Vec<String> {
    let mut kinds: BTreeMap<Kind, Option<BTreeSet<&str>>> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Any(kind) => {
                kinds.insert(*kind, None);
            }
            Change::One(kind, id) => {
                let ids = kinds.entry(*kind).or_insert_with(|| Some(BTreeSet::new()));
                if let Some(known) = ids {
                    known.insert(id);
                    if known.len() > MOST {
                        *ids = None;
                    }
                }
            }
        }
    }
    let mut payloads = Vec::new();
    for (kind, ids) in kinds {
        let Some(ids) = ids else {
            payloads.extend(payload(by, Some(kind), None));
            continue;
        };
        let (mut some, mut length) = (Vec::new(), 0);
        for id in ids {
            // As long as JSON can make it.
            let longest = 6 * id.len() + 3;
            if length + longest > LONGEST - 100 {
                payloads.extend(payload(by, Some(kind), Some(std::mem::take(&mut some))));
                length = 0;
            }
            some.push(id.to_owned());
            length += longest;
        }
        payloads.extend(payload(by, Some(kind), Some(some)));
    }
    payloads
}

fn payload(by: &str, kind: Option<Kind>, ids: Option<Vec<String>>) -> Option<String> {
    // Writing to memory does not fail.
    serde_json::to_string(&Notification { by: by.to_owned(), kind, ids }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(changes: &[Change]) -> Vec<Notification> {
        let payloads = payloads("booking", changes.iter());
        assert!(payloads.iter().all(|payload| payload.len() <= LONGEST), "{payloads:?}");
        payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect()
    }

    fn notification(kind: Kind, ids: Option<Vec<String>>) -> Notification {
        Notification { by: "booking".to_owned(), kind: Some(kind), ids }
    }

    fn booking(id: &str) -> Change {
        Change::One(Kind::Booking, id.to_owned())
    }

    #[test]
    fn what_changes_twice_is_told_once_and_each_kind_by_itself() {
        let room_type = Change::One(Kind::RoomType, "double".to_owned());
        let told = told(&[booking("7"), room_type.clone(), booking("5"), room_type, booking("7")]);
        let expected = [(Kind::Booking, vec!["5", "7"]), (Kind::RoomType, vec!["double"])]
            .map(|(kind, ids)| notification(kind, Some(ids.into_iter().map(str::to_owned).collect())));
        assert_eq!(told, expected);
    }

    #[test]
    fn of_too_many_it_is_only_said_that_there_are_some() {
        let many: Vec<_> = (0..=MOST).map(|number| booking(&number.to_string())).collect();
        assert_eq!(told(&many), [notification(Kind::Booking, None)]);
        assert_eq!(told(&[booking("1"), Change::Any(Kind::Booking), booking("2")]).len(), 1);
        assert_eq!(told(&[]), []);
    }

    proptest! {
        #[test]
        fn nothing_gets_lost_between_notifications(ids in proptest::collection::btree_set("[^\0]{0,256}", 1..100)) {
            let changes: Vec<_> = ids.iter().map(|id| booking(id)).collect();
            let heard: BTreeSet<_> = told(&changes).into_iter().flat_map(|told| told.ids.unwrap()).collect();
            prop_assert_eq!(heard, ids);
        }
    }
}
