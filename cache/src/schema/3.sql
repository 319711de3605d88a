-- Containers, whose files are in containers/<id>. `manifest` and `config` are its image's; `stack` is
-- the layers under it (ids, lowest first, separated by spaces), which stay as long as the row
-- does. `created` is in nanoseconds.
CREATE TABLE containers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    manifest BLOB NOT NULL,
    config BLOB NOT NULL,
    stack TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX containers_by_config ON containers (config);

-- Volumes, whose files are in volumes/<name>/_data. `description` is JSON: labels and options.
-- `anonymous` ones go with their container when that is asked for.
CREATE TABLE volumes (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    anonymous INTEGER NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;

-- Which container uses which volume.
CREATE TABLE volume_users (
    container TEXT NOT NULL,
    volume TEXT NOT NULL,
    PRIMARY KEY (container, volume)
) WITHOUT ROWID;
CREATE INDEX volume_users_by_volume ON volume_users (volume);
