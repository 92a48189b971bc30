//! `inbox skip`.

use std::io::Write;

use super::{Desk, Failure, places};
use crate::{
    retry::{self, Place},
    schema::quote,
};

pub(super) async fn first(
    desks: &[Desk],
    handler: &str,
    aggregate: &str,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let mut found = Vec::new();
    for desk in desks {
        found.extend(places(desk, Some(handler), Some(aggregate)).await?.into_iter().map(|place| (desk, place)));
    }
    // The same key may be parked on several topics of the handler: then it is the one that has waited longest.
    let (desk, place) = match &found[..] {
        [] => {
            let why = format!("nothing of {aggregate:?} is parked by {handler}; `inbox list` shows what is");
            return Err(Failure::Refused(why));
        }
        [(desk, place), ..] => (desk, place),
    };
    let mut client = desk.pool.get().await?;
    let transaction = client.transaction().await?;
    if !retry::lock(&transaction, &desk.schema, place).await? {
        return Err(Failure::Refused(format!("{aggregate:?} has just been retried; nothing of it is parked any more")));
    }
    let remove = format!(
        "DELETE FROM {letters} AS letter USING (
             SELECT min(message_offset) AS first FROM {letters}
             WHERE handler = $1 AND generation = $2 AND topic = $3 AND partition = $4 AND aggregate = $5
         ) AS parked
         WHERE handler = $1 AND generation = $2 AND topic = $3 AND partition = $4 AND message_offset = first
         RETURNING message_offset",
        letters = format_args!("{}.inbox_dead_letter", quote(&desk.schema))
    );
    let Place { handler, generation, topic, partition, .. } = place;
    let removed = transaction.query_opt(&remove, &[handler, generation, topic, partition, &place.aggregate]).await?;
    let left = retry::release(&transaction, &desk.schema, place).await?;
    transaction.commit().await?;
    if let Some(row) = removed {
        writeln!(out, "skipped {topic}/{partition}/{} of {aggregate}: it is not applied", row.try_get::<_, i64>(0)?)?;
    }
    if left > 0 {
        writeln!(out, "{left} left: `inbox retry --handler {handler} --aggregate {aggregate}` applies them")?;
    }
    Ok(true)
}

pub(super) async fn message(
    desks: &[Desk],
    handler: &str,
    message: &str,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let malformed =
        || Failure::Refused(format!("{message:?} is not TOPIC/PARTITION/OFFSET, as `inbox list` shows them"));
    let mut parts = message.rsplitn(3, '/');
    let offset: i64 = parts.next().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    let partition: i32 = parts.next().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    let topic = parts.next().ok_or_else(malformed)?;
    let mut removed = 0;
    for desk in desks {
        let sql = format!(
            "DELETE FROM {}.inbox_dead_letter
             WHERE handler = $1 AND topic = $2 AND partition = $3 AND message_offset = $4 AND aggregate IS NULL",
            quote(&desk.schema)
        );
        removed += desk.pool.get().await?.execute(&sql, &[&handler, &topic, &partition, &offset]).await?;
    }
    if removed == 0 {
        let why = format!("{handler} has set aside no message {message} without a usable key; `inbox list` shows all");
        return Err(Failure::Refused(why));
    }
    writeln!(out, "skipped {message}: it is not applied")?;
    Ok(true)
}
