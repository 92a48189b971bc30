//! Setting messages aside: as they came, with the reason, in the transaction that moves their offsets. `retry` reads them
//! again.

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use tokio_postgres::{Error, types::ToSql};

use crate::{
    message::{Headers, Message},
    owner::Owner,
    schema::quote,
    sorting::Letter,
    topics::Topics,
};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 2_000;

/// The statement, for one handler.
pub(crate) struct DeadLetters {
    owner: Owner,
    set_aside: String,
}

impl DeadLetters {
    pub(crate) fn new(schema: &str, owner: Owner) -> Self {
        let table = format!("{}.inbox_dead_letter", quote(schema));
        let set_aside = format!(
            "INSERT INTO {table} (handler, generation, topic, partition, message_offset, key, headers, document, error,
                                  aggregate, sequence, published_at)
             SELECT $1, $2, * FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bytea[], $7::jsonb[], $8::bytea[],
                                          $9::text[], $10::text[], $11::bigint[], $12::timestamptz[])
             ON CONFLICT (handler, generation, topic, partition, message_offset) DO UPDATE
                 SET error = excluded.error, set_aside_at = excluded.set_aside_at"
        );
        Self { owner, set_aside }
    }

    /// Sets these messages aside, each with its reason.
    pub(crate) async fn set_aside(
        &self,
        transaction: &Transaction<'_>,
        topics: &Topics,
        letters: &[Letter<'_>],
    ) -> Result<(), Error> {
        let each = || letters.iter().map(|letter| letter.message);
        let names: Vec<&str> = each().map(|message| topics.of(message.partition).on_cluster.as_str()).collect();
        let numbers: Vec<i32> = each().map(|message| message.partition.number).collect();
        let offsets: Vec<i64> = each().map(|message| message.offset).collect();
        let keys: Vec<Option<&[u8]>> = each().map(|message| message.key.as_deref()).collect();
        let headers: Vec<Value> = each().map(|message| as_json(message.headers.as_ref())).collect();
        let documents: Vec<Option<&[u8]>> = each().map(|message| message.document.as_deref()).collect();
        let reasons: Vec<Option<String>> = letters.iter().map(|letter| letter.error.as_deref().map(storable)).collect();
        let aggregates: Vec<Option<&str>> = each().map(Message::aggregate).collect();
        let sequences: Vec<Option<i64>> = each().map(Message::sequence).collect();
        let published: Vec<Option<DateTime<Utc>>> = each().map(published_at).collect();
        let statement = transaction.prepare_cached(&self.set_aside).await?;
        let parameters: [&(dyn ToSql + Sync); 12] = [
            &self.owner.handler,
            &self.owner.generation,
            &names,
            &numbers,
            &offsets,
            &keys,
            &headers,
            &documents,
            &reasons,
            &aggregates,
            &sequences,
            &published,
        ];
        transaction.execute(&statement, &parameters).await?;
        Ok(())
    }

    /// Says in the log what was set aside, once it is. Neither the document nor the reason, which may quote it: there may
    /// be personal data in them.
    pub(crate) fn log(&self, topics: &Topics, letters: &[Letter<'_>]) {
        for Letter { message, .. } in letters.iter().filter(|letter| letter.error.is_some()) {
            tracing::warn!(
                handler = self.owner.handler,
                topic = topics.of(message.partition).on_cluster,
                partition = message.partition.number,
                offset = message.offset,
                "message set aside; `inbox list` tells the reason"
            );
        }
    }
}

/// When the message was published, as far back as PostgreSQL's calendar goes: the time is the producer's to say, and may be any.
fn published_at(message: &Message) -> Option<DateTime<Utc>> {
    // The first day of 4714 BC that it has, Julian day 0.
    const FIRST: i64 = -210_866_803_200_000;
    DateTime::from_timestamp_millis(message.published?.max(FIRST))
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

/// Headers as they came, of what [`as_json`] made of them.
pub(crate) fn from_json(headers: &Value) -> Vec<(String, Option<Vec<u8>>)> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let value = |value: &Value| match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(_) => value["hex"].as_str()?.as_bytes().chunks(2).map(byte).collect(),
        _ => None,
    };
    let headers = headers.as_array().into_iter().flatten();
    headers.filter_map(|header| Some((header[0].as_str()?.to_owned(), value(&header[1])))).collect()
}

/// A reason as PostgreSQL's `text` can hold it.
pub(crate) fn storable(reason: &str) -> String {
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
        let kept = from_json(&as_json(message.headers.as_ref()));
        let kept: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!(kept, headers, "and is read again as it came");
        assert_eq!(as_json(None), json!([]));
    }

    #[test]
    fn any_time_can_be_kept() {
        let kept = |millis| {
            let message = Message { published: Some(millis), ..Message::new(PARTITION, 0, None, None, None) };
            published_at(&message).map(|at| at.timestamp_millis())
        };
        assert_eq!(kept(1_700_000_000_000), Some(1_700_000_000_000));
        assert_eq!(kept(i64::MIN), Some(-210_866_803_200_000), "PostgreSQL has none before");
        assert_eq!(kept(i64::MAX), None, "nobody has such a day");
    }

    #[test]
    fn any_reason_can_be_kept() {
        assert_eq!(storable("unknown variant `\0`"), "unknown variant `\u{fffd}`");
        assert_eq!(storable(&"ä".repeat(3_000)).chars().count(), MAX_REASON);
    }
}
