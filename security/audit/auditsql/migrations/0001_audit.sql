-- +goose Up
CREATE TABLE audit_record (
    tenant      TEXT NOT NULL,
    id          BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    type        TEXT NOT NULL,
    account     TEXT NOT NULL,
    application TEXT NOT NULL,
    source      BIGINT NOT NULL,
    doc         TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX audit_record_by_time ON audit_record (tenant, at, id);
CREATE INDEX audit_record_by_source ON audit_record (tenant, source, at);
