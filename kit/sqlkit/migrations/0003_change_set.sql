-- +goose Up
-- Who made a superseded version, and together with what. Empty for versions from before.
ALTER TABLE history ADD COLUMN from_by TEXT NOT NULL DEFAULT '';
ALTER TABLE history ADD COLUMN from_set TEXT NOT NULL DEFAULT '';
CREATE INDEX history_by_set ON history (tenant, change_set, kind);
CREATE INDEX history_by_maker ON history (tenant, from_set, kind);

-- Change sets that somebody named or gave a reason for, and those that undo others. The rest are known by the versions that they made.
CREATE TABLE change_set (
    tenant TEXT NOT NULL,
    id     TEXT NOT NULL,
    at     BIGINT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    undoes TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
