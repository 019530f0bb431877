CREATE TABLE series_shape (
    tenant    text   COLLATE "C" NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    digest    bytea  NOT NULL,
    type      text   NOT NULL,
    fragments text[] NOT NULL,
    series    text[] NOT NULL,
    units     text[] NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, digest)
);

CREATE TABLE series_catalog (
    tenant text   COLLATE "C" NOT NULL,
    source bigint NOT NULL,
    shape  bigint NOT NULL,
    PRIMARY KEY (tenant, source, shape)
);

CREATE TABLE series_measurement (
    tenant  text       COLLATE "C" NOT NULL,
    source  bigint     NOT NULL,
    ms      bigint     NOT NULL,
    seq     integer    NOT NULL,
    shape   bigint     NOT NULL,
    mants   bigint[]   NOT NULL,
    scales  smallint[] NOT NULL,
    extra   text,
    members text[],
    PRIMARY KEY (tenant, source, ms, seq)
);

-- Queries over all sources read in order of time.
CREATE INDEX series_measurement_time ON series_measurement (tenant, ms, source, seq);
