-- +goose Up
CREATE INDEX managed_object_by_set ON managed_object (tenant, rev_set);
