-- +goose Up
-- To which managed object a superseded version belongs, and to which second one. Zero: none, or a version from before.
ALTER TABLE history ADD COLUMN object BIGINT NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN peer BIGINT NOT NULL DEFAULT 0;
CREATE INDEX history_by_object ON history (tenant, object, kind, valid_to) WHERE object <> 0;
CREATE INDEX history_by_peer ON history (tenant, peer, kind, valid_to) WHERE peer <> 0;
