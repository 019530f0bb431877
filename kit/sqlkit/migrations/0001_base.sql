-- +goose Up
CREATE TABLE sequence (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    next   BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- Superseded versions of documents. seq only orders versions that ended in the same millisecond.
CREATE TABLE history (
    seq        {{.Serial}},
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to   BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change_set TEXT NOT NULL,
    deleted    BIGINT NOT NULL,
    doc        TEXT NOT NULL
);
CREATE INDEX history_of ON history (tenant, kind, id, valid_to);
