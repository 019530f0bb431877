-- +goose Up
CREATE TABLE notification_subscription (
    tenant      TEXT NOT NULL,
    id          BIGINT NOT NULL,
    scope       TEXT NOT NULL,
    source      BIGINT NOT NULL,
    name        TEXT NOT NULL,
    volatile    BIGINT NOT NULL,
    apis        TEXT NOT NULL,
    type_filter TEXT NOT NULL,
    fragments   TEXT NOT NULL,
    created     BIGINT NOT NULL,
    rev_by      TEXT NOT NULL,
    rev_set     TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) {{.NoRowID}};
CREATE UNIQUE INDEX notification_subscription_of ON notification_subscription (tenant, scope, source, name);

-- Where a consumer is in the stream of its topic: all up to floor is done, and the numbers in done.
CREATE TABLE notification_consumer (
    tenant     TEXT NOT NULL,
    topic      TEXT NOT NULL,
    subscriber TEXT NOT NULL,
    stream     BIGINT NOT NULL,
    floor      BIGINT NOT NULL,
    done       TEXT NOT NULL,
    PRIMARY KEY (tenant, topic, subscriber)
) {{.NoRowID}};
