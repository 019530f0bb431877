-- +goose Up
-- An option that is locked can only be changed by the tenant management.
ALTER TABLE tenant_option ADD COLUMN locked BIGINT NOT NULL DEFAULT 0;

-- Where a tenant differs from the default of a feature.
CREATE TABLE tenant_feature (
    tenant  TEXT NOT NULL,
    feature TEXT NOT NULL,
    active  BIGINT NOT NULL,
    PRIMARY KEY (tenant, feature)
) {{.NoRowID}};
