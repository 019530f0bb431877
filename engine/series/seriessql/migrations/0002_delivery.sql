-- The latest commits of each client, in a ring of slots: what they brought, so that a repeated delivery is recognized.
CREATE TABLE series_delivery (
    tenant text    COLLATE "C" NOT NULL,
    client bigint  NOT NULL,
    slot   integer NOT NULL,
    round  bigint  NOT NULL,
    what   bytea   NOT NULL,
    PRIMARY KEY (tenant, client, slot)
);
