-- +goose Up
CREATE TABLE operation (
    tenant          TEXT NOT NULL,
    id              BIGINT NOT NULL,
    device          BIGINT NOT NULL,
    agent           BIGINT NOT NULL,
    status          TEXT NOT NULL,
    failure         TEXT NOT NULL,
    description     TEXT NOT NULL,
    bulk            BIGINT NOT NULL,
    delivery_status TEXT NOT NULL,
    delivery_time   BIGINT NOT NULL,
    created         BIGINT NOT NULL,
    updated         BIGINT NOT NULL,
    doc             TEXT NOT NULL,
    rev_by          TEXT NOT NULL,
    rev_set         TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX operation_by_time ON operation (tenant, created, id);
CREATE INDEX operation_by_status ON operation (tenant, status, created, id);
CREATE INDEX operation_by_agent ON operation (tenant, agent, status, created, id);
CREATE INDEX operation_by_device ON operation (tenant, device, created, id);
CREATE INDEX operation_by_bulk ON operation (tenant, bulk, created, id);

-- Which top-level fragments an operation has.
CREATE TABLE operation_fragment (
    tenant   TEXT NOT NULL,
    id       BIGINT NOT NULL,
    fragment TEXT{{.Binary}} NOT NULL,
    PRIMARY KEY (tenant, id, fragment)
) {{.NoRowID}};
