-- `amends`: the layer whose files this one's stand on, when only the difference was written; null for
-- one that is whole. `origin`: names the step that wrote a whole layer, so that the step's next layer can amend it.
ALTER TABLE layers ADD COLUMN amends TEXT;
ALTER TABLE layers ADD COLUMN origin BLOB;
CREATE INDEX layers_by_origin ON layers (origin, created) WHERE origin IS NOT NULL;
CREATE INDEX layers_by_amended ON layers (amends) WHERE amends IS NOT NULL;
