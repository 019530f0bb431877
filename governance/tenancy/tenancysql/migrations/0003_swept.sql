-- +goose Up
-- Whether what was written while the tenant was deleted has been looked for, so that no start does it again for ever.
ALTER TABLE tenant_receipt ADD COLUMN swept BIGINT NOT NULL DEFAULT 0;
