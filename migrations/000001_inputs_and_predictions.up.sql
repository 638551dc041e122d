-- Ids are UUIDv7 made by the server, so they sort by time; created_at is the id's own millisecond.
-- Primary keys and foreign keys of children contain input_id, so that the tables can be distributed by it.

CREATE TABLE inputs (
    id            uuid        NOT NULL,
    created_at    timestamptz NOT NULL,
    width         integer     NOT NULL,
    height        integer     NOT NULL,
    byte_size     integer     NOT NULL,
    sha256        bytea       NOT NULL,
    content_type  text        NOT NULL,
    stored_in     text        NOT NULL DEFAULT 'database',
    filename      text,
    image         bytea,
    CONSTRAINT inputs_pkey PRIMARY KEY (id),
    CONSTRAINT inputs_sha256_is_a_digest CHECK (octet_length(sha256) = 32),
    CONSTRAINT inputs_stored_in_is_known CHECK (stored_in IN ('database', 'objects', 'removed')),
    CONSTRAINT inputs_image_is_where_it_is_said CHECK ((image IS NOT NULL) = (stored_in = 'database'))
);

-- Images are compressed already: EXTERNAL saves the attempt, and lets a part of one be read alone.
ALTER TABLE inputs ALTER COLUMN image SET STORAGE EXTERNAL;

-- Lists of one content type, newest first. The id alone is served by the primary key.
CREATE INDEX inputs_content_type_id_idx ON inputs (content_type, id);

CREATE TABLE predictions (
    id                      uuid             NOT NULL,
    input_id                uuid             NOT NULL,
    created_at              timestamptz      NOT NULL,
    confidence              double precision,
    decode_microseconds     bigint           NOT NULL,
    queue_microseconds      bigint           NOT NULL,
    inference_microseconds  bigint           NOT NULL,
    version                 integer          NOT NULL,
    class_index             integer,
    model                   text             NOT NULL,
    source                  text             NOT NULL,
    class_name              text,
    outputs                 jsonb            NOT NULL,
    CONSTRAINT predictions_pkey PRIMARY KEY (input_id, id),
    CONSTRAINT predictions_input_id_fkey FOREIGN KEY (input_id) REFERENCES inputs (id) ON DELETE CASCADE,
    CONSTRAINT predictions_source_is_known CHECK (source IN ('REQUEST', 'SHADOW', 'REPLAY')),
    CONSTRAINT predictions_class_is_whole CHECK ((class_index IS NULL) = (class_name IS NULL))
);

-- One prediction by its id, and the list of every source.
CREATE INDEX predictions_id_idx ON predictions (id);
-- The list of one source, and of one model's version; the input's own list is the primary key.
CREATE INDEX predictions_source_id_idx ON predictions (source, id);
CREATE INDEX predictions_model_version_id_idx ON predictions (model, version, id);

-- Every version that ever served, so that an old prediction keeps the model that made it.
CREATE TABLE model_versions (
    created_at    timestamptz NOT NULL,
    version       integer     NOT NULL,
    name          text        NOT NULL,
    sha256        text        NOT NULL,
    fingerprint   text        NOT NULL,
    class_names   text[]      NOT NULL,
    inputs        jsonb       NOT NULL,
    outputs       jsonb       NOT NULL,
    output        jsonb       NOT NULL,
    CONSTRAINT model_versions_pkey PRIMARY KEY (name, version)
);
