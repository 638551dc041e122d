-- Which versions of a model answer and shadow, on every replica; it wins over the model's configuration.
CREATE TABLE model_routes (
    changed_at  timestamptz NOT NULL,
    serving     integer     NOT NULL,
    shadow      integer,
    model       text        NOT NULL,
    CONSTRAINT model_routes_pkey PRIMARY KEY (model),
    CONSTRAINT model_routes_shadow_is_another CHECK (shadow <> serving)
);

-- A model that runs on another server has no file to be told by.
ALTER TABLE model_versions ALTER COLUMN sha256 DROP NOT NULL;
