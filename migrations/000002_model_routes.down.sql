UPDATE model_versions SET sha256 = '' WHERE sha256 IS NULL;
ALTER TABLE model_versions ALTER COLUMN sha256 SET NOT NULL;
DROP TABLE model_routes;
