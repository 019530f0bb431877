-- +goose Up
CREATE TABLE retention_rule (
    tenant     TEXT NOT NULL,
    id         BIGINT NOT NULL,
    data_type  TEXT NOT NULL,
    fragment   TEXT NOT NULL,
    type       TEXT NOT NULL,
    source     TEXT NOT NULL,
    age        BIGINT NOT NULL,
    editable   BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};

-- When the rules of a tenant last began to run, until when a node has claimed that run, and how far it got.
CREATE TABLE retention_run (
    tenant   TEXT NOT NULL PRIMARY KEY,
    ran      BIGINT NOT NULL,
    busy     BIGINT NOT NULL,
    progress TEXT NOT NULL
) {{.NoRowID}};
