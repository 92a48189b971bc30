create table account (
    account_id  text primary key,
    version     bigint not null check (version >= 1),
    open        boolean not null,
    name        text not null,
    street      text not null,
    postal_code text not null,
    city        text not null,
    country     text not null,
    email       text not null
);

-- The card of an account: an aggregate of its own, since few may know of it.
create table card (
    account_id text primary key references account,
    version    bigint not null check (version >= 1),
    card_token text not null
);

-- The first five columns are those that Debezium's outbox event router expects.
create table outbox (
    id               uuid primary key,
    aggregatetype    text not null constraint outbox_is_of_this_context
        check (aggregatetype in ('hotel.accounts.account.v1', 'hotel.accounts.card-details.v1')),
    aggregateid      text not null,
    type             text not null,
    payload          json not null constraint outbox_payload_fits_the_broker check (octet_length(payload::text) <= 950000),
    aggregateversion bigint not null check (aggregateversion >= 1),
    headers          json not null,
    createdat        timestamptz not null default now()
);

grant select, insert, update on account, card to accounts;
grant insert on outbox to accounts;
