-- Predictions of one version that have no confidence, which come last by confidence: of a million of another version none
-- is in the way.
CREATE INDEX predictions_source_model_version_id_unsure_idx
    ON predictions (source, model, version, id) WHERE confidence IS NULL;
