-- What is to be sent. The id is new for every row: only the inbox keeps a second event from making a second message.
CREATE TABLE messages (
  notification_id uuid PRIMARY KEY,
  order_id        uuid NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('ORDER_CONFIRMED', 'ORDER_SHIPPED', 'ORDER_CANCELLED')),
  email           text NOT NULL,
  detail          text NOT NULL,
  queued_at       timestamptz NOT NULL DEFAULT now(),
  claimed_until   timestamptz NOT NULL DEFAULT now(),
  sent_at         timestamptz
);
CREATE INDEX messages_waiting ON messages (queued_at) WHERE sent_at IS NULL;
CREATE INDEX messages_order ON messages (order_id);

-- The simulated receiver's own log: it drops a second delivery of the same notification, and nothing else.
CREATE SCHEMA mailbox;
CREATE TABLE mailbox.deliveries (
  id              bigserial PRIMARY KEY,
  notification_id uuid NOT NULL UNIQUE,
  order_id        uuid NOT NULL,
  kind            text NOT NULL,
  at              timestamptz NOT NULL DEFAULT now()
);
