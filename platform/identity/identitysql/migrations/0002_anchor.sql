-- +goose Up
-- Fingerprints are unique on the platform: which tenant a device belongs to is known by the anchor alone.
CREATE TABLE trust_anchor (
    tenant      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    name        TEXT NOT NULL,
    enabled     BIGINT NOT NULL,
    registers   BIGINT NOT NULL,
    der         {{.Bytes}} NOT NULL,
    created     BIGINT NOT NULL,
    changed     BIGINT NOT NULL,
    proven      BIGINT NOT NULL,
    code        TEXT NOT NULL,
    code_until  BIGINT NOT NULL,
    signature   TEXT NOT NULL,
    rev_by      TEXT NOT NULL,
    rev_set     TEXT NOT NULL,
    PRIMARY KEY (tenant, fingerprint)
) {{.NoRowID}};
CREATE UNIQUE INDEX trust_anchor_fingerprint ON trust_anchor (fingerprint);
CREATE INDEX trust_anchor_of ON trust_anchor (tenant, created, fingerprint);
