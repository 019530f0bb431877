-- +goose Up
-- Facts that must reach others although the process may die after the transaction that made them: written with it, removed when passed on.
CREATE TABLE note (
    tenant  TEXT NOT NULL,
    id      BIGINT NOT NULL,
    node    TEXT NOT NULL,
    created BIGINT NOT NULL,
    subject TEXT NOT NULL,
    data    {{.Bytes}} NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
