-- +goose Up
-- How complete the data of each source is. Counts only grow; gaps is a list of [from, to, filled].
CREATE TABLE ledger (
    tenant    TEXT NOT NULL,
    source    BIGINT NOT NULL,
    since     BIGINT NOT NULL,
    received  BIGINT NOT NULL,
    stored    BIGINT NOT NULL,
    refused   BIGINT NOT NULL,
    duplicate BIGINT NOT NULL,
    expired   BIGINT NOT NULL,
    late      BIGINT NOT NULL,
    skewed    BIGINT NOT NULL,
    gap_count BIGINT NOT NULL,
    arrived   BIGINT NOT NULL,
    newest    BIGINT NOT NULL,
    step      BIGINT NOT NULL,
    lag       BIGINT NOT NULL,
    gaps      TEXT NOT NULL,
    PRIMARY KEY (tenant, source)
) {{.NoRowID}};

-- Why readings were refused.
CREATE TABLE ledger_reason (
    tenant TEXT NOT NULL,
    source BIGINT NOT NULL,
    reason TEXT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, reason)
) {{.NoRowID}};
