CREATE TABLE shipments (
  order_id      uuid PRIMARY KEY,
  status        text NOT NULL CHECK (status IN ('PREPARING', 'DISPATCHED')),
  email         text NOT NULL,
  ship_to       jsonb NOT NULL,
  traceparent   text NOT NULL,
  tracking_code text NOT NULL DEFAULT '',
  due_at        timestamptz NOT NULL,
  updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX shipments_due ON shipments (due_at) WHERE status = 'PREPARING';
