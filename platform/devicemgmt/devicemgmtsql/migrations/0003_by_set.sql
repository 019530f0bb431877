-- +goose Up
CREATE INDEX operation_by_set ON operation (tenant, rev_set);
