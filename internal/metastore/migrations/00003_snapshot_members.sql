-- +goose Up
-- What a snapshot of a cache of nodes was taken of: the kind of the cache, and the cache cluster or member that was named.

ALTER TABLE snapshots ADD COLUMN kind TEXT COLLATE "binary" NOT NULL DEFAULT '';
ALTER TABLE snapshots ADD COLUMN member TEXT COLLATE "binary" NOT NULL DEFAULT '';
CREATE INDEX snapshots_member ON snapshots (account, region, space, member, name) WHERE member <> '';
