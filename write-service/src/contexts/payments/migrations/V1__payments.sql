-- This context's own copy of the cards, from Accounts' and Direct booking's events: a payment is taken while Accounts is down.
create table card (
    -- An account or a guest: account:7, guest:9.
    payer      text primary key,
    version    bigint not null check (version >= 1),
    -- None once the payer is gone; its version stays, so that no late event brings it back.
    card_token text
);

create table payment (
    booking_id     text primary key,
    version        bigint not null check (version >= 1),
    status         text not null,
    payer          text not null,
    amount         bigint not null,
    currency       text not null,
    charges        integer not null check (charges >= 0),
    card_version   bigint not null,
    is_cancelled   boolean not null,
    decline_reason text,
    wait_until     timestamptz not null,
    changed_at     timestamptz not null,
    -- For what happens later by itself: the story, its last event, and the trace.
    correlation_id text not null,
    cause_id       uuid not null,
    traceparent    text,
    tracestate     text
);

create index payment_awaiting_card on payment (payer) where status = 'AWAITING_CARD';
create index payment_wait_until on payment (wait_until) where status = 'AWAITING_CARD';

-- What the third party is asked for. It is committed before the third party is called, under a key of its own, and stays
-- until its outcome is definite. The key is the same for every try, so that it is done once.
create table operation (
    key        uuid primary key,
    booking_id text not null references payment,
    kind       text not null check (kind in ('charge', 'refund')),
    number     integer not null check (number >= 1),
    -- What is charged; what is given back is the charge of this number.
    card_token text check ((card_token is not null) = (kind = 'charge')),
    due_at     timestamptz not null,
    tries      integer not null default 0,
    -- Null while it is not definite.
    outcome    text,
    last_error text,
    unique (booking_id, kind, number)
);

create index operation_due_at on operation (due_at) where outcome is null;

grant select, insert, update on card, payment, operation to payments;
