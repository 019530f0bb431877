-- +goose Up
CREATE TABLE inventory_role (
    tenant  TEXT NOT NULL,
    id      BIGINT NOT NULL,
    name    TEXT{{.Binary}} NOT NULL,
    doc     TEXT NOT NULL,
    rev_at  BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
) {{.NoRowID}};

-- Which inventory roles a user has on an object and below it.
CREATE TABLE inventory_assignment (
    tenant  TEXT NOT NULL,
    id      BIGINT NOT NULL,
    account TEXT{{.Binary}} NOT NULL,
    object  BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, account, object)
) {{.NoRowID}};
CREATE INDEX inventory_assignment_on ON inventory_assignment (tenant, object);

CREATE TABLE inventory_assignment_role (
    tenant     TEXT NOT NULL,
    assignment BIGINT NOT NULL,
    role       BIGINT NOT NULL,
    PRIMARY KEY (tenant, assignment, role)
) {{.NoRowID}};

-- Device permissions: what a user or a global role may do with one object. Either account is set, or grp.
CREATE TABLE device_permission (
    tenant  TEXT NOT NULL,
    object  BIGINT NOT NULL,
    account TEXT{{.Binary}} NOT NULL,
    grp     BIGINT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (tenant, object, account, grp)
) {{.NoRowID}};
CREATE INDEX device_permission_of ON device_permission (tenant, account, grp);
