-- The object store that has this database's images has the same id, as an object. The one row is there from the start, so
-- that whoever marks a store and is killed marks it with the same id again; marked says that it has been done.
CREATE TABLE image_stores (
    id      uuid     NOT NULL,
    marked  boolean  NOT NULL,
    CONSTRAINT image_stores_pkey PRIMARY KEY (id)
);

INSERT INTO image_stores (id, marked) VALUES (gen_random_uuid(), false);
