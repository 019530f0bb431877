-- +goose Up
-- Which object is above which, through all kinds of relations, and each above itself: how inventory roles are inherited.
CREATE TABLE object_above (
    tenant   TEXT NOT NULL,
    ancestor BIGINT NOT NULL,
    id       BIGINT NOT NULL,
    PRIMARY KEY (tenant, ancestor, id)
) {{.NoRowID}};
CREATE INDEX object_above_of ON object_above (tenant, id, ancestor);

INSERT INTO object_above (tenant, ancestor, id) SELECT tenant, id, id FROM managed_object;

WITH RECURSIVE up (tenant, ancestor, id) AS (
    SELECT tenant, parent, child FROM object_child
    UNION
    SELECT up.tenant, c.parent, up.id FROM up JOIN object_child c ON c.tenant = up.tenant AND c.child = up.ancestor
)
INSERT INTO object_above (tenant, ancestor, id) SELECT tenant, ancestor, id FROM up;

CREATE INDEX managed_object_global ON managed_object (tenant, id) WHERE is_global = 1;
