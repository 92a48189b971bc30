//! `inbox retry`.

use std::io::Write;

use super::{Desk, Failure, places};
use crate::schema::quote;

pub(super) async fn retry(
    desks: &[Desk],
    handler: Option<&str>,
    aggregate: Option<&str>,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let (mut found, mut all_applied) = (false, true);
    for desk in desks {
        for place in places(desk, handler, aggregate).await? {
            let Some(of) = desk.handlers.iter().find(|handler| place.is_of(handler.as_ref())) else {
                if desk.handlers.iter().any(|handler| handler.name() == place.handler) {
                    let named = format!("{}.{} {}", place.handler, place.generation, place.aggregate);
                    writeln!(out, "{named}: parked by a rebuild that has not ended: retry it after that")?;
                    all_applied = false;
                    continue;
                }
                writeln!(out, "{}: no such handler runs here any more; `inbox skip` drops its events", place.handler)?;
                all_applied = false;
                continue;
            };
            found = true;
            let named = format!("{} {}", place.handler, place.aggregate);
            match of.retry(&desk.pool, &desk.schema, &place).await {
                Ok(retried) => {
                    writeln!(out, "{named}: {} applied, {} left", retried.applied, retried.left)?;
                    if let Some(refusal) = retried.refusal {
                        writeln!(out, "{named}: still refused: {refusal}; mend that and retry, or `inbox skip` it")?;
                    }
                    all_applied &= retried.left == 0;
                }
                Err(stuck) => {
                    writeln!(out, "{named}: not now: {stuck}; nothing of it was applied, try again")?;
                    all_applied = false;
                }
            }
        }
    }
    if aggregate.is_none() {
        for desk in desks {
            let alone = set_aside_alone(desk, handler).await?;
            if alone > 0 {
                let what = format!("{alone} set aside without a usable key, which cannot be retried");
                writeln!(out, "{what}: `inbox list` shows them, `inbox skip --message` drops one")?;
                all_applied = false;
            }
        }
    }
    match (found, aggregate) {
        (false, Some(aggregate)) if all_applied => {
            Err(Failure::Refused(format!("nothing of {aggregate:?} is parked; `inbox list` shows what is")))
        }
        (false, None) if all_applied => {
            writeln!(out, "nothing is parked")?;
            Ok(true)
        }
        _ => Ok(all_applied),
    }
}

/// How many messages are set aside alone.
async fn set_aside_alone(desk: &Desk, handler: Option<&str>) -> Result<i64, Failure> {
    let sql = format!(
        "SELECT count(*) FROM {}.inbox_dead_letter WHERE ($1::text IS NULL OR handler = $1) AND aggregate IS NULL",
        quote(&desk.schema)
    );
    Ok(desk.pool.get().await?.query_one(&sql, &[&handler]).await?.try_get(0)?)
}
