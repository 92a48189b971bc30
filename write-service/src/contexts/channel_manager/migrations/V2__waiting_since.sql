-- Since when a notice waits to be told. Of one that is settled it says nothing.
alter table notice add column waiting_since timestamptz not null default clock_timestamp();
