-- +goose Up
CREATE TABLE api_key (
    tenant    TEXT NOT NULL,
    id        TEXT NOT NULL,
    owner     TEXT NOT NULL,
    doc       TEXT NOT NULL,
    last_used BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX api_key_by_owner ON api_key (tenant, owner, id);

CREATE TABLE api_usage (
    tenant    TEXT NOT NULL,
    day       TEXT NOT NULL,
    kind      TEXT NOT NULL,
    consumer  TEXT NOT NULL,
    owner     TEXT NOT NULL,
    requests  BIGINT NOT NULL,
    errors    BIGINT NOT NULL,
    bytes_in  BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    last      BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, kind, consumer)
) {{.NoRowID}};
