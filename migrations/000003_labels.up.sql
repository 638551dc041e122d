-- The truth about an input: a class or a value.
CREATE TABLE labels (
    input_id     uuid             NOT NULL,
    created_at   timestamptz      NOT NULL,
    value        double precision,
    class_index  integer,
    class_name   text,
    CONSTRAINT labels_pkey PRIMARY KEY (input_id),
    CONSTRAINT labels_input_id_fkey FOREIGN KEY (input_id) REFERENCES inputs (id) ON DELETE CASCADE,
    CONSTRAINT labels_is_a_class_or_a_value CHECK ((class_index IS NULL) = (class_name IS NULL)
        AND (class_name IS NULL) <> (value IS NULL))
);

-- Inputs of one label, newest first.
CREATE INDEX labels_class_name_input_id_idx ON labels (class_name, input_id);

-- Copies of what the label says of a prediction, written with it in one transaction, so that lists can be filtered by
-- them: whether the input has one, and whether the likeliest class is it.
ALTER TABLE predictions
    ADD COLUMN labelled boolean NOT NULL DEFAULT false,
    ADD COLUMN correct  boolean,
    ADD CONSTRAINT predictions_correct_needs_a_label CHECK (labelled OR correct IS NULL);

-- Every index of a list begins with the source: predictions of another source, of which there may be a million newer
-- ones, are not in the way. A list of several sources is merged from as many.
DROP INDEX predictions_model_version_id_idx;
-- That of the id alone must not be in order, or it would be taken for a list of which it thinks that the wanted rows are
-- everywhere, when they are a million rows away.
DROP INDEX predictions_id_idx;
CREATE INDEX predictions_id_idx ON predictions USING hash (id);
CREATE INDEX predictions_source_model_version_id_idx ON predictions (source, model, version, id);
CREATE INDEX predictions_source_model_id_idx ON predictions (source, model, id);
CREATE INDEX predictions_source_version_id_idx ON predictions (source, version, id);
CREATE INDEX predictions_source_class_name_id_idx ON predictions (source, class_name, id);

-- By confidence, what is labelled apart from what is not: the least confident are the first that people label. Those that
-- have none follow, by id.
CREATE INDEX predictions_source_confidence_id_idx
    ON predictions (source, confidence, id) WHERE NOT labelled AND confidence IS NOT NULL;
CREATE INDEX predictions_source_model_version_confidence_id_idx
    ON predictions (source, model, version, confidence, id) WHERE NOT labelled AND confidence IS NOT NULL;
CREATE INDEX predictions_source_confidence_id_labelled_idx
    ON predictions (source, confidence, id) WHERE labelled AND confidence IS NOT NULL;
CREATE INDEX predictions_source_model_version_confidence_id_labelled_idx
    ON predictions (source, model, version, confidence, id) WHERE labelled AND confidence IS NOT NULL;
CREATE INDEX predictions_source_id_unsure_idx ON predictions (source, id) WHERE confidence IS NULL;
CREATE INDEX predictions_source_id_labelled_idx ON predictions (source, id) WHERE labelled;
CREATE INDEX predictions_source_correct_id_idx ON predictions (source, correct, id) WHERE correct IS NOT NULL;
