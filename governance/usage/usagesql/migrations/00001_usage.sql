-- +goose Up
-- Days are numbered from 1970-01-01, UTC.
CREATE TABLE usage_counter (
    tenant TEXT NOT NULL,
    day    BIGINT NOT NULL,
    name   TEXT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, name)
) {{.NoRowID}};

CREATE TABLE usage_gauge (
    tenant         TEXT NOT NULL,
    day            BIGINT NOT NULL,
    devices        BIGINT NOT NULL,
    parents        BIGINT NOT NULL,
    endpoints      BIGINT NOT NULL,
    storage        BIGINT NOT NULL,
    peak_devices   BIGINT NOT NULL,
    peak_parents   BIGINT NOT NULL,
    peak_endpoints BIGINT NOT NULL,
    peak_storage   BIGINT NOT NULL,
    PRIMARY KEY (tenant, day)
) {{.NoRowID}};

-- What single devices sent.
CREATE TABLE usage_device (
    tenant TEXT NOT NULL,
    day    BIGINT NOT NULL,
    device BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, device)
) {{.NoRowID}};
CREATE INDEX usage_device_age ON usage_device (day);

-- Reports over all tenants; their content is a blob of the tenant management.
CREATE TABLE usage_file (
    id        TEXT NOT NULL PRIMARY KEY,
    kind      TEXT NOT NULL,
    generated BIGINT NOT NULL,
    day_from  BIGINT NOT NULL,
    day_to    BIGINT NOT NULL,
    instance  TEXT NOT NULL
) {{.NoRowID}};
