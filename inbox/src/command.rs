//! `inbox list`, `inbox retry`, `inbox skip` and `inbox restart`: what an operator does about parked events, and about a handler
//! whose offsets do not fit its topics any more. They work beside the running service, and need no Kafka.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use deadpool_postgres::{Pool, PoolError};
use telemetry::{database::reason, settings::Problems};
use tokio_postgres::Row;

use crate::{
    AnyHandler, Generation,
    retry::{self, Place},
    schema::quote,
};

/// How many aggregates of a partition may be parked, unless set.
pub const MAX_PARKED: usize = 100;

/// The flag that limits how much may be parked.
#[derive(Clone, Debug, Args)]
pub struct ParkingArgs {
    /// The most aggregates of a partition that may be parked, each with its events that could not be applied; a message without a
    /// usable key counts like one. Before one more is, the partition stops, and /readyz says so.
    #[arg(long, env = "MAX_PARKED_AGGREGATES", default_value_t = MAX_PARKED.to_string(), value_name = "NUMBER")]
    max_parked_aggregates: String,
}

impl ParkingArgs {
    /// Checks the flag.
    pub fn check(&self, problems: &mut Problems) -> Option<usize> {
        const MOST: usize = 1_000_000;
        let setting = "--max-parked-aggregates / MAX_PARKED_AGGREGATES";
        let limit = problems.parse::<usize>(setting, &self.max_parked_aggregates)?;
        if !(1..=MOST).contains(&limit) {
            problems.add(setting, format!("must be from 1 to {MOST}"));
        }
        Some(limit)
    }
}

/// What is done.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Shows the events that were set aside, with the reason; never their documents.
    List {
        /// Those of this handler alone.
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
    },
    /// Applies parked events again, each aggregate's in their order: after the cause is gone.
    Retry {
        /// Those of this handler alone.
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
        /// Which aggregates.
        #[command(flatten)]
        which: Which,
    },
    /// Drops an aggregate's first parked event for ever; the others can be retried then.
    Skip {
        /// The handler whose event it is.
        #[arg(long, value_name = "NAME")]
        handler: String,
        /// Which event.
        #[command(flatten)]
        which: Dropped,
        /// Confirms that the event will never be applied.
        #[arg(long)]
        yes: bool,
    },
    /// Has a handler begin at the beginning of its topics, whose stored offsets do not fit them any more. A view is rather
    /// filled anew by `rebuild`.
    Restart {
        /// The handler.
        #[arg(long, value_name = "NAME")]
        handler: String,
        /// Confirms it.
        #[arg(long)]
        yes: bool,
        /// Confirms also that effects are repeated, for a handler that cannot leave out what it has done before.
        #[arg(long)]
        repeating: bool,
    },
}

/// Which aggregates are retried.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The aggregate of this id.
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
    /// Every parked aggregate.
    #[arg(long)]
    all: bool,
}

/// Which event is dropped.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Dropped {
    /// The first parked event of the aggregate of this id.
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
    /// A message that was set aside alone, without a usable key, as `list` shows it.
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET")]
    message: Option<String>,
}

/// An inbox, with the handlers that fill it.
pub struct Desk {
    /// The schema that holds its tables.
    pub schema: String,
    /// Connections to it, in the role that works there.
    pub pool: Pool,
    /// Its handlers.
    pub handlers: Vec<Box<dyn AnyHandler>>,
}

/// Why a command could not be done, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database does not answer, or refuses.
    #[error("PostgreSQL: {}; nothing was changed by this step, try again", reason(.0))]
    Database(#[from] tokio_postgres::Error),
    /// There is no connection.
    #[error("PostgreSQL: {}; check the database's URL and that it is up", reason(.0))]
    Pool(#[from] PoolError),
    /// The output is closed.
    #[error("the result cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// What was asked for is not there, or more than one thing is.
    #[error("{0}")]
    Refused(String),
}

/// Does it in all the inboxes. `false` when something is left that needs the operator; the output says what.
///
/// # Errors
/// When it could not be done to the end. What was committed before stays done, and it may be run again.
pub async fn run(action: &Action, desks: &[Desk], out: &mut impl Write) -> Result<bool, Failure> {
    match action {
        Action::List { handler } => list(desks, handler.as_deref(), out).await,
        Action::Retry { handler, which } => {
            known(desks, handler.as_deref())?;
            retry(desks, handler.as_deref(), which.aggregate.as_deref(), out).await
        }
        Action::Skip { handler, which, yes } => {
            known(desks, Some(handler))?;
            if !yes {
                let why = "the event will never be applied: look at it with `inbox list`, then repeat this with --yes";
                return Err(Failure::Refused(why.to_owned()));
            }
            match (&which.aggregate, &which.message) {
                (_, Some(message)) => skip_message(desks, handler, message, out).await,
                (aggregate, None) => skip_first(desks, handler, aggregate.as_deref().unwrap_or_default(), out).await,
            }
        }
        Action::Restart { handler, yes, repeating } => {
            known(desks, Some(handler))?;
            restart(desks, handler, *yes, *repeating, out).await
        }
    }
}

/// A handler that is named must be one.
fn known(desks: &[Desk], handler: Option<&str>) -> Result<(), Failure> {
    let names: Vec<&str> = desks.iter().flat_map(|desk| desk.handlers.iter().map(|handler| handler.name())).collect();
    match handler {
        Some(name) if !names.contains(&name) => {
            Err(Failure::Refused(format!("no handler is called {name:?}; there are {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

async fn list(desks: &[Desk], handler: Option<&str>, out: &mut impl Write) -> Result<bool, Failure> {
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

async fn retry(
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

async fn skip_first(desks: &[Desk], handler: &str, aggregate: &str, out: &mut impl Write) -> Result<bool, Failure> {
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

async fn skip_message(desks: &[Desk], handler: &str, message: &str, out: &mut impl Write) -> Result<bool, Failure> {
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

async fn restart(
    desks: &[Desk],
    name: &str,
    is_confirmed: bool,
    may_repeat: bool,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    for desk in desks {
        let Some(handler) = desk.handlers.iter().find(|handler| handler.name() == name) else { continue };
        let mut client = desk.pool.get().await?;
        let transaction = client.transaction().await?;
        let of = Generation { schema: &desk.schema, handler: name, number: handler.generation() };
        // As an intake locks them.
        of.hold(&transaction, "").await?;
        let letters = format!(
            "SELECT count(*) FROM {}.inbox_dead_letter WHERE handler = $1 AND generation = $2",
            quote(&desk.schema)
        );
        let dropped: i64 = transaction.query_one(&letters, &[&of.handler, &of.number]).await?.try_get(0)?;
        let lost = match dropped {
            0 => String::new(),
            _ => format!(
                "; {dropped} messages that were set aside are dropped, and read again if the topics still hold them"
            ),
        };
        match handler.repeats() {
            Some(what) if !(is_confirmed && may_repeat) => {
                let why = format!(
                    "{name} would read all that its topics hold once more, and {what}{lost}: if that is right, repeat this with \
                     --yes --repeating"
                );
                return Err(Failure::Refused(why));
            }
            None if !is_confirmed => {
                let why = format!(
                    "{name} would read all that its topics hold once more, and leave out what it has done before{lost}: \
                     repeat this with --yes"
                );
                return Err(Failure::Refused(why));
            }
            _ => {}
        }
        of.forget(&transaction).await?;
        transaction.commit().await?;
        writeln!(out, "{name} begins at the beginning of its topics, by its next event at the latest{lost}")?;
    }
    Ok(true)
}

/// How many messages are set aside alone.
async fn set_aside_alone(desk: &Desk, handler: Option<&str>) -> Result<i64, Failure> {
    let sql = format!(
        "SELECT count(*) FROM {}.inbox_dead_letter WHERE ($1::text IS NULL OR handler = $1) AND aggregate IS NULL",
        quote(&desk.schema)
    );
    Ok(desk.pool.get().await?.query_one(&sql, &[&handler]).await?.try_get(0)?)
}

/// The parked aggregates, those that have waited longest first.
async fn places(desk: &Desk, handler: Option<&str>, aggregate: Option<&str>) -> Result<Vec<Place>, Failure> {
    let sql = format!(
        "SELECT handler, generation, topic, partition, aggregate FROM {}.inbox_parked
         WHERE ($1::text IS NULL OR handler = $1) AND ($2::text IS NULL OR aggregate = $2)
         ORDER BY parked_at, handler, generation, topic, partition, aggregate",
        quote(&desk.schema)
    );
    let rows = desk.pool.get().await?.query(&sql, &[&handler, &aggregate]).await?;
    let place = |row: &Row| {
        Ok(Place {
            handler: row.try_get(0)?,
            generation: row.try_get(1)?,
            topic: row.try_get(2)?,
            partition: row.try_get(3)?,
            aggregate: row.try_get(4)?,
        })
    };
    rows.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_aggregate_may_be_parked() {
        let checked = |limit: &str| {
            let mut problems = Problems::new();
            let args = ParkingArgs { max_parked_aggregates: limit.to_owned() };
            let limit = args.check(&mut problems);
            problems.finish(limit).map_err(|problems| problems.to_string())
        };
        assert_eq!([checked("1"), checked("1000000")], [Ok(1), Ok(1_000_000)]);
        for limit in ["0", "1000001"] {
            assert!(checked(limit).unwrap_err().contains("--max-parked-aggregates / MAX_PARKED_AGGREGATES"), "{limit}");
        }
    }
}
