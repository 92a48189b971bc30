//! A client that sends each command three times leaves what one leaves that sends it once: every command of every context, and
//! every table.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    bad_input::{COMMANDS, Command, hotel},
    fixture::{Answer, Hotel, booking},
};

/// What is to be refused, beside every command.
const REFUSED: &[Command] = &[
    ("/direct-booking/bookings", || booking("upside-down", 3, -1)),
    ("/direct-booking/bookings/nobody/cancel", || Value::Object(serde_json::Map::new())),
];

/// The schemas of all contexts.
const SCHEMAS: [&str; 5] = ["accounts", "direct_booking", "payments", "housekeeping", "channel_manager"];

/// What is another with every run though nothing else has been done: what was hashed or is compared otherwise, and how
/// often a site was tried that is away.
const OWN: [&str; 6] = ["traceparent", "tracestate", "fingerprint", "body", "tries", "last_error"];

/// One command: its key, its path and its body.
struct Sent {
    key: String,
    path: &'static str,
    body: Value,
}

impl Sent {
    async fn to(&self, hotel: &Hotel) -> Answer {
        hotel.service.post_as(&self.key, self.path, &self.body).await
    }
}

/// Every command; then each once more under another key, since what is refused is a command too.
fn story() -> Vec<Sent> {
    let again = COMMANDS.iter().chain(REFUSED);
    let of = |(at, (path, body)): (usize, &Command)| Sent { key: at.to_string(), path, body: body() };
    COMMANDS.iter().chain(again).enumerate().map(of).collect()
}

/// The commands of the document that the story has not.
fn left_out(document: &Value) -> Vec<&str> {
    let paths = document["paths"].as_object().unwrap().iter();
    let commands = paths.filter(|(_, methods)| methods.get("post").is_some()).map(|(path, _)| path.as_str());
    let is_one_of = |template: &str, path: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(wanted, found)| wanted == found || wanted.starts_with('{'))
    };
    commands.filter(|template| !COMMANDS.iter().any(|(path, _)| is_one_of(template, path))).collect()
}

/// All tables of all contexts, but for how far each has read what topic; a partitioned one as a whole.
async fn tables(hotel: &Hotel) -> Vec<String> {
    let sql = "select quote_ident(nspname) || '.' || quote_ident(relname)
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = any($1) and relkind in ('r', 'p') and not relispartition
            and relname not like 'inbox%' and relname not like 'refinery%' and relname not like 'foundation%'
        order by 1";
    let schemas: Vec<&str> = SCHEMAS.to_vec();
    hotel.admin.query(sql, &[&schemas]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What a table holds, each row without what is the run's own.
async fn rows(hotel: &Hotel, table: &str) -> Vec<String> {
    let rows = hotel.admin.query(&format!("select to_jsonb(kept) from {table} as kept"), &[]).await.unwrap();
    let mut rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let mut row: Value = row.get(0);
            let is_answer = table.ends_with(".command_answer");
            forget(&mut row);
            if is_answer {
                row.as_object_mut().unwrap().remove("headers");
            }
            row.to_string()
        })
        .collect();
    rows.sort();
    rows
}

/// Removes times and random ids from a value, and what is the run's own by its name.
fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OWN.contains(&name.as_str()));
            fields.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        Value::String(text) => {
            let is_own = chrono::DateTime::parse_from_rfc3339(text).is_ok() || Uuid::parse_str(text).is_ok();
            if is_own {
                *value = Value::Null;
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_command_sent_three_times_leaves_what_it_leaves_when_it_is_sent_once() {
    let (once, thrice) = tokio::join!(hotel("once"), hotel("three times"));
    let document = once.service.get("/openapi.json").await.expect(200).body;
    assert_eq!(left_out(&document), <[&str; 0]>::default(), "commands without a place in COMMANDS");

    let story = story();
    for (at, sent) in story.iter().enumerate() {
        let single = sent.to(&once).await;
        assert!(at >= COMMANDS.len() || single.status < 300, "{}: {single:?}", sent.path);
        let first = sent.to(&thrice).await;
        assert_eq!(first.status, single.status, "{}: {first:?}", sent.path);
        for _ in 0..2 {
            assert_repeated(&first, &sent.to(&thrice).await);
        }
    }
    // Late ones too: after all that came later.
    for sent in &story {
        assert!(is_repeated(&sent.to(&thrice).await), "{}", sent.path);
    }

    let tables = tables(&once).await;
    assert_eq!(tables, self::tables(&thrice).await);
    for schema in SCHEMAS {
        assert!(tables.contains(&format!("{schema}.outbox")), "{tables:?}");
    }
    let mut written = 0;
    for table in tables {
        let (left_by_one, left_by_three) = (rows(&once, &table).await, rows(&thrice, &table).await);
        assert_eq!(left_by_one.len(), left_by_three.len(), "rows of {table}");
        assert_eq!(left_by_one, left_by_three, "{table}");
        written += left_by_one.len();
    }
    assert!(written > story.len(), "{written}");
}

#[track_caller]
fn assert_repeated(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert!(is_repeated(again) && !is_repeated(first), "{again:?}");
}

fn is_repeated(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}
