-- +goose Up
-- The table audit_record keeps only what was written before there was a chain, until it is moved over at the next start.
CREATE TABLE audit_entry (
    tenant      TEXT{{.Binary}} NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    type        TEXT NOT NULL,
    account     TEXT NOT NULL,
    application TEXT NOT NULL,
    source      BIGINT NOT NULL,
    doc         {{.Bytes}} NOT NULL,
    digest      {{.Bytes}} NOT NULL,
    hash        {{.Bytes}} NOT NULL,
    stub        {{.Bytes}},
    PRIMARY KEY (tenant, seq)
) {{.NoRowID}};
CREATE INDEX audit_entry_by_time ON audit_entry (tenant, at, seq);
CREATE INDEX audit_entry_by_source ON audit_entry (tenant, source, at);
CREATE TABLE audit_head (
    tenant      TEXT{{.Binary}} NOT NULL PRIMARY KEY,
    seq         BIGINT NOT NULL,
    hash        {{.Bytes}} NOT NULL,
    at          BIGINT NOT NULL,
    signer      TEXT NOT NULL,
    signature   {{.Bytes}} NOT NULL
) {{.NoRowID}};
CREATE TABLE audit_witness (
    file        {{.Bytes}} NOT NULL PRIMARY KEY,
    lines       BIGINT NOT NULL,
    last        {{.Bytes}} NOT NULL,
    signer      TEXT NOT NULL,
    signature   {{.Bytes}} NOT NULL
) {{.NoRowID}};
