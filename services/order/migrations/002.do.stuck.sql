-- Counted every few seconds, and nearly always empty.
CREATE INDEX orders_stuck ON orders (order_id) WHERE state = 'NEEDS_ATTENTION';
