-- +goose Up
-- Short texts in documents, at a path of one or two names: what filters compare with. A path that begins with the byte 0x1f and a name marks an
-- object of which this fragment holds texts that are not here.
CREATE TABLE object_value (
    tenant TEXT NOT NULL,
    path   TEXT{{.Binary}} NOT NULL,
    value  TEXT{{.Binary}} NOT NULL,
    id     BIGINT NOT NULL,
    PRIMARY KEY (tenant, path, value, id)
) {{.NoRowID}};

-- How far objects that are older than this table have been entered into it.
CREATE TABLE object_value_filled (
    one       BIGINT PRIMARY KEY,
    of_tenant TEXT NOT NULL,
    id        BIGINT NOT NULL
);
INSERT INTO object_value_filled (one, of_tenant, id) VALUES (1, '', 0);

CREATE INDEX object_state_available ON object_state (tenant, availability, id);

-- A list must not read the documents of what it skips.
CREATE INDEX managed_object_ids ON managed_object (tenant, id{{if .Postgres}}) INCLUDE (type, name, owner{{else}}, type, name, owner{{end}});
