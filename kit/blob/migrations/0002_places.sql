-- +goose Up
ALTER TABLE blob ADD COLUMN place TEXT NOT NULL DEFAULT ''; -- where the content lies; empty: in blob_chunk

-- Content that nobody can find any more, until it is removed.
CREATE TABLE blob_gone (
    upload TEXT NOT NULL PRIMARY KEY,
    place  TEXT NOT NULL,
    due    BIGINT NOT NULL -- when it may be removed
);
CREATE INDEX blob_gone_due ON blob_gone (due);
