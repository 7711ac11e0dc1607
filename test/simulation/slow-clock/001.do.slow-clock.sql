-- Time passes a hundred times slower in the later sessions of this database: now() is the one made here.
CREATE SCHEMA slow;
DO $$
DECLARE of_time record;
BEGIN
  EXECUTE format('CREATE FUNCTION slow.now() RETURNS timestamptz STABLE LANGUAGE sql AS %L',
    format('SELECT %1$L::timestamptz + (pg_catalog.now() - %1$L::timestamptz) / 100', pg_catalog.now()));
  EXECUTE format('ALTER DATABASE %I SET search_path = slow, pg_catalog, public', current_database());
  FOR of_time IN SELECT * FROM information_schema.columns WHERE column_default IN ('now()', 'pg_catalog.now()') LOOP
    EXECUTE format('ALTER TABLE %I.%I ALTER %I SET DEFAULT slow.now()',
      of_time.table_schema, of_time.table_name, of_time.column_name);
  END LOOP;
END $$;
