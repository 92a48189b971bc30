//! What pgbench does over and over: the statements that the write service sends.

use super::stage::{ACCOUNTS, BOOKINGS, ROOM_TYPES};

/// What pgbench does over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// All that a booking on an account is to PostgreSQL.
    MakeBooking,
    /// The same but for its event.
    MakeBookingWithoutOutbox,
    /// A version, which is what a 304 needs.
    SelectVersion,
}

impl Script {
    pub(super) fn text(self) -> String {
        match self {
            Self::MakeBooking => booking(true),
            Self::MakeBookingWithoutOutbox => booking(false),
            Self::SelectVersion => format!(
                "\\set id random(1, {BOOKINGS})\nselect version from direct_booking.booking where booking_id = :id::text;\n"
            ),
        }
    }
}

/// A booking's transaction. What is a parameter to the service is a variable here, or a constant of the same size.
fn booking(with_event: bool) -> String {
    let payload = r#"{"bookingId":"8f14e45f-ceea-467f-ab2f-5b1a2c3d4e5f","version":1,"status":"PENDING","bookedBy":{"kind":"ACCOUNT","accountId":"734"},"roomTypeId":"21","checkIn":"2027-02-11","checkOut":"2027-02-13","guests":{"adults":2,"children":0,"babies":0},"nightlyRate":{"amountMinor":7500,"currency":"EUR"},"total":{"amountMinor":15000,"currency":"EUR"},"madeAt":"2026-11-21T22:10:11.123456Z"}"#;
    let headers = r#"{"ce_causationid":"01a2005b-c216-751b-aa63-77b26d3de259","ce_correlationid":"01a2005b-c20d-71ae-bba3-28a7c263f550","ce_dataschema":"https://waybill.example/schemas/hotel.direct-booking.booking.v1.json","ce_source":"/hotel/direct-booking","traceparent":"00-39bc0d9d56feef72dc2ba57e39948097-0b6a83b1a6d4eb8a-01"}"#;
    let answered = r#"{"content-type":"application/json","location":"/direct-booking/bookings/8f14e45f-ceea-467f-ab2f-5b1a2c3d4e5f/outcome","etag":"\"1-1\"","read-after":"hotel.direct-booking.booking.v1/8f14e45f-ceea-467f-ab2f-5b1a2c3d4e5f/1","x-correlation-id":"01a2005b-c20d-71ae-bba3-28a7c263f550"}"#;
    let event = if with_event {
        format!(
            ", event as (
                insert into direct_booking.outbox (id, aggregatetype, aggregateid, type, payload, aggregateversion, headers)
                select gen_random_uuid(), 'hotel.direct-booking.booking.v1', :key::text,
                    'hotel.direct-booking.BookingMadeOnAccount.v1', '{payload}'::json, 1, '{headers}'::json from made
                returning 1)"
        )
    } else {
        String::new()
    };
    let told = if with_event { "event" } else { "made" };
    format!(
        "\\set key random(1, 9000000000000000000)
\\set type random(1, {ROOM_TYPES})
\\set account random(1, {ACCOUNTS})
\\set first random(1, 360)
\\set nights random(1, 3)
begin;
select pg_try_advisory_xact_lock(:key);
select fingerprint, status, headers, body from direct_booking.command_answer
    where caller = 'anonymous' and target = 'POST /direct-booking/bookings' and key = :key::text;
savepoint effect;
select (select open from direct_booking.account_copy where account_id = :account::text) as account_is_open,
    (select room_count from direct_booking.room_type where room_type_id = :type::text) as rooms,
    exists (select from direct_booking.booking where booking_id = :key::text) as is_taken;
with held as (
    insert into direct_booking.room_night as room_night (room_type_id, night, taken)
    select :type::text, night, 1 from unnest((array[date '2027-01-01' + :first::int, date '2027-01-02' + :first::int,
        date '2027-01-03' + :first::int])[1: :nights::int]) as night order by night
    on conflict (room_type_id, night) do update set taken = room_night.taken + 1 where room_night.taken < 10000
    returning night
), made as (
    insert into direct_booking.booking (room_type_id, check_in, booking_id, version, status, account_id, check_out, adults,
        children, babies, nightly_rate, total, currency, made_at, expires_at, cause_id, correlation_id, traceparent)
    select :type::text, date '2027-01-01' + :first::int, :key::text, 1, 'PENDING', :account::text,
        date '2027-01-01' + :first::int + :nights::int, 2, 0, 0, 7500, 15000, 'EUR', now(),
        clock_timestamp() + interval '30 minutes', gen_random_uuid(), '01a2005b-c20d-71ae-bba3-28a7c263f550',
        '00-39bc0d9d56feef72dc2ba57e39948097-0b6a83b1a6d4eb8a-01'
    where (select count(*) from held) = :nights::int
    on conflict (booking_id) do nothing
    returning 1
){event}
select array(select night from held) as held, exists (select from {told}) as is_made;
insert into direct_booking.command_answer (caller, target, key, fingerprint, status, headers, body)
    values ('anonymous', 'POST /direct-booking/bookings', :key::text, sha256(:key::text::bytea), 202, '{answered}'::json,
        '{payload}'::bytea);
commit;
"
    )
    // pgbench ends a statement at a line's semicolon alone, but reads a colon before a letter as a variable.
    .replace("\":\"", "\": \"")
}
