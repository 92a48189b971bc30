-- The first five columns are those that Debezium's outbox event router expects.
create table outbox (
    id               uuid primary key,
    aggregatetype    text not null constraint outbox_is_of_this_context
        check (aggregatetype in ('hotel.channel-manager.site.v1', 'hotel.channel-manager.site-booking.v1')),
    aggregateid      text not null,
    type             text not null,
    payload          json not null constraint outbox_payload_fits_the_broker check (octet_length(payload::text) <= 950000),
    aggregateversion bigint not null check (aggregateversion >= 1),
    headers          json not null,
    createdat        timestamptz not null default now()
);

grant insert on outbox to channel_manager;
