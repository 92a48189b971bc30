//! A message as Kafka gave it, kept until it is applied: what cannot be applied is set aside exactly as it came.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use chrono::DateTime;
use contracts::envelope::{Envelope, names};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::{
    Delivery, Undecodable,
    topics::{Partition, Topic},
};

/// The longest key that names an aggregate, in bytes: an index takes it.
const MAX_KEY: usize = 256;

/// A message, all of its bytes in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) partition: Partition,
    pub(crate) offset: i64,
    /// When it was published, in milliseconds since 1970.
    pub(crate) published: Option<i64>,
    pub(crate) key: Option<Bytes>,
    pub(crate) document: Option<Bytes>,
    /// `None` when the client cannot read them.
    pub(crate) headers: Option<Headers>,
}

/// A message's headers in their order: names and values one after another, with where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers {
    bytes: Bytes,
    ends: Vec<(usize, Option<usize>)>,
}

/// A header's name and value.
pub(crate) type Header<'a> = (&'a str, Option<&'a [u8]>);

impl Message {
    /// Copies a message out of the client's memory.
    pub(crate) fn copy(message: &BorrowedMessage<'_>, partition: Partition) -> Self {
        let offset = message.offset();
        let whole = |headers: Option<Vec<Header<'_>>>| {
            let copy = Self::new(partition, offset, message.key(), message.payload(), headers.as_deref());
            Self { published: message.timestamp().to_millis(), ..copy }
        };
        let Some(headers) = message.headers() else { return whole(Some(Vec::new())) };
        // The client panics at a header's name that is not UTF-8, which anybody may have sent.
        let read = || headers.iter().map(|header| (header.key, header.value)).collect::<Vec<_>>();
        whole(catch_unwind(AssertUnwindSafe(read)).ok())
    }

    pub(crate) fn new(
        partition: Partition,
        offset: i64,
        key: Option<&[u8]>,
        document: Option<&[u8]>,
        headers: Option<&[Header<'_>]>,
    ) -> Self {
        let fixed = key.map_or(0, <[u8]>::len) + document.map_or(0, <[u8]>::len);
        let size = |(name, value): &Header<'_>| name.len() + value.map_or(0, <[u8]>::len);
        let mut bytes = Vec::with_capacity(fixed + headers.into_iter().flatten().map(size).sum::<usize>());
        let mut put = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            bytes.len()
        };
        let end_of_key = put(key.unwrap_or_default());
        let end_of_document = put(document.unwrap_or_default());
        let mut end = |piece: &[u8]| put(piece) - end_of_document;
        let ends = headers.map(|headers| {
            headers.iter().map(|(name, value)| (end(name.as_bytes()), value.map(&mut end))).collect::<Vec<_>>()
        });
        let bytes = Bytes::from(bytes);
        Self {
            partition,
            offset,
            published: None,
            key: key.map(|_| bytes.slice(..end_of_key)),
            document: document.map(|_| bytes.slice(end_of_key..end_of_document)),
            headers: ends.map(|ends| Headers { bytes: bytes.slice(end_of_document..), ends }),
        }
    }

    /// How much memory its content takes.
    pub(crate) fn size(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        length(&self.key) + length(&self.document) + self.headers.as_ref().map_or(0, |headers| headers.bytes.len())
    }

    /// The aggregate that it is about, where its key is usable: text, not too long, and what its `ce_subject` says, if that
    /// can be read.
    pub(crate) fn aggregate(&self) -> Option<&str> {
        let key = self.key.as_deref()?;
        let text = std::str::from_utf8(key).ok().filter(|key| !key.is_empty() && !key.contains('\0'))?;
        let is_usable = key.len() <= MAX_KEY && self.header(names::SUBJECT).is_none_or(|subject| subject == key);
        is_usable.then_some(text)
    }

    /// The aggregate's version, where the message tells it.
    pub(crate) fn sequence(&self) -> Option<i64> {
        std::str::from_utf8(self.header(names::SEQUENCE)?).ok()?.parse().ok()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.as_ref()?.iter();
        headers.find_map(|(found, value)| if found == name { value } else { None })
    }

    /// Reads the envelope and holds the key against it.
    pub(crate) fn read(&self, topic: &Topic) -> Result<Delivery, Undecodable> {
        let Some(headers) = &self.headers else {
            return Err(Undecodable("a header's name is not UTF-8".to_owned()));
        };
        let envelope = Envelope::from_headers(headers.iter()).map_err(|error| Undecodable(error.to_string()))?;
        match &self.key {
            None => return Err(Undecodable("the key is missing".to_owned())),
            Some(key) if key != envelope.subject.as_bytes() => {
                return Err(Undecodable("the key differs from header ce_subject".to_owned()));
            }
            Some(_) => {}
        }
        Ok(Delivery {
            topic: topic.name.clone(),
            partition: self.partition.number,
            offset: self.offset,
            published_at: self.published.and_then(DateTime::from_timestamp_millis),
            envelope,
            document: self.document.clone(),
        })
    }
}

impl Headers {
    /// The headers as name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Header<'_>> {
        self.ends.iter().scan(0, |start, &(end_of_name, end_of_value)| {
            let name = &self.bytes[*start..end_of_name];
            let value = end_of_value.map(|end| &self.bytes[end_of_name..end]);
            *start = end_of_value.unwrap_or(end_of_name);
            // They were text when they were put in.
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::{collection::vec, option, prelude::*};

    pub(crate) const PARTITION: Partition = Partition { topic: 0, number: 3 };

    const COMPLETE: &[(&str, &str)] = &[
        ("ce_specversion", "1.0"),
        ("ce_id", "01890f5e-3c00-7000-8000-000000000001"),
        ("ce_source", "/hotel/accounts"),
        ("ce_type", "hotel.accounts.AccountOpened.v1"),
        ("ce_subject", "a1"),
        ("ce_time", "2026-11-01T12:00:00Z"),
    ];

    /// A message that can be read, with these headers too.
    pub(crate) fn message(more: &[(&str, &str)]) -> Message {
        with(Some(b"a1"), &[COMPLETE, more].concat())
    }

    fn with(key: Option<&[u8]>, headers: &[(&str, &str)]) -> Message {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        Message::new(PARTITION, 7, key, Some(b"{}"), Some(&headers))
    }

    fn read(message: &Message) -> Result<Delivery, String> {
        let topic = Topic { name: "a.v1".into(), on_cluster: "x.a.v1".into(), partitions: 4 };
        message.read(&topic).map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn keeps_every_byte(
            key in option::of(vec(any::<u8>(), 0..9)),
            document in option::of(vec(any::<u8>(), 0..9)),
            headers in vec((".{0,5}", option::of(vec(any::<u8>(), 0..9))), 0..5),
        ) {
            let given: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            let message = Message::new(PARTITION, 7, key.as_deref(), document.as_deref(), Some(&given));
            prop_assert_eq!(message.key.as_deref(), key.as_deref());
            prop_assert_eq!(message.document.as_deref(), document.as_deref());
            let kept = message.headers.unwrap();
            prop_assert_eq!(kept.iter().collect::<Vec<_>>(), given);
        }
    }

    #[test]
    fn a_complete_message_is_read_under_the_contracts_name() {
        let delivery = read(&message(&[])).unwrap();
        assert_eq!((&*delivery.topic, delivery.partition, delivery.offset), ("a.v1", 3, 7));
        assert_eq!(delivery.envelope.subject, "a1");
        assert_eq!(delivery.document.as_deref(), Some(&b"{}"[..]));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let error = |message: &Message| read(message).unwrap_err();
        assert_eq!(error(&with(Some(b"a1"), &COMPLETE[1..])), "header ce_specversion is missing");
        assert_eq!(error(&with(None, COMPLETE)), "the key is missing");
        assert_eq!(error(&with(Some(b"a2"), COMPLETE)), "the key differs from header ce_subject");
        let long = "x".repeat(5000);
        assert_eq!(error(&message(&[("tracestate", &long)])), "header tracestate: 5000 bytes, more than 4096");
        let unreadable = Message { headers: None, ..message(&[]) };
        assert_eq!(error(&unreadable), "a header's name is not UTF-8");
    }
}
