-- +goose Up
-- Aliases are compared with names and aliases in any case.
ALTER TABLE account ADD COLUMN lower_display TEXT NOT NULL DEFAULT '';
UPDATE account SET lower_display = lower(display) WHERE display <> '';
CREATE INDEX account_by_lower_display ON account (tenant, lower_display);
CREATE INDEX account_by_lower_name ON account (tenant, lower_name);
