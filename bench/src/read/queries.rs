//! What is asked over and over: as GraphQL, and as the statement that returns the same.

use anyhow::{Result, ensure};

use super::stage::BOOKINGS;
use crate::http::{Numbers, Request, send};

/// A query.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) request: fn(&mut Numbers) -> Request,
    pub(super) statement: &'static str,
    /// What an answer has if it is whole.
    has: &'static [&'static str],
}

const BY_ID: &str = "query Booking($id: ID!) { booking(id: $id) { \
    bookingId version status checkIn checkOut madeAt total { amountMinor currency } } }";

const NESTED: &str = "query Booking($id: ID!) { booking(id: $id) { bookingId version status checkIn checkOut \
    account { accountId name email } roomType { roomTypeId name } payment { status amount { amountMinor currency } } \
    tasks { taskId kind status day room } } }";

const PAGE: &str = "query Bookings($from: Date) { bookings(first: 20, filter: {checkInFrom: $from}) { \
    nodes { bookingId checkIn status account { name } room } } }";

pub(super) const QUERIES: [Query; 3] = [
    Query {
        name: "booking_by_id",
        request: |numbers| of_booking(BY_ID, numbers),
        statement: "\\set id random(1, 200000)\n\
            select id, version, status, check_in, check_out, made_at, total_minor, total_currency from view.booking \
            where id = :id::text and not erased;\n",
        has: &["\"bookingId\"", "\"currency\":\"EUR\""],
    },
    Query {
        name: "booking_nested",
        request: |numbers| of_booking(NESTED, numbers),
        statement: "\\set id random(1, 200000)\n\
            select b.id, b.version, b.status, b.check_in, b.check_out, a.id, a.name, a.email, r.id, r.name, p.status, \
                p.amount_minor, p.amount_currency, t.tasks \
            from view.booking b left join view.account a on a.id = b.account_id and not a.erased \
            left join view.room_type r on r.id = b.room_type_id and not r.erased \
            left join view.payment p on p.id = b.id and not p.erased \
            left join lateral (select array_agg(row(t.id, t.kind, t.status, t.day, t.room) order by t.day, t.id) as tasks \
                from view.task t where t.booking_id = b.id and not t.erased) t on true \
            where b.id = :id::text and not b.erased;\n",
        has: &["\"taskId\"", "\"TAKEN\"", "\"email\"", "\"name\":\"Room"],
    },
    Query {
        name: "bookings_page",
        request: |numbers| {
            let day = numbers.up_to(28);
            let month = numbers.up_to(12);
            post(PAGE, &format!("{{\"from\":\"2026-{month:02}-{day:02}\"}}"))
        },
        statement: "\\set day random(0, 364)\n\
            select b.id, b.check_in, b.status, a.name, b.room from view.booking b \
            left join view.account a on a.id = b.account_id and not a.erased \
            where b.check_in >= date '2026-01-01' + :day::int and not b.erased order by b.check_in, b.id limit 20;\n",
        has: &["\"bookingId\"", "\"name\":\"Guest"],
    },
];

fn of_booking(query: &str, numbers: &mut Numbers) -> Request {
    let id = numbers.up_to(BOOKINGS);
    post(query, &format!("{{\"id\":\"{id}\"}}"))
}

fn post(query: &str, variables: &str) -> Request {
    let body = format!("{{\"query\":\"{query}\",\"variables\":{variables}}}");
    let length = body.len();
    let text = format!(
        "POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         accept: application/graphql-response+json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    (text, 200)
}

impl Query {
    /// Asks once, and looks whether all is there that is paid for.
    pub(super) async fn check(&self, address: &str) -> Result<()> {
        let (text, _) = (self.request)(&mut Numbers::new(0));
        let answer = send(address, &text).await?;
        let is_whole = self.has.iter().all(|part| answer.contains(part)) && !answer.contains("\"errors\"");
        ensure!(is_whole, "{} is not answered as expected: {answer}", self.name);
        Ok(())
    }
}
