-- +goose Up
CREATE TABLE tenant (
    id      TEXT NOT NULL PRIMARY KEY,
    doc     TEXT NOT NULL,
    rev_at  BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL
) {{.NoRowID}};

CREATE TABLE tenant_option (
    tenant   TEXT NOT NULL,
    category TEXT{{.Binary}} NOT NULL,
    key      TEXT{{.Binary}} NOT NULL,
    value    TEXT NOT NULL,
    rev_at   BIGINT NOT NULL,
    rev_by   TEXT NOT NULL,
    rev_set  TEXT NOT NULL,
    PRIMARY KEY (tenant, category, key)
) {{.NoRowID}};
