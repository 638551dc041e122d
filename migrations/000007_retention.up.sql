-- Inputs that have their image still, the oldest first: those whose image is to be removed are found by their age.
-- With this migration come also River's tables, which its own migrator makes (persistence/migrate.go).
CREATE INDEX inputs_id_image_idx ON inputs (id) WHERE stored_in <> 'removed';
