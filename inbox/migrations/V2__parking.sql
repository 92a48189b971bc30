-- Aggregates with events that could not be applied. Who parks more of one's events, and who tries them again, locks its
-- row first: so neither overtakes the other. An aggregate is a key, within the one partition that Kafka gives it.
CREATE TABLE inbox_parked (
    handler    text        NOT NULL,
    generation integer     NOT NULL,
    topic      text        NOT NULL, -- its name on the cluster, with the installation's prefix
    partition  integer     NOT NULL,
    aggregate  text        NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (handler, generation, topic, partition, aggregate)
);

ALTER TABLE inbox_dead_letter
    ADD COLUMN generation   integer NOT NULL DEFAULT 1,
    ADD COLUMN aggregate    text,        -- whose inbox_parked row it comes under; null without a usable key: set aside alone
    ADD COLUMN sequence     bigint,      -- the aggregate's version, where the message tells it
    ADD COLUMN published_at timestamptz,
    ALTER COLUMN error DROP NOT NULL,    -- null: nothing is wrong with it but an earlier one of its aggregate
    DROP CONSTRAINT inbox_dead_letter_pkey,
    ADD PRIMARY KEY (handler, generation, topic, partition, message_offset);

CREATE INDEX inbox_dead_letter_of_aggregate
    ON inbox_dead_letter (handler, generation, topic, partition, aggregate, message_offset);
