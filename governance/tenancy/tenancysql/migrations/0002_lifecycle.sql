-- +goose Up
ALTER TABLE tenant ADD COLUMN domain TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX tenant_by_domain ON tenant (domain) WHERE domain <> '';

-- What was erased when a tenant was deleted. The id of a tenant is never given again.
CREATE TABLE tenant_receipt (
    id  TEXT NOT NULL PRIMARY KEY,
    at  BIGINT NOT NULL,
    doc TEXT NOT NULL
) {{.NoRowID}};
