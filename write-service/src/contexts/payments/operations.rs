//! The durable queue of what the third party is asked for, in PostgreSQL.
//!
//! A row is due at a moment. Whoever takes it moves that moment on by a lease, commits, and only then asks: no transaction
//! is held over HTTP, and what a killed process has taken is due again when the lease ends, under the same key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::money::{Currency, Money};
use deadpool_postgres::Pool;
use inbox::Unapplied;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    domain::Outcome,
    processor::{Asks, Question},
    store,
};
use crate::{database, database::read, third_party::http::LEASE};

const TAKE: &str = "with due as (
        select key from payments.operation where outcome is null and due_at <= clock_timestamp()
        order by due_at limit $1 for no key update skip locked
    ), taken as (
        update payments.operation as operation
        set due_at = clock_timestamp() + make_interval(secs => $2::float8), tries = tries + 1
        from due where operation.key = due.key
        returning operation.*
    )
    select taken.key, taken.booking_id, taken.card_token, taken.tries, payment.amount, payment.currency, charge.key as charge_key
    from taken join payments.payment using (booking_id)
        left join payments.operation as charge
            on taken.kind = 'refund' and charge.booking_id = taken.booking_id and charge.kind = 'charge'
            and charge.number = taken.number";

const PUT_OFF: &str = "update payments.operation
    set due_at = clock_timestamp() + make_interval(secs => $2::float8), last_error = $3
    where key = $1 and outcome is null";

// What is asked for is recorded with the payment's change.
const WAITING: &str = "select count(*), min(payment.changed_at)
    from payments.operation join payments.payment using (booking_id) where outcome is null";

const CONCLUDE: &str =
    "update payments.operation set outcome = $2, last_error = null where key = $1 and outcome is null";

/// How many operations have no definite outcome, and since when the oldest has none.
pub(super) async fn waiting(pool: &Pool) -> Result<(i64, Option<DateTime<Utc>>), database::Error> {
    let client = pool.get().await?;
    let row = client.query_one(&client.prepare_cached(WAITING).await?, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// A question that was taken, and how often it has been asked with this time.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) question: Question,
    pub(super) tries: u32,
}

/// Why the queue could not be worked on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("PostgreSQL: {0}")]
    Database(#[from] database::Error),
    #[error(transparent)]
    Unapplied(#[from] Unapplied),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Database(error.into())
    }
}

/// Takes up to so many that are due.
pub(super) async fn take(pool: &Pool, most: usize) -> Result<Vec<Taken>, Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(TAKE).await?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = client.query(&statement, &[&most, &LEASE.as_secs_f64()]).await?;
    Ok(rows.iter().map(taken).collect::<Result<_, _>>()?)
}

/// Asks again later: nobody knows what became of it.
pub(super) async fn put_off(pool: &Pool, key: Uuid, wait: Duration, reason: &str) -> Result<(), Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(PUT_OFF).await?;
    client.execute(&statement, &[&key, &wait.as_secs_f64(), &reason]).await?;
    Ok(())
}

/// Writes down what came of a question, and what follows from it for its payment.
pub(super) async fn conclude(pool: &Pool, question: &Question, outcome: Outcome) -> Result<(), Error> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    let text = match &outcome {
        Outcome::Done => "done",
        Outcome::Declined(reason) => reason,
    };
    let statement = transaction.prepare_cached(CONCLUDE).await?;
    if transaction.execute(&statement, &[&question.key, &text]).await? == 0 {
        // Another one has: it was asked twice under the same key, and the answer was the same.
        return Ok(());
    }
    if let Some(stored) = store::lock(&transaction, &question.booking_id).await? {
        let decision = match &question.asks {
            Asks::Charge { .. } => stored.payment.charged(outcome, Utc::now()),
            Asks::Refund { .. } => stored.payment.refunded(Utc::now()),
        };
        if let Some(decision) = decision {
            store::write(&transaction, decision, &stored.cause).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// Ends the waits for a card that are over.
pub(super) async fn end_waits(pool: &Pool) -> Result<(), Error> {
    let mut client = pool.get().await?;
    for booking in store::waits_that_are_over(&client, Utc::now()).await? {
        let transaction = client.transaction().await?;
        if let Some(stored) = store::lock(&transaction, &booking).await?
            && let Some(decision) = stored.payment.wait_is_over(Utc::now())
        {
            store::write(&transaction, decision, &stored.cause).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

fn taken(row: &Row) -> Result<Taken, database::Error> {
    let asks = match (row.try_get::<_, Option<String>>("card_token")?, row.try_get::<_, Option<Uuid>>("charge_key")?) {
        (Some(card_token), _) => Asks::Charge { card_token },
        (None, Some(charge_key)) => Asks::Refund { charge_key },
        (None, None) => {
            let reason = "a refund of a charge that is not there".to_owned();
            return Err(database::Error::Unreadable { column: "number", reason });
        }
    };
    let amount = Money { amount_minor: row.try_get("amount")?, currency: read::<Currency, String>(row, "currency")? };
    let question = Question { key: row.try_get("key")?, booking_id: row.try_get("booking_id")?, amount, asks };
    Ok(Taken { question, tries: read::<u32, i32>(row, "tries")? })
}
