-- Events that wait for Kafka. A row is written by the statement that changes the state it tells of.
CREATE TABLE outbox (
  id            bigserial PRIMARY KEY,
  event_id      uuid NOT NULL UNIQUE,
  topic         text NOT NULL,
  key           text NOT NULL,
  type          text NOT NULL,
  source        text NOT NULL,
  sequence      bigint NOT NULL,
  time_ms       bigint NOT NULL,
  traceparent   text NOT NULL,
  data          bytea NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  published_at  timestamptz,
  parked_reason text
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE published_at IS NULL AND parked_reason IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

-- One relay at a time. The epoch grows with every new holder, so that a holder that was away cannot mark rows.
CREATE TABLE relay_lease (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  holder  text NOT NULL,
  epoch   bigint NOT NULL,
  ends_at timestamptz NOT NULL
);
INSERT INTO relay_lease (holder, epoch, ends_at) VALUES ('', 0, now());

-- Events that a consumer has handled: an event is the same when its id is, or its place in its order's sequence.
CREATE TABLE inbox (
  id         bigserial,
  consumer   text NOT NULL,
  event_id   uuid NOT NULL,
  topic      text NOT NULL,
  key        text NOT NULL,
  sequence   bigint NOT NULL,
  handled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id),
  UNIQUE (consumer, topic, key, sequence)
);
CREATE INDEX inbox_handled ON inbox (handled_at);
