//! This context's own copy of the accounts: whether each is open. Bookings go on while Accounts is down.

use contracts::{
    Topic,
    accounts::{ACCOUNT, AccountDocument, AccountStatus},
    envelope::AggregateVersion,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use crate::{copies::latest, read_after::Copy};

/// For commands that wait for an account.
pub(crate) const COPY: Copy =
    Copy { topic: ACCOUNT.name, version: "select version from direct_booking.account_copy where account_id = $1" };

/// Keeps the copies.
pub(crate) struct AccountCopies;

/// What is kept of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountCopy {
    account_id: String,
    version: AggregateVersion,
    open: bool,
}

// A row takes only a higher version, so that a duplicate or a late event changes nothing.
const UPSERT: &str = "insert into direct_booking.account_copy as copy (account_id, version, open)
    select * from unnest($1::text[], $2::bigint[], $3::boolean[])
    on conflict (account_id) do update set version = excluded.version, open = excluded.open
    where copy.version < excluded.version";

impl Handler for AccountCopies {
    type Event = AccountCopy;

    fn name(&self) -> &'static str {
        "direct-booking.account-copy"
    }

    fn topics(&self) -> &'static [Topic] {
        &[ACCOUNT]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<AccountCopy>, Undecodable> {
        let envelope = &delivery.envelope;
        let account_id = envelope.subject.clone();
        // The document decides, not the event's type: the topic is compacted.
        let (version, open) = match delivery.decode::<AccountDocument>()? {
            Some(document) if document.account_id.as_str() != account_id => {
                return Err(Undecodable("the document is another account's than the key says".to_owned()));
            }
            Some(document) => (document.version, document.status == AccountStatus::Open),
            // The account is gone. Its version stays, so that no old document brings it back.
            None => (envelope.sequence.ok_or_else(|| Undecodable("a tombstone without a version".to_owned()))?, false),
        };
        Ok(Some(AccountCopy { account_id, version, open }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[AccountCopy]) -> Result<(), Unapplied> {
        let (mut ids, mut versions, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for copy in latest(events, |copy| (&copy.account_id, copy.version)).into_values() {
            ids.push(copy.account_id.as_str());
            versions.push(copy.version.get());
            open.push(copy.open);
        }
        let statement = transaction.prepare_cached(UPSERT).await?;
        transaction.execute(&statement, &[&ids, &versions, &open]).await?;
        Ok(())
    }
}
