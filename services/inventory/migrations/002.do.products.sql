INSERT INTO products (sku, name, description, price_minor, currency) VALUES
  ('CABLE-1',    'Braided cable',     'Two metres of USB-C that outlive the laptop.', 1490, 'EUR'),
  ('CAP-1',      'Captain''s cap',    'For whoever holds the pager this week.', 2190, 'EUR'),
  ('GONE-1',     'First edition',     'The first print of our runbook; sold out, and it shows.', 4900, 'EUR'),
  ('LAMP-1',     'Desk lamp',         'Warm light for late deploys.', 5990, 'EUR'),
  ('MUG-1',      'Enamel mug',        'Keeps coffee hot for one rolling restart.', 1299, 'EUR'),
  ('NOTE-1',     'Dotted notebook',   'A5, 120 pages, lies flat during incidents.', 990, 'EUR'),
  ('PEN-1',      'Steel pen',         'Writes the postmortem without blame.', 1850, 'EUR'),
  ('PLANT-1',    'Desk fern',         'Self-healing, when watered.', 2450, 'EUR'),
  ('POSTER-1',   'Mesh poster',       'Every hop of an order, drawn by hand, 50 by 70 cm.', 1900, 'EUR'),
  ('SCARCE-1',   'Brass paperweight', 'A numbered series of twenty-five.', 7900, 'EUR'),
  ('SOCKS-1',    'Idempotent socks',  'Put them on twice: still one pair.', 1190, 'EUR'),
  ('TOTE-1',     'Canvas tote',       'Carries exactly one order.', 1590, 'EUR');

INSERT INTO stock (sku, initial, available)
SELECT sku, pieces, pieces
FROM (SELECT sku, CASE sku WHEN 'GONE-1' THEN 0 WHEN 'SCARCE-1' THEN 25 ELSE 1000000 END AS pieces FROM products) AS seed;
