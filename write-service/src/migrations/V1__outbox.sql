-- The outbox, the same in every schema. Which types it takes comes from the contract, and is set with every migration.
--
-- Partitioned by day (UTC), since deleting rows one by one would cost more than writing them. The rows that are kept are the
-- means to publish again after a replication slot or a broker is lost. The first five columns are those that Debezium's
-- outbox event router expects.
create table outbox (
    id               uuid not null,
    aggregatetype    text not null,
    aggregateid      text not null,
    type             text not null,
    -- Null is a tombstone.
    payload          json constraint outbox_payload_fits_the_broker check (octet_length(payload::text) <= 950000),
    aggregateversion bigint not null check (aggregateversion >= 1),
    headers          json not null,
    createdat        timestamptz not null default now(),
    primary key (id, createdat)
) partition by range (createdat);

-- So that no command fails because nobody has made the day's partition.
create table outbox_default partition of outbox default;

-- Partitions that are not part of the outbox any more, and may go once every slot has confirmed what was written up to then.
-- Of the default partition only the rows go that were made before a moment.
create table outbox_retired (
    partition   text primary key,
    rows_before timestamptz,
    lsn         pg_lsn not null,
    retired_at  timestamptz not null default now()
);

-- Makes the partitions of today and of so many days to come: how many there were not. The owner's rights are needed for that,
-- which the context's role has not.
create function ensure_outbox_partitions(days_ahead integer) returns integer
language plpgsql security definer set search_path from current as $$
declare
    home text := current_schema();
    day  date;
    name text;
    made integer := 0;
begin
    if days_ahead is null or days_ahead not between 0 and 31 then
        raise exception 'days_ahead has to be from 0 to 31';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(home || '.outbox', 0));
    -- Commands wait as long as this waits for the lock: rather try again later.
    perform set_config('lock_timeout', '2s', true);
    for ahead in 0..days_ahead loop
        day := (now() at time zone 'UTC')::date + ahead;
        name := 'outbox_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(format('%I.%I', home, name)) is not null;
        begin
            execute format('create table %1$I.%2$I partition of %1$I.outbox for values from (%3$L) to (%4$L)',
                home, name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
            made := made + 1;
        exception when check_violation then
            -- The default partition has rows of that day already. To move them would be to publish them twice.
            null;
        end;
    end loop;
    return made;
end $$;

-- Takes partitions out of the outbox whose rows are all older than `keep`, and drops those taken out before which each of
-- these slots has confirmed. Without slots nothing is dropped: nobody says that the rows were published.
create function retire_outbox_partitions(keep interval, slots text[], out retired integer, out dropped integer)
language plpgsql security definer set search_path from current as $$
declare
    home text := current_schema();
    old  record;
    -- The end of the last day whose rows are all old enough.
    until_day date := ((now() - keep) at time zone 'UTC')::date;
begin
    retired := 0;
    dropped := 0;
    if keep is null or keep < interval '1 second' then
        raise exception 'keep has to be a second at least';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(home || '.outbox', 0));
    perform set_config('lock_timeout', '2s', true);
    for old in
        select part.relname::text as name
        from pg_inherits join pg_class part on part.oid = inhrelid
        where inhparent = format('%I.outbox', home)::regclass and part.relname ~ '^outbox_[0-9]{8}$'
            and to_date(substr(part.relname, 8), 'YYYYMMDD') < until_day
        order by part.relname
    loop
        execute format('alter table %1$I.outbox detach partition %1$I.%2$I', home, old.name);
        execute format('insert into %I.outbox_retired (partition, lsn) values ($1, pg_current_wal_insert_lsn())', home)
            using old.name;
        retired := retired + 1;
    end loop;
    execute format(
        'insert into %1$I.outbox_retired (partition, rows_before, lsn)
         select ''outbox_default'', $1, pg_current_wal_insert_lsn()
         where exists (select from %1$I.outbox_default where createdat < $1) on conflict do nothing', home)
        using until_day::timestamp at time zone 'UTC';
    for old in execute format(
        'select partition as name, rows_before from %I.outbox_retired as retired
         where cardinality($1) > 0 and cardinality($1) = (
             select count(*) from pg_replication_slots
             where slot_name = any($1) and confirmed_flush_lsn >= retired.lsn)', home) using slots
    loop
        if old.rows_before is null then
            execute format('drop table if exists %I.%I', home, old.name);
        else
            execute format('delete from %I.%I where createdat < $1', home, old.name) using old.rows_before;
        end if;
        execute format('delete from %I.outbox_retired where partition = $1', home) using old.name;
        dropped := dropped + 1;
    end loop;
end $$;

do $$
begin
    execute format('grant insert on outbox to %I', current_schema());
    revoke execute on function ensure_outbox_partitions, retire_outbox_partitions from public;
    execute format('grant execute on function ensure_outbox_partitions, retire_outbox_partitions to %I', current_schema());
end $$;

select ensure_outbox_partitions(7);
