-- +goose Up
CREATE TABLE blob (
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    upload  TEXT NOT NULL, -- whose chunks are the content
    size    BIGINT NOT NULL,
    sha256  TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
) {{.NoRowID}};
CREATE UNIQUE INDEX blob_upload ON blob (upload);

CREATE TABLE blob_chunk (
    upload  TEXT NOT NULL,
    n       BIGINT NOT NULL,
    created BIGINT NOT NULL,
    data    {{.Bytes}} NOT NULL,
    PRIMARY KEY (upload, n)
);
CREATE INDEX blob_chunk_age ON blob_chunk (created, upload);
