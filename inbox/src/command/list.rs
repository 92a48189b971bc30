//! `inbox list`.

use std::io::Write;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::{Desk, Failure};
use crate::schema::quote;

pub(super) async fn list(desks: &[Desk], handler: Option<&str>, out: &mut impl Write) -> Result<bool, Failure> {
    let mut any = false;
    for desk in desks {
        // Newest generation last; an aggregate's events together and in their order. One page after another.
        let page = format!(
            "SELECT handler, generation, topic, partition, message_offset, aggregate, set_aside_at, error, key,
                    (SELECT header->>1 FROM jsonb_array_elements(headers) AS header WHERE header->>0 = 'ce_type' LIMIT 1)
             FROM {}.inbox_dead_letter
             WHERE ($1::text IS NULL OR handler = $1)
               AND ($2::text IS NULL OR (handler, generation, topic, partition, message_offset) > ($2, $3, $4, $5, $6))
             ORDER BY handler, generation, topic, partition, message_offset LIMIT 500",
            quote(&desk.schema)
        );
        let client = desk.pool.get().await?;
        let mut after: Option<(String, i32, String, i32, i64)> = None;
        loop {
            let (name, generation, topic, partition, offset) = match &after {
                None => (None, 0, "", 0, 0),
                Some((name, generation, topic, partition, offset)) => {
                    (Some(name), *generation, topic.as_str(), *partition, *offset)
                }
            };
            let rows = client.query(&page, &[&handler, &name, &generation, &topic, &partition, &offset]).await?;
            let Some(last) = rows.last() else { break };
            after = Some((last.try_get(0)?, last.try_get(1)?, last.try_get(2)?, last.try_get(3)?, last.try_get(4)?));
            for row in &rows {
                if !any {
                    writeln!(out, "handler\ttopic\tpartition\toffset\taggregate\ttype\tsince\terror")?;
                }
                any = true;
                write_line(row, out)?;
            }
        }
    }
    if !any {
        writeln!(out, "nothing is set aside")?;
    }
    Ok(true)
}

/// One event, in columns that tabs divide. What came from outside is shown without control characters.
fn write_line(row: &Row, out: &mut impl Write) -> Result<(), Failure> {
    let (handler, generation) = (row.try_get::<_, &str>(0)?, row.try_get::<_, i32>(1)?);
    let handler = if generation == 1 { handler.to_owned() } else { format!("{handler}.{generation}") };
    let key = || match row.try_get::<_, Option<&[u8]>>(8) {
        Ok(Some(key)) => format!("- (key {})", String::from_utf8_lossy(key)),
        _ => "- (no key)".to_owned(),
    };
    let aggregate = row.try_get::<_, Option<String>>(5)?.unwrap_or_else(key);
    let ty = row.try_get::<_, Option<&str>>(9)?.unwrap_or("-").to_owned();
    let error = row.try_get::<_, Option<&str>>(7)?.unwrap_or("waits behind an earlier one").to_owned();
    let [aggregate, ty, error] = [aggregate, ty, error]
        .map(|text| text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect::<String>());
    let (topic, partition, offset) = (row.try_get::<_, &str>(2)?, row.try_get::<_, i32>(3)?, row.try_get::<_, i64>(4)?);
    let since = row.try_get::<_, DateTime<Utc>>(6)?.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    writeln!(out, "{handler}\t{topic}\t{partition}\t{offset}\t{aggregate}\t{ty}\t{since}\t{error}")?;
    Ok(())
}
