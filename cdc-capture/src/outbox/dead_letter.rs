//! The event that stands in for a row that cannot be published: what is wrong with it, and all that is known of it. Pure.
//!
//! It always fits: each text in it is bounded, and a payload that is too large stays where it is.

use contracts::envelope::{Position, names as envelope};

use super::{Event, HeaderList, Reason};

/// The headers of a dead letter, beside `position`.
pub(crate) mod names {
    pub(crate) const REASON: &str = "dead_letter_reason";
    pub(crate) const CLASS: &str = "dead_letter_class";
    pub(crate) const TABLE: &str = "dead_letter_table";
    pub(crate) const ID: &str = "dead_letter_id";
    pub(crate) const TOPIC: &str = "dead_letter_topic";
    pub(crate) const COMMIT: &str = "dead_letter_commit_lsn";
    pub(crate) const TIME: &str = "dead_letter_commit_time";
    pub(crate) const SIZE: &str = "dead_letter_size";
}

/// The longest text, in bytes.
const LONGEST: usize = 1024;
/// The longest text where little room is: librdkafka's least `message.max.bytes` is 1,000.
const LONGEST_IF_BRIEF: usize = 64;
/// All texts together, with all that librdkafka and the broker add, never take more.
const TEXTS: usize = 12 * 1024;

/// What could be read of a row that cannot be published.
#[derive(Clone, Debug, Default)]
pub struct Remains<'a> {
    /// Where it comes from: the table, or the messages.
    pub origin: String,
    /// The row's id.
    pub id: Option<String>,
    /// The aggregate's id.
    pub key: Option<String>,
    /// The topic that it was meant for, with the installation's prefix.
    pub topic: Option<String>,
    /// The document; of a message the whole of it, since it is nowhere else.
    pub payload: Option<&'a [u8]>,
}

/// How much a dead letter may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The largest message that the producer takes, in bytes.
    pub producer: usize,
    /// No payload and short texts: the broker has refused a longer one.
    pub is_brief: bool,
}

/// What is sent in a row's place.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    origin: &'a str,
    id: &'a str,
    key: String,
    payload: Option<&'a [u8]>,
    headers: HeaderList,
}

impl<'a> DeadLetter<'a> {
    /// Tells why a row was set aside, where in the log it is, and when it was committed if it was in a transaction.
    pub fn new(
        row: &'a Remains<'a>,
        reason: &Reason,
        position: &Position,
        committed_at: Option<&str>,
        room: Room,
    ) -> Self {
        let has_room = !room.is_brief && room.producer >= 2 * TEXTS;
        let longest = if has_room { LONGEST } else { LONGEST_IF_BRIEF };
        let cut = |text: &'a str| &text[..text.floor_char_boundary(longest)];
        let (id, position) = (row.id.as_deref().map(cut), position.to_string());
        let mut headers = HeaderList::default();
        let mut push = |name, value: Option<&str>| {
            if let Some(value) = value {
                headers.push(name, &value.as_bytes()[..value.floor_char_boundary(longest)]);
            }
        };
        push(envelope::POSITION, Some(&position));
        push(names::REASON, Some(&reason.to_string()));
        push(names::CLASS, Some(reason.class()));
        push(names::TABLE, Some(&row.origin));
        push(names::ID, id);
        push(names::TOPIC, row.topic.as_deref());
        push(names::COMMIT, position.rsplit(':').nth(1));
        push(names::TIME, committed_at);
        push(names::SIZE, row.payload.map(|payload| payload.len().to_string()).as_deref());
        // Never without a key: a compacted topic would refuse it.
        let key = row.key.as_deref().map(cut).or(id).unwrap_or(&position).to_owned();
        let payload = row.payload.filter(|payload| has_room && payload.len() <= room.producer - TEXTS);
        Self { origin: &row.origin, id: id.unwrap_or("?"), key, payload, headers }
    }

    /// The event that is sent to the topic of dead letters.
    pub fn event<'e>(&'e self, topic: &'e str) -> Event<'e> {
        Event { origin: self.origin, id: self.id, topic, key: &self.key, payload: self.payload, headers: &self.headers }
    }
}

#[cfg(test)]
mod tests {
    use contracts::envelope::Lsn;

    use super::*;

    const POSITION: Position =
        Position { system: u64::MAX, timeline: u32::MAX, commit: Lsn(u64::MAX), ordinal: u32::MAX };
    const AMPLE: Room = Room { producer: 1_000_000, is_brief: false };

    fn remains<'a>(text: &'a str, payload: &'a [u8]) -> Remains<'a> {
        let some = || Some(text.to_owned());
        Remains { origin: text.to_owned(), id: some(), key: some(), topic: some(), payload: Some(payload) }
    }

    fn size(letter: &DeadLetter<'_>) -> usize {
        let event = letter.event("dead");
        let headers: usize = event.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        headers + event.key.len() + event.payload.map_or(0, <[u8]>::len)
    }

    #[test]
    fn it_tells_what_is_known() {
        let row = Remains {
            origin: "shop.outbox".into(),
            id: Some("row-1".into()),
            key: Some("order-1".into()),
            topic: Some("order".into()),
            payload: Some(b"{}"),
        };
        let position = Position { system: 7, timeline: 1, commit: Lsn(0x10), ordinal: 3 };
        let reason = Reason::Empty("type".to_owned());
        let letter = DeadLetter::new(&row, &reason, &position, Some("2026-11-21T10:02:40Z"), AMPLE);
        let event = letter.event("dead");
        assert_eq!((event.topic, event.key, event.payload), ("dead", "order-1", Some(&b"{}"[..])));
        let headers: Vec<_> =
            event.headers.iter().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect();
        let told = [
            ("position", "7:1:0/10:3"),
            ("dead_letter_reason", "column type is empty"),
            ("dead_letter_class", "column"),
            ("dead_letter_table", "shop.outbox"),
            ("dead_letter_id", "row-1"),
            ("dead_letter_topic", "order"),
            ("dead_letter_commit_lsn", "0/10"),
            ("dead_letter_commit_time", "2026-11-21T10:02:40Z"),
            ("dead_letter_size", "2"),
        ];
        assert_eq!(headers, told);
    }

    #[test]
    fn what_could_not_be_read_is_left_out_but_a_key_is_always_there() {
        let reason = Reason::NotTransactional;
        let key = |row: &Remains<'_>| DeadLetter::new(row, &reason, &POSITION, None, AMPLE).key;
        let mut row = Remains { id: Some("row-1".into()), ..Remains::default() };
        assert_eq!(key(&row), "row-1");
        row.id = None;
        assert_eq!(key(&row), POSITION.to_string());
        let letter = DeadLetter::new(&row, &reason, &POSITION, None, AMPLE);
        assert_eq!(
            (letter.payload, letter.headers.get(names::ID), letter.headers.get(names::SIZE)),
            (None, None, None)
        );
    }

    #[test]
    fn it_always_fits() {
        let (text, payload) = ("ü".repeat(100_000), vec![b'x'; 987_000]);
        let reason = Reason::TooLarge(text.clone());
        let row = remains(&text, &payload);
        let letter = DeadLetter::new(&row, &reason, &POSITION, Some(&text), AMPLE);
        assert!(letter.payload.is_some() && size(&letter) <= 1_000_000 - 1_000);
        let larger = vec![b'x'; 999_000];
        let row = remains(&text, &larger);
        let letter = DeadLetter::new(&row, &reason, &POSITION, Some(&text), AMPLE);
        assert!(letter.payload.is_none() && letter.headers.get(names::SIZE) == Some(b"999000"));
        for room in [Room { producer: 1_000, is_brief: false }, Room { is_brief: true, ..AMPLE }] {
            let letter = DeadLetter::new(&row, &reason, &POSITION, Some("2026-11-21T10:02:40.123456Z"), room);
            assert!(letter.payload.is_none() && size(&letter) <= 850, "{}", size(&letter));
        }
    }
}
