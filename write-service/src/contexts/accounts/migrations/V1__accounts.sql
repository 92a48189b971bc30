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

grant select, insert, update on account, card to accounts;
