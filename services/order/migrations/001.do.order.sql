CREATE TABLE orders (
  order_id         uuid PRIMARY KEY,
  customer_id      text NOT NULL,
  email            text NOT NULL,
  ship_to          jsonb NOT NULL,
  lines            jsonb NOT NULL,
  total_minor      bigint NOT NULL,
  currency         text NOT NULL,
  -- Needed until the card is charged; NULL once the order is decided.
  payment_token    text,
  state            text NOT NULL CHECK (state IN
    ('RESERVING', 'CHARGING', 'COMMITTING', 'CONFIRMED', 'REFUNDING', 'RELEASING', 'CANCELLED', 'NEEDS_ATTENTION')),
  cancel_reason    text,
  cancel_requested boolean NOT NULL DEFAULT false,
  shipment         text CHECK (shipment IN ('PREPARING', 'SHIPPED')),
  tracking_code    text NOT NULL DEFAULT '',
  version          bigint NOT NULL DEFAULT 1,
  attempts         integer NOT NULL DEFAULT 0,
  traceparent      text NOT NULL,
  -- Until then the order belongs to the process that drives it, or rests before a retry.
  lease_until      timestamptz NOT NULL,
  placed_at        timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 60);
CREATE INDEX orders_open ON orders (lease_until)
  WHERE state IN ('RESERVING', 'CHARGING', 'COMMITTING', 'REFUNDING', 'RELEASING');
CREATE INDEX orders_customer ON orders (customer_id, order_id DESC) WHERE customer_id <> 'guest';

CREATE TABLE idempotency (
  customer_id  text NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  order_id     uuid NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- Every transition that an order made, for the order's story and for the judge.
CREATE TABLE saga_log (
  order_id   uuid NOT NULL,
  version    bigint NOT NULL,
  from_state text NOT NULL,
  input      text NOT NULL,
  to_state   text NOT NULL,
  at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (order_id, version)
);
