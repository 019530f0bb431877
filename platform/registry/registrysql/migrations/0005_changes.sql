-- +goose Up
-- The latest changes are found without reading all: those of versions that ended, and of those that are current.
CREATE INDEX history_by_time ON history (tenant, kind, valid_to);
CREATE INDEX managed_object_by_time ON managed_object (tenant, updated);
