create table room_type (
    room_type_id text primary key,
    version      bigint not null check (version >= 1),
    name         text not null,
    rooms        text[] not null,
    -- So that a booking need not read every room's number.
    room_count   integer not null generated always as (cardinality(rooms)) stored
);

create table rate_plan (
    rate_plan_id text primary key,
    version      bigint not null check (version >= 1),
    room_type_id text not null,
    name         text not null,
    nightly_rate bigint not null,
    currency     text not null,
    valid_until  timestamptz not null
);

-- Guests who book without an account. Once one is erased, the row keeps its version and nothing else.
create table guest (
    guest_id text primary key,
    version  bigint not null check (version >= 1),
    name     text,
    email    text,
    check ((name is null) = (email is null))
);

-- The card of a guest: an aggregate of its own, since few may know of it.
create table guest_card (
    guest_id   text primary key references guest,
    version    bigint not null check (version >= 1),
    card_token text
);

create table booking (
    booking_id     text primary key,
    version        bigint not null check (version >= 1),
    status         text not null,
    account_id     text,
    guest_id       text references guest,
    site_id        text,
    site_reference text,
    room_type_id   text not null,
    room           text,
    check_in       date not null,
    check_out      date not null,
    adults         integer not null,
    children       integer not null,
    babies         integer not null,
    rate_plan_id   text,
    nightly_rate   bigint not null,
    total          bigint not null,
    currency       text not null,
    made_at        timestamptz not null,
    rejection      text,
    cancelled_at   timestamptz,
    confirmation_requested_at timestamptz,
    checked_in_at  timestamptz,
    checked_out_at timestamptz,
    -- Until when its payment is awaited, by the database's clock.
    expires_at     timestamptz,
    -- The event that made it, its story and its trace: for what happens later by itself.
    cause_id       uuid not null,
    correlation_id text not null,
    traceparent    text,
    tracestate     text,
    check (check_out >= check_in),
    check (num_nonnulls(account_id, guest_id, site_id) = 1),
    check ((site_id is null) = (site_reference is null))
);

create index booking_expires_at on booking (expires_at) where status = 'PENDING';
create index booking_guest_id on booking (guest_id) where guest_id is not null;
-- Never two guests in one room.
create unique index booking_occupies_room on booking (room_type_id, room) where status = 'CHECKED_IN';

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

grant select, insert, update on room_type, rate_plan, guest, guest_card, booking, room_night, account_copy to direct_booking;
