//! Setting messages aside: as they came, with the reason, in the transaction that moves their offsets.

use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use tokio_postgres::{Error, types::ToSql};

use crate::{
    batch::DeadLetter,
    message::{Headers, Message},
    schema::quote,
    topics::Topics,
};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 2_000;

/// The statement, for one handler.
pub(crate) struct DeadLetters {
    handler: &'static str,
    set_aside: String,
}

impl DeadLetters {
    pub(crate) fn new(schema: &str, handler: &'static str) -> Self {
        let table = format!("{}.inbox_dead_letter", quote(schema));
        let set_aside = format!(
            "INSERT INTO {table} (handler, topic, partition, message_offset, key, headers, document, error)
             SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bytea[], $6::jsonb[], $7::bytea[], $8::text[])
             ON CONFLICT (handler, topic, partition, message_offset) DO UPDATE
                 SET error = excluded.error, set_aside_at = excluded.set_aside_at"
        );
        Self { handler, set_aside }
    }

    /// Sets these messages aside, each with its reason.
    pub(crate) async fn set_aside(
        &self,
        transaction: &Transaction<'_>,
        topics: &Topics,
        letters: &[(&Message, String)],
    ) -> Result<(), Error> {
        let column = |index: usize| letters[index].0;
        let each = || (0..letters.len()).map(column);
        let names: Vec<&str> = each().map(|message| topics.of(message.partition).on_cluster.as_str()).collect();
        let numbers: Vec<i32> = each().map(|message| message.partition.number).collect();
        let offsets: Vec<i64> = each().map(|message| message.offset).collect();
        let keys: Vec<Option<&[u8]>> = each().map(|message| message.key.as_deref()).collect();
        let headers: Vec<Value> = each().map(|message| as_json(message.headers.as_ref())).collect();
        let documents: Vec<Option<&[u8]>> = each().map(|message| message.document.as_deref()).collect();
        let reasons: Vec<String> = letters.iter().map(|(_, reason)| storable(reason)).collect();
        let statement = transaction.prepare_cached(&self.set_aside).await?;
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&self.handler, &names, &numbers, &offsets, &keys, &headers, &documents, &reasons];
        transaction.execute(&statement, &parameters).await?;
        Ok(())
    }

    /// Says in the log what was set aside, once it is. Neither the document nor the reason, which may quote it: there may
    /// be personal data in them.
    pub(crate) fn log(&self, topics: &Topics, letters: &[(&Message, String)]) {
        for (message, _) in letters {
            tracing::warn!(
                handler = self.handler,
                topic = topics.of(message.partition).on_cluster,
                partition = message.partition.number,
                offset = message.offset,
                "message set aside; inbox_dead_letter has it with the reason"
            );
        }
    }
}

impl DeadLetter {
    /// The message with the reason.
    pub(crate) fn with_reason(&self) -> (&Message, String) {
        (&self.message, self.error.clone())
    }
}

/// Headers as `[[name, value], …]`, whatever bytes they are made of.
fn as_json(headers: Option<&Headers>) -> Value {
    let value = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Value::from(text),
        _ => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    };
    let headers = headers.into_iter().flat_map(Headers::iter);
    headers.map(|(name, bytes)| json!([name, bytes.map(value)])).collect()
}

/// A reason as PostgreSQL's `text` can hold it.
fn storable(reason: &str) -> String {
    reason.chars().take(MAX_REASON).map(|char| if char == '\0' { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::PARTITION;

    #[test]
    fn any_header_can_be_kept() {
        let headers: [(&str, Option<&[u8]>); 4] =
            [("a", Some(b"text")), ("b", None), ("c", Some(b"\xff\x00")), ("a", Some(b"nul\0"))];
        let message = Message::new(PARTITION, 0, None, None, Some(&headers));
        assert_eq!(
            as_json(message.headers.as_ref()),
            json!([["a", "text"], ["b", null], ["c", {"hex": "ff00"}], ["a", {"hex": "6e756c00"}]])
        );
        assert_eq!(as_json(None), json!([]));
    }

    #[test]
    fn any_reason_can_be_kept() {
        assert_eq!(storable("unknown variant `\0`"), "unknown variant `\u{fffd}`");
        assert_eq!(storable(&"ä".repeat(3_000)).chars().count(), MAX_REASON);
    }
}
