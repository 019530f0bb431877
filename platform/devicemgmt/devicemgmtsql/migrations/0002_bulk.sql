-- +goose Up
-- The counters are kept in the transactions that change operations, so that lists can be filtered by what they say.
CREATE TABLE bulk_operation (
    tenant        TEXT NOT NULL,
    id            BIGINT NOT NULL,
    status        TEXT NOT NULL,
    general       TEXT NOT NULL,
    owner         TEXT NOT NULL,
    device_group  BIGINT NOT NULL,
    failed_parent BIGINT NOT NULL,
    start         BIGINT NOT NULL,
    ramp          BIGINT NOT NULL,
    note          TEXT NOT NULL,
    description   TEXT NOT NULL,
    reason        TEXT NOT NULL,
    due           BIGINT NOT NULL,
    waiting       BIGINT NOT NULL,
    pending       BIGINT NOT NULL,
    executing     BIGINT NOT NULL,
    successful    BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    created       BIGINT NOT NULL,
    updated       BIGINT NOT NULL,
    doc           TEXT NOT NULL,
    rev_by        TEXT NOT NULL,
    rev_set       TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
-- Whoever looks for work does so for all tenants.
CREATE INDEX bulk_operation_due ON bulk_operation (due, tenant, id);

-- The devices that have no operation yet.
CREATE TABLE bulk_member (
    tenant TEXT NOT NULL,
    bulk   BIGINT NOT NULL,
    device BIGINT NOT NULL,
    PRIMARY KEY (tenant, bulk, device)
) {{.NoRowID}};
