-- +goose Up
CREATE TABLE event (
    tenant  TEXT NOT NULL,
    id      BIGINT NOT NULL,
    source  BIGINT NOT NULL,
    type    TEXT{{.Binary}} NOT NULL,
    text    TEXT NOT NULL,
    time    BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    doc     TEXT NOT NULL,
    rev_by  TEXT NOT NULL,
    rev_set TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX event_by_source ON event (tenant, source, time, id);
CREATE INDEX event_by_time ON event (tenant, time, id);
CREATE INDEX event_by_type ON event (tenant, type, time, id);
CREATE INDEX event_by_source_type ON event (tenant, source, type, time, id);

-- Which top-level fragments an event has, in the order of time. value is set if the fragment is a string.
CREATE TABLE event_fragment (
    tenant   TEXT NOT NULL,
    id       BIGINT NOT NULL,
    fragment TEXT{{.Binary}} NOT NULL,
    time     BIGINT NOT NULL,
    value    TEXT,
    PRIMARY KEY (tenant, id, fragment)
) {{.NoRowID}};
CREATE INDEX event_fragment_by_name ON event_fragment (tenant, fragment, time, id);

CREATE TABLE alarm (
    tenant   TEXT NOT NULL,
    id       BIGINT NOT NULL,
    source   BIGINT NOT NULL,
    type     TEXT{{.Binary}} NOT NULL,
    text     TEXT{{.Binary}} NOT NULL,
    severity TEXT NOT NULL,
    status   TEXT NOT NULL,
    time     BIGINT NOT NULL,
    first    BIGINT, -- null unless it was raised more than once
    count    BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    updated  BIGINT NOT NULL,
    doc      TEXT NOT NULL,
    rev_by   TEXT NOT NULL,
    rev_set  TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE INDEX alarm_by_source ON alarm (tenant, source, time, id);
CREATE INDEX alarm_by_time ON alarm (tenant, time, id);
CREATE INDEX alarm_by_type ON alarm (tenant, type, time, id);
-- Open alarms are few among many: what is raised again, the counters of a source, and the list that people look at.
CREATE INDEX alarm_open ON alarm (tenant, source, type, status, severity) WHERE status <> 'CLEARED';
CREATE INDEX alarm_open_by_time ON alarm (tenant, time, id) WHERE status <> 'CLEARED';
