-- Messages without a usable key count towards the limit of what may be set aside: they are counted while anything is.
CREATE INDEX inbox_dead_letter_alone ON inbox_dead_letter (handler, generation, topic, partition) WHERE aggregate IS NULL;
