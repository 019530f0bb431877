-- +goose Up
CREATE TABLE topic_rules (
    tenant  TEXT NOT NULL PRIMARY KEY,
    doc     TEXT NOT NULL,
    rev_at  BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL
) {{.NoRowID}};
