-- The next offset of each partition, moved in the transaction that holds the effects.
CREATE TABLE inbox_offset (
    handler     text        NOT NULL,
    generation  integer     NOT NULL,
    topic       text        NOT NULL, -- its name on the cluster, with the installation's prefix
    partition   integer     NOT NULL,
    next_offset bigint      NOT NULL CHECK (next_offset >= 0),
    cluster_id  text,                 -- null when the broker does not tell
    topic_id    text,                 -- null when the broker does not tell
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (handler, generation, topic, partition)
) WITH (fillfactor = 50);

-- Messages that will never be applied, as they came, with the reason.
CREATE TABLE inbox_dead_letter (
    handler        text        NOT NULL,
    topic          text        NOT NULL, -- its name on the cluster, with the installation's prefix
    partition      integer     NOT NULL,
    message_offset bigint      NOT NULL,
    key            bytea,
    headers        jsonb       NOT NULL, -- [[name, value], …]; a value is text, null, or {"hex": …} when it is not text
    document       bytea,
    error          text        NOT NULL,
    set_aside_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (handler, topic, partition, message_offset)
);
