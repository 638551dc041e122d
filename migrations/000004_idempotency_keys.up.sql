-- What was asked with a client's key, for a day: the same again gets the same prediction. There is no foreign key, so
-- that the table can be distributed by its own.
CREATE TABLE idempotency_keys (
    created_at     timestamptz NOT NULL,
    input_id       uuid        NOT NULL,
    prediction_id  uuid        NOT NULL,
    key            text        NOT NULL,
    fingerprint    bytea       NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key)
);

-- Those that have expired are found by their age.
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
