-- Whether any input refers to an object is asked by its digest, when objects that nobody refers to are deleted.
CREATE INDEX inputs_sha256_idx ON inputs (sha256) WHERE stored_in = 'objects';
