DROP INDEX inputs_sha256_idx;
