-- +goose Up
ALTER TABLE trust_anchor ADD COLUMN authority BIGINT NOT NULL DEFAULT 0;

-- The one certificate authority of a tenant: its key, sealed under the key of secrets. Its certificate is a trust anchor.
CREATE TABLE certificate_authority (
    tenant      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    sealed      TEXT NOT NULL,
    created     BIGINT NOT NULL,
    rev_by      TEXT NOT NULL,
    rev_set     TEXT NOT NULL,
    PRIMARY KEY (tenant)
) {{.NoRowID}};

-- Serial numbers of certificates that count no more, in hexadecimal.
CREATE TABLE revoked_certificate (
    tenant  TEXT NOT NULL,
    serial  TEXT NOT NULL,
    revoked BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL,
    PRIMARY KEY (tenant, serial)
) {{.NoRowID}};

-- The hash of the one-time password with which a device gets its certificate.
ALTER TABLE device_registration ADD COLUMN enrollment {{.Bytes}};
