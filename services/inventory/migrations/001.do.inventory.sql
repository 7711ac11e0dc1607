CREATE TABLE products (
  sku         text PRIMARY KEY,
  name        text NOT NULL,
  description text NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor > 0),
  currency    text NOT NULL
);

-- Every piece is in exactly one of the three columns.
CREATE TABLE stock (
  sku       text PRIMARY KEY REFERENCES products,
  initial   integer NOT NULL,
  available integer NOT NULL CONSTRAINT stock_available CHECK (available >= 0),
  reserved  integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  sold      integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
  CHECK (initial = available + reserved + sold)
) WITH (fillfactor = 50);

-- A RELEASED row for an order that never reserved refuses a Reserve that comes late. The lines are in the row itself, so that
-- whoever waited for the row sees them with it.
CREATE TABLE reservations (
  order_id   uuid PRIMARY KEY,
  state      text NOT NULL CHECK (state IN ('RESERVED', 'COMMITTED', 'RELEASED')),
  skus       text[] NOT NULL DEFAULT '{}',
  quantities integer[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
