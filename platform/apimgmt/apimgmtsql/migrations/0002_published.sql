-- +goose Up
CREATE TABLE published (
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    version BIGINT NOT NULL,
    doc     TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version)
) {{.NoRowID}};
