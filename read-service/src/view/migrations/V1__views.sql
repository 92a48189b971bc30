-- The views: one table per aggregate type, filled by the projections alone, readable by any SQL tool; and the journal of events.
-- A row whose aggregate is gone (a tombstone) is emptied and keeps id and version, or a late duplicate would bring it back.
-- No foreign keys: there is no order between topics, so a booking may be here before its account.

CREATE TABLE view.account (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    status text,
    name text,
    street text,
    postal_code text,
    city text,
    country text,
    email text,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(status, name, street, postal_code, city, country, email) = CASE WHEN erased THEN 0 ELSE 7 END)
);

CREATE TABLE view.guest (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    name text,
    email text,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (num_nonnulls(name, email) = CASE WHEN erased THEN 0 ELSE 2 END)
);

CREATE TABLE view.room_type (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    name text,
    rooms jsonb,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (num_nonnulls(name, rooms) = CASE WHEN erased THEN 0 ELSE 2 END)
);

CREATE TABLE view.rate_plan (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    room_type_id text COLLATE "C",
    name text,
    nightly_rate_minor bigint,
    nightly_rate_currency text,
    valid_until timestamptz,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(room_type_id, name, nightly_rate_minor, nightly_rate_currency, valid_until)
        = CASE WHEN erased THEN 0 ELSE 5 END)
);

CREATE TABLE view.booking (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    status text,
    account_id text COLLATE "C",
    guest_id text COLLATE "C",
    site_id text COLLATE "C",
    site_reference text,
    room_type_id text COLLATE "C",
    room text,
    check_in date,
    check_out date,
    adults integer,
    children integer,
    babies integer,
    rate_plan_id text COLLATE "C",
    nightly_rate_minor bigint,
    nightly_rate_currency text,
    total_minor bigint,
    total_currency text,
    made_at timestamptz,
    rejection text,
    confirmation_requested_at timestamptz,
    cancelled_at timestamptz,
    checked_in_at timestamptz,
    checked_out_at timestamptz,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(status, room_type_id, check_in, check_out, adults, children, babies,
            nightly_rate_minor, nightly_rate_currency, total_minor, total_currency, made_at)
        = CASE WHEN erased THEN 0 ELSE 12 END),
    CONSTRAINT made_by_one CHECK (num_nonnulls(account_id, guest_id, site_id) = CASE WHEN erased THEN 0 ELSE 1 END),
    CONSTRAINT erased_holds_nothing CHECK (NOT erased OR num_nonnulls(site_reference, room, rate_plan_id, rejection,
        confirmation_requested_at, cancelled_at, checked_in_at, checked_out_at) = 0)
);

CREATE INDEX booking_by_check_in ON view.booking (check_in, id);
CREATE INDEX booking_by_account ON view.booking (account_id, check_in, id) WHERE account_id IS NOT NULL;
CREATE INDEX booking_by_room_type ON view.booking (room_type_id, check_in, id);
CREATE INDEX booking_by_made_at ON view.booking (made_at, id);
CREATE INDEX booking_by_guest ON view.booking (guest_id, check_in, id) WHERE guest_id IS NOT NULL;
CREATE INDEX booking_by_site ON view.booking (site_id, check_in, id) WHERE site_id IS NOT NULL;
CREATE INDEX booking_by_status ON view.booking (status, check_in, id);

CREATE TABLE view.payment (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    status text,
    account_id text COLLATE "C",
    guest_id text COLLATE "C",
    amount_minor bigint,
    amount_currency text,
    decline_reason text,
    status_since timestamptz,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(status, amount_minor, amount_currency, status_since) = CASE WHEN erased THEN 0 ELSE 4 END),
    CONSTRAINT paid_by_one CHECK (num_nonnulls(account_id, guest_id) = CASE WHEN erased THEN 0 ELSE 1 END),
    CONSTRAINT erased_holds_nothing CHECK (NOT erased OR decline_reason IS NULL)
);

CREATE INDEX payment_by_status ON view.payment (status, id);

CREATE TABLE view.task (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    kind text,
    status text,
    booking_id text COLLATE "C",
    room_type_id text COLLATE "C",
    room text,
    day date,
    completed_at timestamptz,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(kind, status, booking_id, room_type_id, day) = CASE WHEN erased THEN 0 ELSE 5 END),
    CONSTRAINT erased_holds_nothing CHECK (NOT erased OR num_nonnulls(room, completed_at) = 0)
);

CREATE INDEX task_by_day ON view.task (day, id);
CREATE INDEX task_by_booking ON view.task (booking_id, day, id);

CREATE TABLE view.site (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    status text,
    name text,
    allotments jsonb,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (num_nonnulls(status, name, allotments) = CASE WHEN erased THEN 0 ELSE 3 END)
);

CREATE TABLE view.site_booking (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    status text,
    site_id text COLLATE "C",
    reference text,
    room_type_id text COLLATE "C",
    check_in date,
    check_out date,
    adults integer,
    children integer,
    babies integer,
    nightly_rate_minor bigint,
    nightly_rate_currency text,
    received_at timestamptz,
    rejection text,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(status, site_id, reference, room_type_id, check_in, check_out, adults, children, babies,
            nightly_rate_minor, nightly_rate_currency, received_at)
        = CASE WHEN erased THEN 0 ELSE 12 END),
    CONSTRAINT erased_holds_nothing CHECK (NOT erased OR rejection IS NULL)
);

CREATE INDEX site_booking_by_site ON view.site_booking (site_id, check_in, id);

-- Without the documents: what they hold of people can be erased where it is kept, and nothing of it is kept here.
CREATE TABLE view.event (
    id text COLLATE "C" PRIMARY KEY,
    type text NOT NULL,
    source text NOT NULL,
    topic text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    correlation_id text COLLATE "C",
    causation_id text,
    trace_id text,
    partition integer NOT NULL,
    message_offset bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    published_at timestamptz,
    applied_at timestamptz NOT NULL
);

CREATE INDEX event_by_correlation ON view.event (correlation_id, recorded_at, id);
CREATE INDEX event_by_subject ON view.event (subject, recorded_at, id);
CREATE INDEX event_by_recorded_at ON view.event (recorded_at, id);

-- How far behind each process says that a view is. Written once a second, so that it costs little to keep.
CREATE TABLE view.lag (
    view text COLLATE "C" NOT NULL,
    instance bigint NOT NULL,
    messages bigint NOT NULL,
    looked_at timestamptz NOT NULL,
    PRIMARY KEY (view, instance)
) WITH (fillfactor = 50);

COMMENT ON TABLE view.account IS 'Account holders, as Accounts last told it.';
COMMENT ON TABLE view.guest IS 'Guests who book without an account, as Direct booking last told it.';
COMMENT ON TABLE view.room_type IS 'Room types and their rooms, as Direct booking last told it.';
COMMENT ON TABLE view.rate_plan IS 'Rate plans and their prices, as Direct booking last told it.';
COMMENT ON TABLE view.booking IS 'Bookings, as Direct booking last told it.';
COMMENT ON TABLE view.payment IS 'Payments, each under the id of its booking, as Payments last told it.';
COMMENT ON TABLE view.task IS 'What has to be done to the rooms, as Housekeeping last told it.';
COMMENT ON TABLE view.site IS 'Aggregator sites and what they may sell, as Channel manager last told it.';
COMMENT ON TABLE view.site_booking IS 'What the sites have sold, each under the id of its booking, as Channel manager last told it.';
COMMENT ON TABLE view.event IS 'Every event of every context, but for those about cards, for as long as the service is told to keep them.';

COMMENT ON TABLE view.lag IS 'How far behind each process that fills a view says that its part of it is; old lines say nothing.';

COMMENT ON COLUMN view.room_type.rooms IS 'Its rooms, in the order in which they were added: a list of {number, stepFree}.';
COMMENT ON COLUMN view.payment.status_since IS 'When it came to be so, by the clock of its context.';
COMMENT ON COLUMN view.site.allotments IS 'How many rooms of each type it may sell: a list of {roomTypeId, rooms}.';
COMMENT ON COLUMN view.event.topic IS 'Its name in the contract, without an installation''s prefix.';
COMMENT ON COLUMN view.event.version IS 'The version of the aggregate that the event made.';
COMMENT ON COLUMN view.event.recorded_at IS 'When its context recorded it.';
COMMENT ON COLUMN view.event.published_at IS 'When it was published to Kafka.';
COMMENT ON COLUMN view.event.applied_at IS 'When it arrived here.';
COMMENT ON COLUMN view.lag.view IS 'The view, as the settings call it.';
COMMENT ON COLUMN view.lag.instance IS 'The process.';
COMMENT ON COLUMN view.lag.messages IS 'How many messages on its partitions of the topics it has not applied yet.';
COMMENT ON COLUMN view.lag.looked_at IS 'When it looked.';

-- What every view has.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['account', 'guest', 'room_type', 'rate_plan', 'booking', 'payment', 'task', 'site', 'site_booking']
    LOOP
        EXECUTE format('COMMENT ON COLUMN view.%I.erased IS %L', name, 'It is gone: only id and version are left.');
        EXECUTE format('COMMENT ON COLUMN view.%I.changed_at IS %L', name, 'When its context recorded this version.');
        EXECUTE format('COMMENT ON COLUMN view.%I.applied_at IS %L', name, 'When this version arrived here.');
        -- No DELETE: the projections never remove a row.
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON view.%I TO read_service', name);
    END LOOP;
END $$;

-- The journal is added to and, at its old end, removed from; nothing in it is changed.
GRANT SELECT, INSERT, DELETE ON view.event TO read_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON view.lag TO read_service;
