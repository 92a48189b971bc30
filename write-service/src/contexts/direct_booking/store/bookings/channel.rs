//! Bookings that aggregator sites have sold: kept where there is a room, and rejected where there is none.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::direct_booking::BookingDocument;
use deadpool_postgres::Transaction;

use super::{
    super::super::domain::channel::{self, Sold},
    change_all,
    make::{Inserted, insert},
};
use crate::{command::Cause, database, outbox::Entry};

const ROOMS: &str = "select room_count from direct_booking.room_type where room_type_id = $1";
const SAVEPOINT: &str = "savepoint rooms";
const GIVE_UP: &str = "rollback to savepoint rooms; release savepoint rooms";
const GO_ON: &str = "release savepoint rooms";

/// Makes a booking of what a site has sold, or a rejected one. Nothing happens where it is there already.
pub(crate) async fn receive(
    transaction: &Transaction<'_>,
    sold: &Sold,
    cause: &Cause,
    now: DateTime<Utc>,
) -> Result<(), database::Error> {
    let row = transaction.query_opt(&transaction.prepare_cached(ROOMS).await?, &[&sold.room_type_id.as_str()]).await?;
    let rooms: Option<i32> = row.map(|row| row.try_get(0)).transpose()?;
    if rooms.is_some() {
        let (booking, event) = channel::keep(sold, now);
        let entry = Entry::new(&BookingDocument::from(&booking), event.ty(), cause);
        transaction.batch_execute(SAVEPOINT).await?;
        let inserted = insert(transaction, &booking, rooms, None, &entry).await?;
        match inserted {
            Inserted::Made => return Ok(transaction.batch_execute(GO_ON).await?),
            // What was held for it was held when it came first.
            Inserted::Taken => return Ok(transaction.batch_execute(GIVE_UP).await?),
            Inserted::NoRoom(_) => transaction.batch_execute(GIVE_UP).await?,
        }
    }
    let (booking, event) = channel::reject(sold, rooms.is_some(), now);
    let entry = Entry::new(&BookingDocument::from(&booking), event.ty(), cause);
    insert(transaction, &booking, None, None, &entry).await?;
    Ok(())
}

/// Cancels bookings whose sites say that they are cancelled.
pub(crate) async fn cancelled_by_site(
    transaction: &Transaction<'_>,
    cancelled: &BTreeMap<&str, &Cause>,
    now: DateTime<Utc>,
) -> Result<(), database::Error> {
    let ids: Vec<&str> = cancelled.keys().copied().collect();
    change_all(transaction, &ids, |booking| {
        let cause = cancelled.get(booking.id.as_str())?;
        Some((channel::cancelled_by_site(booking, now)?, (*cause).clone()))
    })
    .await
}
