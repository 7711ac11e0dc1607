CREATE TABLE payments (
  order_id     uuid PRIMARY KEY,
  charge_key   text NOT NULL,
  amount_minor bigint NOT NULL,
  currency     text NOT NULL,
  token_hash   bytea NOT NULL,
  status       text NOT NULL CHECK (status IN ('CHARGING', 'CAPTURED', 'DECLINED', 'REFUNDED', 'VOIDED')),
  updated_at   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

-- The simulated card provider's own books: what it says is what happened to the card.
CREATE SCHEMA provider;
CREATE TABLE provider.ledger (
  id              bigserial PRIMARY KEY,
  at              timestamptz NOT NULL DEFAULT now(),
  kind            text NOT NULL CHECK (kind IN ('CAPTURE', 'DECLINE', 'VOID', 'REFUND')),
  idempotency_key text NOT NULL UNIQUE,
  order_id        uuid NOT NULL,
  amount_minor    bigint NOT NULL,
  currency        text NOT NULL
);
CREATE FUNCTION provider.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provider.ledger
  FOR EACH STATEMENT EXECUTE FUNCTION provider.refuse();
