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
