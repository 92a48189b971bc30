-- What each command has answered, by the key that its client gave it: the same command is not done twice.
create table command_answer (
    caller      text not null,
    -- Method and path.
    target      text not null,
    key         text not null,
    -- SHA-256 of the body: the same key with another body is another command.
    fingerprint bytea not null,
    status      integer not null,
    headers     json not null,
    body        bytea not null,
    createdat   timestamptz not null default now(),
    primary key (caller, target, key)
);

-- For whoever deletes what is old.
create index command_answer_createdat on command_answer (createdat);

do $$ begin execute format('grant select, insert, delete on command_answer to %I', current_schema()); end $$;
