-- +goose Up
CREATE TABLE application (
    tenant  TEXT NOT NULL, -- the owner
    id      BIGINT NOT NULL,
    name    TEXT{{.Binary}} NOT NULL,
    app_key TEXT{{.Binary}} NOT NULL,
    place   TEXT{{.Binary}} NOT NULL, -- apps/ or service/ and the context path; empty: none
    doc     TEXT NOT NULL,
    rev_at  BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE UNIQUE INDEX application_by_name ON application (tenant, name);
CREATE UNIQUE INDEX application_by_key ON application (tenant, app_key);
CREATE UNIQUE INDEX application_by_place ON application (tenant, place) WHERE place <> '';

-- Which tenants have applications of others, and which microservices of their own they use.
CREATE TABLE application_subscription (
    tenant TEXT NOT NULL,
    app    BIGINT NOT NULL,
    owner  TEXT NOT NULL,
    secret TEXT NOT NULL, -- sealed
    PRIMARY KEY (tenant, app)
) {{.NoRowID}};
CREATE INDEX application_subscription_by_app ON application_subscription (owner, app, tenant);
