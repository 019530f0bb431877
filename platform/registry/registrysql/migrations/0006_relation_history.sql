-- +goose Up
-- Since when a relation is, who made it, and together with what. Zero and empty for relations from before, which count as having been there since both
-- objects were.
ALTER TABLE object_child ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE object_child ADD COLUMN rev_by TEXT NOT NULL DEFAULT '';
ALTER TABLE object_child ADD COLUMN rev_set TEXT NOT NULL DEFAULT '';
CREATE INDEX object_child_by_set ON object_child (tenant, rev_set);
CREATE INDEX object_child_by_time ON object_child (tenant, since);

UPDATE history SET object = CAST(id AS BIGINT) WHERE kind = 'managedobject';
