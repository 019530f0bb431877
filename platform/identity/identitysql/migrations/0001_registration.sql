-- +goose Up
-- The one table whose key does not start with the tenant: the account with which devices ask belongs to none, so their ids are
-- unique on the platform.
CREATE TABLE device_registration (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant      TEXT NOT NULL,
    status      TEXT NOT NULL,
    owner       TEXT NOT NULL,
    created     BIGINT NOT NULL,
    changed     BIGINT NOT NULL,
    device_group BIGINT NOT NULL,
    type        TEXT NOT NULL,
    custom      TEXT NOT NULL,
    token       {{.Bytes}},
    failures    BIGINT NOT NULL,
    rev_by      TEXT NOT NULL,
    rev_set     TEXT NOT NULL
) {{.NoRowID}};
CREATE INDEX device_registration_of ON device_registration (tenant, created, id);
