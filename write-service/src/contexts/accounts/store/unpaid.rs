//! Bookings that are passed on with the card of their account, where Payments has it so: the other way than a copy of the cards.
//!
//! Each is passed on when it is made, and again when its account names another card before it is paid. An account's row is
//! locked in between, so that a booking and a card do not pass each other.

use contracts::{
    accounts::{BookingWithCardDocument, BookingWithCardEvent, CardDocument},
    envelope::AggregateVersion,
    id::{AccountId, BookingId},
    money::{Currency, Money},
};
use deadpool_postgres::Transaction;

use crate::{
    command::Cause,
    database::{self, read},
    outbox::{Entry, with_event},
};

const LOCK_ACCOUNTS: &str =
    "select from accounts.account where account_id = any($1) order by account_id for no key update";

const CARD: &str = "select version, card_token from accounts.card where account_id = $1";

const INSERT: &str = with_event!(
    "accounts",
    "insert into accounts.unpaid_booking (booking_id, account_id, version, total, currency, is_over)
     values ($8, $9, $10, $11, $12, false) on conflict (booking_id) do nothing"
);

const END: &str = "update accounts.unpaid_booking set is_over = true where booking_id = $1";

const UNPAID: &str = "select booking_id, version, total, currency from accounts.unpaid_booking
    where account_id = $1 and not is_over order by booking_id for no key update";

const UPDATE: &str =
    with_event!("accounts", "update accounts.unpaid_booking set version = $9 where booking_id = $8 and not is_over");

/// A booking on an account, as far as its payment is concerned.
pub(crate) struct Booked {
    pub(crate) booking_id: BookingId,
    pub(crate) account_id: AccountId,
    pub(crate) total: Money,
    /// Whether it is paid, or over.
    pub(crate) is_over: bool,
    pub(crate) cause: Cause,
}

/// Passes on bookings that have to be paid, and forgets those that have not any more.
pub(crate) async fn booked(transaction: &Transaction<'_>, events: &[Booked]) -> Result<(), database::Error> {
    let accounts: Vec<&str> = events.iter().map(|booked| booked.account_id.as_str()).collect();
    transaction.execute(&transaction.prepare_cached(LOCK_ACCOUNTS).await?, &[&accounts]).await?;
    for booked in events {
        let (booking_id, account_id) = (booked.booking_id.as_str(), booked.account_id.as_str());
        let (total, currency) = (booked.total.amount_minor, booked.total.currency);
        if booked.is_over {
            let end = transaction.prepare_cached(END).await?;
            transaction.execute(&end, &[&booking_id]).await?;
            continue;
        }
        let row = transaction.query_opt(&transaction.prepare_cached(CARD).await?, &[&account_id]).await?;
        let card = row
            .map(|row| {
                let version = read::<AggregateVersion, i64>(&row, "version")?;
                let account_id = booked.account_id.clone();
                Ok::<_, database::Error>(CardDocument { account_id, version, card_token: row.try_get("card_token")? })
            })
            .transpose()?;
        let document = BookingWithCardDocument {
            booking_id: booked.booking_id.clone(),
            version: AggregateVersion::FIRST,
            account_id: booked.account_id.clone(),
            total: booked.total,
            card,
        };
        let entry = Entry::new(&document, BookingWithCardEvent::CardDetailsAdded.ty(), &booked.cause);
        let version = document.version.get();
        entry.execute(transaction, INSERT, &[&booking_id, &account_id, &version, &total, &currency.as_str()]).await?;
    }
    Ok(())
}

/// Passes the unpaid bookings of an account on once more, with another card.
pub(super) async fn card_changed(
    transaction: &Transaction<'_>,
    card: &CardDocument,
    cause: &Cause,
) -> Result<(), database::Error> {
    let unpaid = transaction.prepare_cached(UNPAID).await?;
    for row in transaction.query(&unpaid, &[&card.account_id.as_str()]).await? {
        let document = BookingWithCardDocument {
            booking_id: read::<BookingId, String>(&row, "booking_id")?,
            version: read::<AggregateVersion, i64>(&row, "version")?.next(),
            account_id: card.account_id.clone(),
            total: Money { amount_minor: row.try_get("total")?, currency: read::<Currency, String>(&row, "currency")? },
            card: Some(card.clone()),
        };
        let entry = Entry::new(&document, BookingWithCardEvent::CardDetailsAdded.ty(), cause);
        let state: [crate::outbox::Parameter<'_>; 2] = [&document.booking_id.as_str(), &document.version.get()];
        entry.execute(transaction, UPDATE, &state).await?;
    }
    Ok(())
}
