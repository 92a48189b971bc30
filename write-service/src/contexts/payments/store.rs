//! Payments in PostgreSQL: what was decided, its event and what the third party is to be asked for, in one transaction.
//!
//! Every decision on a payment is made with its row locked, so that a card's arrival and the end of the wait for it, or
//! two outcomes of one charge, exclude each other.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contracts::{
    envelope::{AggregateVersion, TraceContext},
    id::BookingId,
    money::{Currency, Money},
    payments::{PaymentDocument, PaymentStatus},
};
use deadpool_postgres::{GenericClient, Pool};
use inbox::Unapplied;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    domain::{Card, Decision, Operation, Payment},
    payer,
};
use crate::{
    command::Cause,
    database::{self, read},
    outbox::{Entry, Parameter, with_event},
};

const FIND: &str = "select booking_id, version, status, payer, amount, currency, charges, card_version, is_cancelled,
        decline_reason, wait_until, changed_at, correlation_id, cause_id, traceparent, tracestate
    from payments.payment where booking_id = $1";

const LOCK: &str = "select booking_id, version, status, payer, amount, currency, charges, card_version, is_cancelled,
        decline_reason, wait_until, changed_at, correlation_id, cause_id, traceparent, tracestate
    from payments.payment where booking_id = $1 for no key update";

// The event is the cause of what happens next by itself.
const UPSERT: &str = with_event!(
    "payments",
    "insert into payments.payment (booking_id, version, status, payer, amount, currency, charges, card_version,
        is_cancelled, decline_reason, wait_until, changed_at, correlation_id, cause_id, traceparent, tracestate)
     values ($8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $1, $21, $22)
     on conflict (booking_id) do update set version = excluded.version, status = excluded.status,
        charges = excluded.charges, card_version = excluded.card_version, is_cancelled = excluded.is_cancelled,
        decline_reason = excluded.decline_reason, changed_at = excluded.changed_at, cause_id = excluded.cause_id,
        traceparent = excluded.traceparent, tracestate = excluded.tracestate"
);

// What nobody is told: that the booking was cancelled while its charge is under way.
const REMEMBER: &str = "update payments.payment
    set is_cancelled = $2, cause_id = $3, traceparent = $4, tracestate = $5 where booking_id = $1";

const ASK: &str = "insert into payments.operation (key, booking_id, kind, number, card_token, due_at)
    values ($1, $2, $3, $4, $5, clock_timestamp())";

/// A payment with the story that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) payment: Payment,
    /// What its last change was caused by, and is the cause of what happens next by itself.
    pub(crate) cause: Cause,
}

/// The payment of a booking, if there is one.
pub(crate) async fn find(pool: &Pool, id: &BookingId) -> Result<Option<Payment>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    let row = client.query_opt(&statement, &[&id.as_str()]).await?;
    Ok(row.map(|row| stored(&row)).transpose()?.map(|stored| stored.payment))
}

/// The payment of a booking, locked until the transaction's end.
pub(crate) async fn lock(transaction: &impl GenericClient, id: &str) -> Result<Option<Stored>, Unapplied> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id]).await?;
    Ok(row.map(|row| stored(&row)).transpose()?)
}

/// Holds the payments and cards of these payers until the transaction's end: a booking that finds no card, and a card that
/// finds no booking waiting for it, must not pass each other. In one order, so that none waits for another for ever.
pub(crate) async fn lock_payers(
    transaction: &impl GenericClient,
    payers: impl Iterator<Item = &str>,
) -> Result<(), Unapplied> {
    let payers: BTreeSet<&str> = payers.collect();
    let payers: Vec<&str> = payers.into_iter().collect();
    let select = "select pg_advisory_xact_lock(key)
        from (select distinct hashtextextended('payments.' || id, 0) as key from unnest($1::text[]) as id order by key) as keys";
    let statement = transaction.prepare_cached(select).await?;
    transaction.query(&statement, &[&payers]).await?;
    Ok(())
}

/// The card of a payer, if one is known.
pub(crate) async fn card(transaction: &impl GenericClient, payer: &str) -> Result<Option<Card>, Unapplied> {
    let select = "select version, card_token from payments.card where payer = $1 and card_token is not null";
    let statement = transaction.prepare_cached(select).await?;
    let row = transaction.query_opt(&statement, &[&payer]).await?;
    Ok(row
        .map(|row| Ok::<_, tokio_postgres::Error>(Card { version: row.try_get(0)?, token: row.try_get(1)? }))
        .transpose()?)
}

/// Writes what was decided.
pub(crate) async fn write(
    transaction: &impl GenericClient,
    decision: Decision,
    cause: &Cause,
) -> Result<(), Unapplied> {
    let Decision { payment, event, operation } = decision;
    let (id, payer, currency) = (payment.booking_id.as_str(), payer::key(&payment.payer), payment.amount.currency);
    let TraceContext { traceparent, tracestate } = &cause.trace;
    if let Some(event) = event {
        let charges = i32::try_from(payment.charges).unwrap_or(i32::MAX);
        let state: [Parameter<'_>; 15] = [
            &id,
            &payment.version.get(),
            &payment.status.as_str(),
            &payer,
            &payment.amount.amount_minor,
            &currency.as_str(),
            &charges,
            &payment.card_version,
            &payment.is_cancelled,
            &payment.decline_reason,
            &payment.wait_until,
            &payment.changed_at,
            &cause.correlation_id,
            traceparent,
            tracestate,
        ];
        Entry::new(&PaymentDocument::from(&payment), event.ty(), cause).execute(transaction, UPSERT, &state).await?;
    } else {
        let statement = transaction.prepare_cached(REMEMBER).await?;
        let state: [Parameter<'_>; 5] = [&id, &payment.is_cancelled, &cause.id, traceparent, tracestate];
        transaction.execute(&statement, &state).await?;
    }
    if let Some(operation) = operation {
        let (kind, number, card_token) = match &operation {
            Operation::Charge { number, card_token } => ("charge", *number, Some(card_token)),
            Operation::Refund { of_charge } => ("refund", *of_charge, None),
        };
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let statement = transaction.prepare_cached(ASK).await?;
        transaction.execute(&statement, &[&Uuid::now_v7(), &id, &kind, &number, &card_token]).await?;
    }
    Ok(())
}

/// Bookings whose payment waits for a card of these payers, in the order in which rows are to be locked.
pub(crate) async fn awaiting_card(transaction: &impl GenericClient, payers: &[&str]) -> Result<Vec<String>, Unapplied> {
    let select = "select booking_id from payments.payment where status = 'AWAITING_CARD' and payer = any($1)
        order by booking_id";
    let statement = transaction.prepare_cached(select).await?;
    let rows = transaction.query(&statement, &[&payers]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Bookings whose wait for a card is over; a few at a time.
pub(crate) async fn waits_that_are_over(
    client: &impl GenericClient,
    now: DateTime<Utc>,
) -> Result<Vec<String>, Unapplied> {
    let select = "select booking_id from payments.payment where status = 'AWAITING_CARD' and wait_until <= $1
        order by wait_until limit 100";
    let statement = client.prepare_cached(select).await?;
    let rows = client.query(&statement, &[&now]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

pub(crate) fn stored(row: &Row) -> Result<Stored, database::Error> {
    let currency = read::<Currency, String>(row, "currency")?;
    let payment = Payment {
        booking_id: read::<BookingId, String>(row, "booking_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        status: read::<PaymentStatus, String>(row, "status")?,
        payer: payer::of(row.try_get("payer")?)?,
        amount: Money { amount_minor: row.try_get("amount")?, currency },
        charges: read::<u32, i32>(row, "charges")?,
        card_version: row.try_get("card_version")?,
        is_cancelled: row.try_get("is_cancelled")?,
        decline_reason: row.try_get("decline_reason")?,
        wait_until: row.try_get("wait_until")?,
        changed_at: row.try_get("changed_at")?,
    };
    let trace = TraceContext { traceparent: row.try_get("traceparent")?, tracestate: row.try_get("tracestate")? };
    let cause = Cause { id: row.try_get("cause_id")?, correlation_id: row.try_get("correlation_id")?, trace };
    Ok(Stored { payment, cause })
}
