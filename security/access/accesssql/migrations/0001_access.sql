-- +goose Up
CREATE TABLE account (
    tenant     TEXT NOT NULL,
    name       TEXT{{.Binary}} NOT NULL,
    lower_name TEXT NOT NULL,
    display    TEXT NOT NULL,
    device     BIGINT NOT NULL,
    doc        TEXT NOT NULL,
    rev_at     BIGINT NOT NULL,
    rev_by     TEXT NOT NULL,
    rev_set    TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) {{.NoRowID}};
CREATE INDEX account_by_display ON account (tenant, display);

CREATE TABLE account_group (
    tenant  TEXT NOT NULL,
    account TEXT NOT NULL,
    grp     BIGINT NOT NULL,
    PRIMARY KEY (tenant, account, grp)
) {{.NoRowID}};

CREATE TABLE global_role (
    tenant  TEXT NOT NULL,
    id      BIGINT NOT NULL,
    name    TEXT NOT NULL,
    doc     TEXT NOT NULL,
    rev_at  BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
) {{.NoRowID}};

CREATE TABLE session (
    tenant   TEXT NOT NULL,
    id       TEXT NOT NULL,
    account  TEXT NOT NULL,
    xsrf     TEXT NOT NULL,
    one_time BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};

-- The key that signs tokens belongs to the platform, not to a tenant.
CREATE TABLE signing_key (
    id  BIGINT PRIMARY KEY,
    pem TEXT NOT NULL
);
