//! `inbox restart`.

use std::io::Write;

use super::{Desk, Failure};
use crate::{Generation, schema::quote};

pub(super) async fn restart(
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
