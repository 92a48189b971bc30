create table room_type (
    room_type_id text primary key,
    version      bigint not null check (version >= 1),
    name         text not null,
    rooms        text[] not null,
    -- So that a booking need not read every room's number.
    room_count   integer not null generated always as (cardinality(rooms)) stored
);

create table booking (
    booking_id   text primary key,
    version      bigint not null check (version >= 1),
    status       text not null,
    account_id   text not null,
    room_type_id text not null,
    check_in     date not null,
    check_out    date not null,
    adults       integer not null,
    children     integer not null,
    babies       integer not null,
    nightly_rate bigint not null,
    total        bigint not null,
    currency     text not null,
    made_at      timestamptz not null,
    rejection    text,
    cancelled_at timestamptz,
    check (check_out >= check_in)
);

-- How many rooms of a type are taken for a night. Rows are locked in the order of the nights, and only then counted.
create table room_night (
    room_type_id text not null,
    night        date not null,
    taken        integer not null check (taken >= 0),
    primary key (room_type_id, night)
);

-- This context's copy of the accounts: what a booking has to know of them, from their events.
create table account_copy (
    account_id text primary key,
    version    bigint not null check (version >= 1),
    open       boolean not null
);

-- The first five columns are those that Debezium's outbox event router expects.
create table outbox (
    id               uuid primary key,
    aggregatetype    text not null constraint outbox_is_of_this_context
        check (aggregatetype in ('hotel.direct-booking.room-type.v1', 'hotel.direct-booking.booking.v1')),
    aggregateid      text not null,
    type             text not null,
    payload          json not null constraint outbox_payload_fits_the_broker check (octet_length(payload::text) <= 950000),
    aggregateversion bigint not null check (aggregateversion >= 1),
    headers          json not null,
    createdat        timestamptz not null default now()
);

grant select, insert, update on room_type, booking, room_night, account_copy to direct_booking;
grant insert on outbox to direct_booking;
