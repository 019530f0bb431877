-- +goose Up
CREATE TABLE managed_object (
    tenant    TEXT NOT NULL,
    id        BIGINT NOT NULL,
    type      TEXT{{.Binary}} NOT NULL,
    name      TEXT{{.Binary}} NOT NULL,
    owner     TEXT NOT NULL,
    is_device BIGINT NOT NULL,
    is_global BIGINT NOT NULL,
    created   BIGINT NOT NULL,
    updated   BIGINT NOT NULL,
    doc       TEXT NOT NULL,
    rev_by    TEXT NOT NULL,
    rev_set   TEXT NOT NULL,
    {{if .Postgres}}q {{.Doc}},{{end}} -- SQLite evaluates conditions on doc itself
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX managed_object_by_type ON managed_object (tenant, type, id);
CREATE INDEX managed_object_by_name ON managed_object (tenant, name, id);
CREATE INDEX managed_object_by_owner ON managed_object (tenant, owner, id);
CREATE INDEX managed_object_devices ON managed_object (tenant, is_device, name, id);

-- Which top-level fragments an object has: makes has(fragment) a look-up.
CREATE TABLE object_fragment (
    tenant   TEXT NOT NULL,
    fragment TEXT NOT NULL,
    id       BIGINT NOT NULL,
    PRIMARY KEY (tenant, fragment, id)
) {{.NoRowID}};

CREATE TABLE object_state (
    tenant       TEXT NOT NULL,
    id           BIGINT NOT NULL,
    last_message BIGINT NOT NULL DEFAULT 0,
    availability TEXT NOT NULL DEFAULT '',
    connection   TEXT NOT NULL DEFAULT '',
    has_alarms   BIGINT NOT NULL DEFAULT 0,
    critical     BIGINT NOT NULL DEFAULT 0,
    major        BIGINT NOT NULL DEFAULT 0,
    minor        BIGINT NOT NULL DEFAULT 0,
    warning      BIGINT NOT NULL DEFAULT 0,
    -- minutes; 0 if not monitored, negative for maintenance
    required     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX object_state_monitored ON object_state (tenant, required);

CREATE TABLE object_child (
    tenant TEXT NOT NULL,
    parent BIGINT NOT NULL,
    kind   BIGINT NOT NULL,
    child  BIGINT NOT NULL,
    pos    BIGINT NOT NULL,
    PRIMARY KEY (tenant, parent, kind, child)
) {{.NoRowID}};
CREATE INDEX object_child_up ON object_child (tenant, child, kind);

CREATE TABLE external_id (
    tenant TEXT NOT NULL,
    type   TEXT NOT NULL,
    value  TEXT NOT NULL,
    id     BIGINT NOT NULL,
    PRIMARY KEY (tenant, type, value)
) {{.NoRowID}};
CREATE INDEX external_id_of ON external_id (tenant, id);
