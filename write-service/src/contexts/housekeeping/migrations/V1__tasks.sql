-- This context's own copy of the bookings, from Direct booking's events: what their rooms need follows from it.
create table stay (
    booking_id     text primary key,
    version        bigint not null check (version >= 1),
    status         text not null,
    room_type_id   text not null,
    room           text,
    arrival        date not null,
    -- As it was booked; once the guest has left, the day of that.
    departure      date not null,
    -- The first day of which nobody has thought yet whether it needs a daily cleaning. It only ever moves on.
    next_cleaning  date not null,
    -- The event that told of it, its story and its trace: for what happens later by itself.
    cause_id       uuid not null,
    correlation_id text not null,
    traceparent    text,
    tracestate     text
);

create index stay_next_cleaning on stay (next_cleaning) where status = 'CHECKED_IN' and next_cleaning < departure;

create table task (
    task_id      text primary key,
    version      bigint not null check (version >= 1),
    kind         text not null,
    status       text not null,
    booking_id   text not null references stay,
    room_type_id text not null,
    room         text,
    day          date not null,
    completed_at timestamptz,
    -- Nothing is scheduled twice, whatever has become of it the first time.
    unique (booking_id, kind, day),
    check ((completed_at is not null) = (status = 'COMPLETED'))
);

grant select, insert, update on stay, task to housekeeping;
