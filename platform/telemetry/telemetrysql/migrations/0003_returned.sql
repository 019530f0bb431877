-- +goose Up
-- What an undo of its deletion brought back, and is as it was then: that counts as a change, while what comes in by itself does not.
ALTER TABLE event ADD COLUMN returned BIGINT NOT NULL DEFAULT 0;
CREATE INDEX event_returned ON event (tenant, updated) WHERE returned = 1;
CREATE INDEX event_returned_by_set ON event (tenant, rev_set) WHERE returned = 1;
ALTER TABLE alarm ADD COLUMN returned BIGINT NOT NULL DEFAULT 0;
CREATE INDEX alarm_returned ON alarm (tenant, updated) WHERE returned = 1;
CREATE INDEX alarm_returned_by_set ON alarm (tenant, rev_set) WHERE returned = 1;
