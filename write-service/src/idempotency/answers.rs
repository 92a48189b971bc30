//! The table `command_answer` of a context: what each command has answered.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use deadpool_postgres::{GenericClient, Pool, Transaction};
use futures::try_join;
use serde_json::{Map, Value};
use tokio_postgres::{Error, Row};

use super::scope::{Fingerprint, Scope};
use crate::{answer::Answer, database, outbox::Parameter, problem::Problem};

/// The statements on one context's table.
#[derive(Debug)]
pub(crate) struct Answers {
    find: String,
    insert: String,
    delete: String,
}

/// Not waited for: that it is not had says that the same command is under way.
const LOCK: &str = "select pg_try_advisory_xact_lock($1)";

/// What a command wrote is undone to here when it is refused. The lock, which was taken before, stays.
const SAVEPOINT: &str = "savepoint effect";
const UNDO: &str = "rollback to savepoint effect";

/// So many rows are deleted at once.
const BATCH: i64 = 1_000;

/// What a command finds under its key.
pub(crate) enum Entry {
    /// Nothing: it is for this transaction to decide, and nobody else does meanwhile.
    Free,
    /// It is being decided by another transaction.
    InFlight,
    /// What was decided.
    Kept(Kept),
}

/// An answer that was given before.
#[derive(Debug)]
pub(crate) struct Kept {
    fingerprint: Vec<u8>,
    answer: Answer,
}

impl Kept {
    /// The answer once more, if it is the same command that asks.
    pub(crate) fn again(self, fingerprint: Fingerprint) -> Result<Answer, Problem> {
        if self.fingerprint != fingerprint.0 {
            let detail = "This Idempotency-Key came with another body before. A new command needs a new key.";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem::new(status, "idempotency-key-reused", "Idempotency-Key reused", detail));
        }
        let mut answer = self.answer;
        answer.headers.insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
        Ok(answer)
    }
}

impl Answers {
    /// Those of the context that has this schema.
    pub(crate) fn of(schema: &str) -> Self {
        let table = format!("{schema}.command_answer");
        Self {
            find: format!(
                "select fingerprint, status, headers, body from {table} where caller = $1 and target = $2 and key = $3"
            ),
            insert: format!(
                "insert into {table} (caller, target, key, fingerprint, status, headers, body)
                 values ($1, $2, $3, $4, $5, $6, $7)"
            ),
            delete: format!(
                "delete from {table} where ctid = any(array(
                   select ctid from {table} where createdat < now() - make_interval(secs => $1) order by createdat limit $2))"
            ),
        }
    }

    /// The answer that is kept, if there is one, without a look at who is about to give one.
    pub(crate) async fn find(
        &self,
        client: &impl GenericClient,
        scope: &Scope,
    ) -> Result<Option<Kept>, database::Error> {
        let find = client.prepare_cached(&self.find).await?;
        let row = client.query_opt(&find, &[&scope.caller, &scope.target, &scope.key.as_str()]).await?;
        row.map(|row| kept(&row)).transpose()
    }

    /// Begins a command. In one round trip, but one after the other: the search sees what was committed by whoever had the
    /// lock before.
    pub(crate) async fn enter(&self, transaction: &Transaction<'_>, scope: &Scope) -> Result<Entry, database::Error> {
        let lock = transaction.prepare_cached(LOCK).await?;
        let find = transaction.prepare_cached(&self.find).await?;
        let (number, key) = (scope.lock(), scope.key.as_str());
        let (lock_of, names): ([Parameter<'_>; 1], [Parameter<'_>; 3]) =
            ([&number], [&scope.caller, &scope.target, &key]);
        let (locked, found, ()) = try_join!(
            transaction.query_one(&lock, &lock_of),
            transaction.query_opt(&find, &names),
            transaction.batch_execute(SAVEPOINT),
        )?;
        match found {
            Some(row) => Ok(Entry::Kept(kept(&row)?)),
            None if locked.try_get(0)? => Ok(Entry::Free),
            None => Ok(Entry::InFlight),
        }
    }

    /// Undoes what the command wrote, though its transaction may have failed.
    pub(crate) async fn undo(transaction: &Transaction<'_>) -> Result<(), Error> {
        transaction.batch_execute(UNDO).await
    }

    /// Keeps an answer.
    pub(crate) async fn keep(
        &self,
        transaction: &Transaction<'_>,
        scope: &Scope,
        fingerprint: Fingerprint,
        answer: &Answer,
    ) -> Result<(), Error> {
        let insert = transaction.prepare_cached(&self.insert).await?;
        let status = i32::from(answer.status.as_u16());
        let headers = written(&answer.headers);
        let (key, fingerprint, body) = (scope.key.as_str(), &fingerprint.0[..], &answer.body[..]);
        let row: [Parameter<'_>; 7] = [&scope.caller, &scope.target, &key, &fingerprint, &status, &headers, &body];
        transaction.execute(&insert, &row).await.map(drop)
    }

    /// Deletes some of the answers that were kept for longer than `keep`; whether there may be more of them.
    pub(crate) async fn clean(&self, pool: &Pool, keep: Duration) -> Result<bool, database::Error> {
        let client = pool.get().await?;
        let delete = client.prepare_cached(&self.delete).await?;
        let deleted = client.execute(&delete, &[&keep.as_secs_f64(), &BATCH]).await?;
        Ok(i64::try_from(deleted) == Ok(BATCH))
    }
}

fn kept(row: &Row) -> Result<Kept, database::Error> {
    let unreadable = |column, reason: &str| database::Error::Unreadable { column, reason: reason.to_owned() };
    let status = u16::try_from(row.try_get::<_, i32>("status")?).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let body: Vec<u8> = row.try_get("body")?;
    Ok(Kept {
        fingerprint: row.try_get("fingerprint")?,
        answer: Answer {
            status: status.ok_or_else(|| unreadable("status", "is none of HTTP"))?,
            headers: read(row.try_get("headers")?).ok_or_else(|| unreadable("headers", "are none of HTTP"))?,
            body: body.into(),
        },
    })
}

/// An answer's headers as JSON. Each is there once.
fn written(headers: &HeaderMap) -> Value {
    let text = |value: &HeaderValue| value.to_str().map(|text| Value::String(text.to_owned())).ok();
    headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect::<Map<_, _>>().into()
}

fn read(headers: Value) -> Option<HeaderMap> {
    let Value::Object(headers) = headers else { return None };
    headers.into_iter().map(|(name, value)| Some((name.parse().ok()?, value.as_str()?.parse().ok()?))).collect()
}
