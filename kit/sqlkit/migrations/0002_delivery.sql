-- +goose Up
-- The latest deliveries of each client that had an effect, by their packet identifiers in a ring of slots, so that a repeated one is
-- recognized. uses counts how often the connection used the identifier.
CREATE TABLE delivery (
    tenant TEXT NOT NULL,
    client BIGINT NOT NULL,
    slot   BIGINT NOT NULL,
    part   BIGINT NOT NULL,
    conn   BIGINT NOT NULL,
    packet BIGINT NOT NULL,
    hash   BIGINT NOT NULL,
    uses   BIGINT NOT NULL,
    PRIMARY KEY (tenant, client, slot, part)
) {{.NoRowID}};
