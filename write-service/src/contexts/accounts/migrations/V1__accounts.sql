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

-- Bookings on accounts that are not paid yet, where they are passed on with their card: another card may be named for them.
create table unpaid_booking (
    booking_id text primary key,
    account_id text not null,
    -- How often something was added to it.
    version    bigint not null check (version >= 1),
    total      bigint not null,
    currency   text not null,
    -- Whether it is paid, or over: no card is added any more.
    is_over    boolean not null
);

create index unpaid_booking_account_id on unpaid_booking (account_id) where not is_over;

grant select, insert, update on account, card, unpaid_booking to accounts;
