//! Tasks in PostgreSQL, each change with its event in one statement, and the stays that they follow from.
//!
//! Tasks are scheduled, changed and cancelled with their booking's stay locked, and completed with the task locked: so what
//! is decided on is what is there, and nothing is scheduled twice.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use contracts::{
    direct_booking::BookingStatus,
    envelope::{AggregateVersion, TraceContext},
    housekeeping::{TaskDocument, TaskEvent, TaskKind, TaskStatus},
    id::{BookingId, RoomTypeId, TaskId},
};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::domain::{Refusal, Stay, Task};
use crate::{
    command::{Cause, Command},
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
};

/// A query for tasks. Columns by name: a statement that says `*` fails, where it is prepared already, once a migration adds one.
macro_rules! select_tasks {
    ($which:literal) => {
        concat!(
            "select task_id, version, kind, status, booking_id, room_type_id, room, day, completed_at \
             from housekeeping.task ",
            $which
        )
    };
}

const FIND: &str = select_tasks!("where task_id = $1");
const LOCK: &str = select_tasks!("where task_id = $1 for no key update");
const LOCK_ALL: &str = select_tasks!("where booking_id = any($1) order by task_id for no key update");

const WRITE: &str = with_event!(
    "housekeeping",
    "insert into housekeeping.task (task_id, version, kind, status, booking_id, room_type_id, room, day, completed_at)
     values ($8, $9, $10, $11, $12, $13, $14, $15, $16)
     on conflict (task_id) do update set version = excluded.version, status = excluded.status,
        room_type_id = excluded.room_type_id, room = excluded.room, day = excluded.day,
        completed_at = excluded.completed_at"
);

// A row takes only a higher version, so that a duplicate or a late event changes nothing. Rows are locked in the order given.
const TAKE_UP: &str = "insert into housekeeping.stay as stay (booking_id, version, status, room_type_id, room, arrival,
        departure, next_cleaning, cause_id, correlation_id, traceparent, tracestate)
    select booking_id, version, status, room_type_id, room, arrival, departure, arrival + 1, cause_id, correlation_id,
        traceparent, tracestate
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::uuid[],
            $9::text[], $10::text[], $11::text[])
        as told (booking_id, version, status, room_type_id, room, arrival, departure, cause_id, correlation_id,
            traceparent, tracestate)
    on conflict (booking_id) do update set version = excluded.version, status = excluded.status,
        room_type_id = excluded.room_type_id, room = excluded.room, arrival = excluded.arrival,
        departure = excluded.departure, cause_id = excluded.cause_id, correlation_id = excluded.correlation_id,
        traceparent = excluded.traceparent, tracestate = excluded.tracestate
    where stay.version < excluded.version
    returning booking_id";

/// So many rooms are thought of in one transaction.
const CLEANED_AT_ONCE: i64 = 100;
// Who waits for a row of another process would find it dealt with.
const DUE: &str =
    "select booking_id, version, status, room_type_id, room, arrival, departure, cause_id, correlation_id,
        traceparent, tracestate
    from housekeeping.stay where status = 'CHECKED_IN' and next_cleaning < departure and next_cleaning <= $1
    order by next_cleaning limit $2 for no key update skip locked";
const MOVE_ON: &str = "update housekeeping.stay set next_cleaning = $2::date + 1 where booking_id = any($1)";

/// A stay, and what told of it: that is the cause of what follows from it, now and later.
pub(crate) struct Told {
    pub(crate) stay: Stay,
    pub(crate) cause: Cause,
}

/// The task, if there is one.
pub(crate) async fn find(pool: &Pool, id: &TaskId) -> Result<Option<Task>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| task(&row)).transpose()
}

/// Completes a task, if the domain agrees.
pub(crate) async fn complete(
    transaction: &Transaction<'_>,
    id: &TaskId,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = task(&row)?;
    command.check_version(&TaskDocument::from(&before))?;
    let (after, event) = before.complete(command.now).map_err(Failure::Refused)?;
    Ok(write(transaction, &after, event, &command.cause).await?)
}

/// Takes up what is told of bookings, each once and in the order of their ids: such as is new changes their tasks.
pub(crate) async fn take_up(transaction: &Transaction<'_>, told: &[&Told]) -> Result<(), database::Error> {
    let columns: [Parameter<'_>; 11] = [
        &column(told, |told| told.stay.booking_id.as_str()),
        &column(told, |told| told.stay.version.get()),
        &column(told, |told| told.stay.status.as_str()),
        &column(told, |told| told.stay.room_type_id.as_str()),
        &column(told, |told| told.stay.room.as_deref()),
        &column(told, |told| told.stay.arrival),
        &column(told, |told| told.stay.departure),
        &column(told, |told| told.cause.id),
        &column(told, |told| told.cause.correlation_id.as_str()),
        &column(told, |told| told.cause.trace.traceparent.as_deref()),
        &column(told, |told| told.cause.trace.tracestate.as_deref()),
    ];
    let rows = transaction.query(&transaction.prepare_cached(TAKE_UP).await?, &columns).await?;
    let new: BTreeSet<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;

    let mut tasks: BTreeMap<BookingId, Vec<Task>> = BTreeMap::new();
    let ids: Vec<&str> = new.iter().map(String::as_str).collect();
    for row in transaction.query(&transaction.prepare_cached(LOCK_ALL).await?, &[&ids]).await? {
        let task = task(&row)?;
        tasks.entry(task.booking_id.clone()).or_default().push(task);
    }
    for Told { stay, cause } in told.iter().filter(|told| new.contains(told.stay.booking_id.as_str())) {
        let tasks = tasks.get(&stay.booking_id).map(Vec::as_slice).unwrap_or_default();
        for (task, event) in stay.changes(tasks) {
            write(transaction, &task, event, cause).await?;
        }
    }
    Ok(())
}

/// Schedules the cleaning of rooms that is due today, a number of them; whether there may be more.
pub(crate) async fn schedule_daily_cleaning(pool: &Pool, today: NaiveDate) -> Result<bool, database::Error> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    let rows = transaction.query(&transaction.prepare_cached(DUE).await?, &[&today, &CLEANED_AT_ONCE]).await?;
    let due = rows.iter().map(told).collect::<Result<Vec<_>, _>>()?;
    if due.is_empty() {
        return Ok(false);
    }
    for Told { stay, cause } in &due {
        if let Some((task, event)) = stay.daily_cleaning(today) {
            write(&transaction, &task, event, cause).await?;
        }
    }
    let ids: Vec<&str> = due.iter().map(|told| told.stay.booking_id.as_str()).collect();
    transaction.execute(&transaction.prepare_cached(MOVE_ON).await?, &[&ids, &today]).await?;
    transaction.commit().await?;
    Ok(i64::try_from(due.len()) == Ok(CLEANED_AT_ONCE))
}

/// Writes a task that is new or has changed, with its event.
async fn write(
    transaction: &Transaction<'_>,
    task: &Task,
    event: TaskEvent,
    cause: &Cause,
) -> Result<Recorded, database::Error> {
    let entry = Entry::new(&TaskDocument::from(task), event.ty(), cause);
    let state: [Parameter<'_>; 9] = [
        &task.id.as_str(),
        &task.version.get(),
        &task.kind.as_str(),
        &task.status.as_str(),
        &task.booking_id.as_str(),
        &task.room_type_id.as_str(),
        &task.room,
        &task.day,
        &task.completed_at,
    ];
    entry.execute(transaction, WRITE, &state).await?;
    Ok(entry.recorded())
}

fn column<'a, T>(told: &[&'a Told], of: impl Fn(&'a Told) -> T) -> Vec<T> {
    told.iter().map(|told| of(told)).collect()
}

pub(crate) fn task(row: &Row) -> Result<Task, database::Error> {
    Ok(Task {
        id: read::<TaskId, String>(row, "task_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        kind: read::<TaskKind, String>(row, "kind")?,
        status: read::<TaskStatus, String>(row, "status")?,
        booking_id: read::<BookingId, String>(row, "booking_id")?,
        room_type_id: read::<RoomTypeId, String>(row, "room_type_id")?,
        room: row.try_get("room")?,
        day: row.try_get("day")?,
        completed_at: row.try_get("completed_at")?,
    })
}

fn told(row: &Row) -> Result<Told, database::Error> {
    let stay = Stay {
        booking_id: read::<BookingId, String>(row, "booking_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        status: read::<BookingStatus, String>(row, "status")?,
        room_type_id: read::<RoomTypeId, String>(row, "room_type_id")?,
        room: row.try_get("room")?,
        arrival: row.try_get("arrival")?,
        departure: row.try_get("departure")?,
    };
    let trace = TraceContext { traceparent: row.try_get("traceparent")?, tracestate: row.try_get("tracestate")? };
    let cause = Cause { id: row.try_get("cause_id")?, correlation_id: row.try_get("correlation_id")?, trace };
    Ok(Told { stay, cause })
}
