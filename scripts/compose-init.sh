#!/usr/bin/env bash
# Run once by the postgres image on an empty volume: the two databases and the logins of docker-compose.yml. Schemas,
# tables and rights come with the services' own migrations; the roles that own them are made here already, so that the
# logins can be members of them.
set -euo pipefail

psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
  -v write_password="$WRITE_SERVICE_PASSWORD" \
  -v capture_password="$CAPTURE_PASSWORD" \
  -v read_password="$READ_SERVICE_PASSWORD" <<'SQL'
CREATE ROLE accounts NOLOGIN;
CREATE ROLE direct_booking NOLOGIN;
CREATE ROLE payments NOLOGIN;
CREATE ROLE housekeeping NOLOGIN;
CREATE ROLE channel_manager NOLOGIN;
CREATE ROLE read_service NOLOGIN;

-- Takes the role of one context at a time, and has none of their rights otherwise.
CREATE ROLE write_service LOGIN NOINHERIT PASSWORD :'write_password'
  IN ROLE accounts, direct_booking, payments, housekeeping, channel_manager;
CREATE ROLE capture LOGIN REPLICATION PASSWORD :'capture_password';
CREATE ROLE read_login LOGIN PASSWORD :'read_password' IN ROLE read_service;

CREATE DATABASE waybill;
REVOKE ALL ON DATABASE waybill FROM PUBLIC;
GRANT CONNECT ON DATABASE waybill TO write_service, capture;

CREATE DATABASE waybill_read;
REVOKE ALL ON DATABASE waybill_read FROM PUBLIC;
GRANT CONNECT ON DATABASE waybill_read TO read_login;
SQL
