-- +goose Up
-- Names of nodes, and the nouns around caches of nodes: parameter groups, subnet groups, users, user groups.

ALTER TABLE nodes ADD COLUMN account TEXT COLLATE "binary" NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN region TEXT COLLATE "binary" NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN service TEXT COLLATE "binary" NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN name TEXT COLLATE "binary" NOT NULL DEFAULT '';
CREATE INDEX nodes_name ON nodes (account, region, service, name, id);

CREATE TABLE nouns (
    account  TEXT COLLATE "binary" NOT NULL,
    region   TEXT COLLATE "binary" NOT NULL,
    service  TEXT COLLATE "binary" NOT NULL,
    type     TEXT COLLATE "binary" NOT NULL,
    name     TEXT COLLATE "binary" NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, region, service, type, name)
);
