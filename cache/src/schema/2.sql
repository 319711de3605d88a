-- Files and configuration that a build left under a name, before anybody asked for the id that they
-- have as an image; a name is here or in image_names. `config` is JSON without the layers' digests,
-- `snapshot` JSON.
CREATE TABLE drafts (
    name TEXT PRIMARY KEY,
    config BLOB NOT NULL,
    snapshot TEXT NOT NULL
) WITHOUT ROWID;
