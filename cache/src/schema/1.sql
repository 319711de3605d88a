-- Digests are blobs of 32 bytes; times are seconds since 1970; sizes are bytes on disk.

-- A change set under layers/v1/<id>. `boot` is the boot in which it was written and not yet
-- flushed; null once its files are known to be on disk. `size` is null until somebody asks.
CREATE TABLE layers (
    id TEXT PRIMARY KEY,
    change BLOB NOT NULL,
    diff_id BLOB,
    boot TEXT,
    size INTEGER,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX layers_by_diff_id ON layers (diff_id) WHERE diff_id IS NOT NULL;
CREATE INDEX layers_unflushed ON layers (boot) WHERE boot IS NOT NULL;

-- Layers and blobs (`sha256:…`) that a process reads or has just made; void once the lock of its owner file is free.
CREATE TABLE pins (
    owner TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (owner, object)
) WITHOUT ROWID;

-- A key and the whole stack (layer ids, lowest first, separated by spaces) that its step left;
-- `digests` is what each of the layers counts as.
CREATE TABLE records (
    key BLOB PRIMARY KEY,
    stack TEXT NOT NULL,
    digests BLOB NOT NULL,
    state BLOB NOT NULL,
    preimage BLOB NOT NULL,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    stage TEXT NOT NULL,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    origins TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL
);
CREATE INDEX records_by_stage ON records (project, stage, kind, created);
CREATE INDEX records_by_state ON records (state);

-- Which key answered a definition last, and the states of the step's inputs by then.
CREATE TABLE aliases (
    definition BLOB PRIMARY KEY,
    key BLOB NOT NULL,
    inputs BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX aliases_by_key ON aliases (key);

-- Why a record is gone.
CREATE TABLE tombstones (
    key BLOB PRIMARY KEY,
    reason TEXT NOT NULL,
    gone INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstones_by_time ON tombstones (gone);

-- A manifest and what it shows (a snapshot as JSON, null until it was unpacked); `size` is that of
-- all its uncompressed layers, as people are told it.
CREATE TABLE images (
    manifest BLOB PRIMARY KEY,
    config BLOB NOT NULL,
    snapshot TEXT,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_by_config ON images (config);

-- The blobs that a manifest names, itself and its config included.
CREATE TABLE image_blobs (
    manifest BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (manifest, digest)
) WITHOUT ROWID;
CREATE INDEX image_blobs_by_digest ON image_blobs (digest);

-- `name` is canonical: registry/repository:tag, or registry/repository@digest.
CREATE TABLE image_names (
    name TEXT PRIMARY KEY,
    manifest BLOB NOT NULL,
    named INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX image_names_by_manifest ON image_names (manifest);

-- The blob that a layer becomes in one compressed form.
CREATE TABLE forms (
    layer TEXT NOT NULL,
    form TEXT NOT NULL,
    blob BLOB NOT NULL,
    description BLOB NOT NULL,
    PRIMARY KEY (layer, form)
) WITHOUT ROWID;

-- A directory under mounts/v1/<id>; many of one identity when they are private.
CREATE TABLE mounts (
    id TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    size INTEGER,
    retired INTEGER NOT NULL
);
CREATE INDEX mounts_by_identity ON mounts (identity);

-- Small answers worth remembering, by what was asked.
CREATE TABLE memos (
    domain TEXT NOT NULL,
    question TEXT NOT NULL,
    answer BLOB NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (domain, question)
) WITHOUT ROWID;
