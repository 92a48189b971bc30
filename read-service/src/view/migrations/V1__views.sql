-- The views: one table per aggregate type, filled by the projections alone, readable by any SQL tool.
-- A row whose aggregate is gone (a tombstone) is emptied and keeps id and version, or a late duplicate would bring it back.

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

CREATE TABLE view.room_type (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    name text,
    rooms text[],
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (num_nonnulls(name, rooms) = CASE WHEN erased THEN 0 ELSE 2 END)
);

-- No foreign keys: there is no order between topics, so a booking may be here before its account.
CREATE TABLE view.booking (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    erased boolean NOT NULL,
    status text,
    account_id text COLLATE "C",
    room_type_id text COLLATE "C",
    check_in date,
    check_out date,
    adults integer,
    children integer,
    babies integer,
    nightly_rate_minor bigint,
    nightly_rate_currency text,
    total_minor bigint,
    total_currency text,
    made_at timestamptz,
    cancelled_at timestamptz,
    changed_at timestamptz NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT whole_or_erased CHECK (
        num_nonnulls(status, room_type_id, check_in, check_out, adults, children, babies,
            nightly_rate_minor, nightly_rate_currency, total_minor, total_currency, made_at)
        = CASE WHEN erased THEN 0 ELSE 12 END),
    CONSTRAINT erased_has_no_account CHECK (NOT erased OR account_id IS NULL)
);

CREATE INDEX booking_by_check_in ON view.booking (check_in, id);
CREATE INDEX booking_by_account ON view.booking (account_id, check_in, id);

COMMENT ON TABLE view.account IS 'Account holders, as Accounts last told it.';
COMMENT ON TABLE view.room_type IS 'Room types and their rooms, as Direct booking last told it.';
COMMENT ON TABLE view.booking IS 'Bookings, as Direct booking last told it.';
COMMENT ON COLUMN view.account.erased IS 'The account is gone: only id and version are left.';
COMMENT ON COLUMN view.room_type.erased IS 'The room type is gone: only id and version are left.';
COMMENT ON COLUMN view.booking.erased IS 'The booking is gone: only id and version are left.';
COMMENT ON COLUMN view.account.changed_at IS 'When its context recorded this version.';
COMMENT ON COLUMN view.room_type.changed_at IS 'When its context recorded this version.';
COMMENT ON COLUMN view.booking.changed_at IS 'When its context recorded this version.';
COMMENT ON COLUMN view.account.applied_at IS 'When this version arrived here.';
COMMENT ON COLUMN view.room_type.applied_at IS 'When this version arrived here.';
COMMENT ON COLUMN view.booking.applied_at IS 'When this version arrived here.';

-- No DELETE: the projections never remove a row.
GRANT SELECT, INSERT, UPDATE ON view.account, view.room_type, view.booking TO read_service;
-- TEMP
ALTER TABLE view.booking ADD guest_id text, ADD site_id text, ADD site_reference text, ADD room text, ADD rate_plan_id text, ADD rejection text, ADD confirmation_requested_at timestamptz, ADD checked_in_at timestamptz, ADD checked_out_at timestamptz;
ALTER TABLE view.room_type ALTER rooms TYPE jsonb USING to_jsonb(rooms);
CREATE TABLE view.guest (id text PRIMARY KEY, version bigint, erased boolean, name text, email text, changed_at timestamptz, applied_at timestamptz);
CREATE TABLE view.rate_plan (id text PRIMARY KEY, version bigint, erased boolean, room_type_id text, name text, nightly_rate_minor bigint, nightly_rate_currency text, valid_until timestamptz, changed_at timestamptz, applied_at timestamptz);
CREATE TABLE view.payment (id text PRIMARY KEY, version bigint, erased boolean, status text, account_id text, guest_id text, amount_minor bigint, amount_currency text, decline_reason text, status_since timestamptz, changed_at timestamptz, applied_at timestamptz);
CREATE TABLE view.task (id text PRIMARY KEY, version bigint, erased boolean, kind text, status text, booking_id text, room_type_id text, room text, day date, completed_at timestamptz, changed_at timestamptz, applied_at timestamptz);
CREATE TABLE view.site (id text PRIMARY KEY, version bigint, erased boolean, status text, name text, allotments jsonb, changed_at timestamptz, applied_at timestamptz);
CREATE TABLE view.site_booking (id text PRIMARY KEY, version bigint, erased boolean, status text, site_id text, reference text, room_type_id text, check_in date, check_out date, adults int, children int, babies int, nightly_rate_minor bigint, nightly_rate_currency text, received_at timestamptz, rejection text, changed_at timestamptz, applied_at timestamptz);
CREATE TABLE view.event (id text PRIMARY KEY, type text, source text, topic text, subject text, version bigint, correlation_id text, causation_id text, trace_id text, partition int, message_offset bigint, recorded_at timestamptz, applied_at timestamptz);
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA view TO read_service;
