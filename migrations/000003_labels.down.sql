DROP INDEX predictions_source_model_version_id_idx;
DROP INDEX predictions_source_model_id_idx;
DROP INDEX predictions_source_version_id_idx;
DROP INDEX predictions_source_class_name_id_idx;
DROP INDEX predictions_source_id_unsure_idx;
DROP INDEX predictions_id_idx;
CREATE INDEX predictions_id_idx ON predictions (id);
-- The indexes that are partial by these columns go with them.
ALTER TABLE predictions DROP COLUMN labelled, DROP COLUMN correct;
CREATE INDEX predictions_model_version_id_idx ON predictions (model, version, id);
DROP TABLE labels;
