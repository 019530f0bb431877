-- +goose Up
ALTER TABLE account ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN email TEXT NOT NULL DEFAULT '';
{{if .Postgres}}
UPDATE account SET email = lower(coalesce(doc::json->>'email', ''));
{{else}}
UPDATE account SET email = lower(coalesce(json_extract(doc, '$.email'), ''));
{{end}}
CREATE INDEX account_by_owner ON account (tenant, owner);
CREATE INDEX account_by_email ON account (tenant, email);

-- Sessions from before have no chain by which people could see or end them: everybody logs in once more. One-time codes stay.
DELETE FROM session WHERE one_time = 0;
ALTER TABLE session ADD COLUMN chain TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN doc TEXT NOT NULL DEFAULT '{}';
CREATE INDEX session_by_account ON session (tenant, account);
CREATE INDEX session_by_chain ON session (tenant, chain);

-- Secrets are sealed with a key that is not in the database.
CREATE TABLE second_factor (
    tenant  TEXT NOT NULL,
    account TEXT NOT NULL,
    secret  TEXT NOT NULL,
    active  BIGINT NOT NULL,
    step    BIGINT NOT NULL,
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    PRIMARY KEY (tenant, account)
) {{.NoRowID}};

CREATE TABLE login_failure (
    tenant  TEXT NOT NULL,
    account TEXT NOT NULL,
    n       BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    PRIMARY KEY (tenant, account)
) {{.NoRowID}};

CREATE TABLE login_option (
    tenant  TEXT NOT NULL,
    id      TEXT{{.Binary}} NOT NULL,
    doc     TEXT NOT NULL,
    rev_at  BIGINT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
