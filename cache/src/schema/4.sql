-- Networks, the three that are always there included; who is on one of them is in files under
-- networks/<id>. `subnet`, `gateway` and `pool` are texts, null where the driver has none;
-- `description` is JSON: labels and options. `created` is in nanoseconds.
CREATE TABLE networks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    driver TEXT NOT NULL,
    subnet TEXT,
    gateway TEXT,
    pool TEXT,
    given INTEGER NOT NULL,
    internal INTEGER NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;
