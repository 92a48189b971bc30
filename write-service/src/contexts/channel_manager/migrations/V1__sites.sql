create table site (
    site_id text primary key,
    version bigint not null check (version >= 1),
    status  text not null,
    name    text not null,
    -- Where its HTTP API is. It may hold a secret, and is told nobody.
    url     text not null
);

-- How many rooms of a type a site may sell for each night.
create table allotment (
    site_id      text not null references site,
    room_type_id text not null,
    rooms        integer not null check (rooms >= 1),
    -- The site is told of the nights before this one.
    told_until   date not null,
    primary key (site_id, room_type_id)
);

create index allotment_room_type_id on allotment (room_type_id);
create index allotment_told_until on allotment (told_until);

create table site_booking (
    booking_id   text primary key,
    version      bigint not null check (version >= 1),
    status       text not null,
    site_id      text not null references site,
    reference    text not null,
    room_type_id text not null,
    check_in     date not null,
    check_out    date not null,
    adults       integer not null,
    children     integer not null,
    babies       integer not null,
    nightly_rate bigint not null,
    currency     text not null,
    received_at  timestamptz not null,
    rejection    text,
    -- A site sells nothing twice, though it may tell of it twice.
    unique (site_id, reference)
);

-- This context's own copy of every booking's stay, from Direct booking's events.
create table stay (
    booking_id   text primary key,
    version      bigint not null check (version >= 1),
    -- The site that has sold it, if one has.
    site_id      text,
    room_type_id text not null,
    check_in     date not null,
    -- A room is held for the nights from check_in to before this one: none where they are the same.
    held_until   date not null check (held_until >= check_in),
    is_arrived   boolean not null
);

create index stay_held on stay (room_type_id, held_until);

-- Its copy of how many rooms there are of each type.
create table room_type (
    room_type_id text primary key,
    version      bigint not null check (version >= 1),
    rooms        integer not null check (rooms >= 0)
);

-- What each site is to be told, and has been: what it may sell of a type for a night, or what became of a booking. What that
-- is, is looked up when it is told. A row stays when it is settled, so that its revision only rises.
create table notice (
    site_id    text not null references site,
    kind       text not null check (kind in ('booking', 'night')),
    -- A booking, or a room type.
    subject    text not null,
    -- Of a booking it is the day of arrival.
    night      date not null,
    -- Rises with every change.
    revision   bigint not null default 1 check (revision >= 1),
    -- The last revision of which nothing more is to be said: the site knows it, or refuses it for good.
    settled    bigint not null default 0,
    due_at     timestamptz not null default clock_timestamp(),
    tries      integer not null default 0,
    -- Why it could not be told, or, where it is settled, why the site has refused it.
    last_error text,
    primary key (site_id, kind, subject, night)
);

create index notice_due_at on notice (site_id, due_at) where settled < revision;
create index notice_night on notice (night) where kind = 'night';

grant select, insert, update on site, site_booking, stay, room_type to channel_manager;
grant select, insert, update, delete on allotment, notice to channel_manager;
