-- The cost of settling does not grow with an account's invoices: counted in rows of invoice that are read, not in time.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('flat', 'EUR') AS company \gset
SELECT erp_webhook.add_source('flat-shop', 'generic', 'flat') AS source \gset
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-1', 'EUR') RETURNING account_id \gset
CREATE FUNCTION pg_temp.issue(first int, last int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT a.company_id, 'F-' || n, a.account_id, 'EUR', 10, date '2025-01-01' + n % 300 FROM erp_webhook.account a, generate_series(first, last) n
  WHERE a.company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'flat')
$$;
CREATE FUNCTION pg_temp.rows_read() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT pg_stat_get_xact_tuples_returned('erp_webhook.invoice'::regclass) + pg_stat_get_xact_tuples_fetched('erp_webhook.invoice'::regclass)
         + (SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) FROM pg_index i WHERE i.indrelid = 'erp_webhook.invoice'::regclass)
$$;
-- A payment that names 500 invoices, of an account that has so many: how many rows were read?
CREATE FUNCTION pg_temp.cost(ref text, first int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := pg_temp.rows_read();
BEGIN
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  SELECT s.company_id, s.source_id, ref, 'payment.succeeded', 'applied', '2025-10-09', now(), ref, ref, ARRAY(SELECT 'F-' || n FROM generate_series(first, first + 499) n), 5000, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'flat-shop';
  RETURN pg_temp.rows_read() - before;
END $$;

SELECT pg_temp.issue(1, 2000);
ANALYZE erp_webhook.invoice;
SELECT pg_temp.cost('p1', 1) AS small \gset
SELECT pg_temp.issue(2001, 20000);
ANALYZE erp_webhook.invoice;
SELECT pg_temp.cost('p2', 1001) AS large \gset
SELECT :large <= :small * 1.1 AS flat, :small < 500 * 60 AS bounded;
-- An invoice's own payment reads that invoice, also where what is left of others goes to the oldest.
SELECT erp_webhook.add_company('flat-oldest', 'EUR') AS company2 \gset
SELECT erp_webhook.add_source('flat-oldest', 'generic', 'flat-oldest') AS source2 \gset
SELECT erp_webhook.set_policy('flat-oldest', 'allocate', 'due_date');
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company2, 'C-1', 'EUR') RETURNING account_id AS account2 \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) SELECT :company2, 'F-' || n, :account2, 'EUR', 10, '2025-11-01' FROM generate_series(1, 2000) n;
BEGIN;
SELECT pg_temp.rows_read() AS before \gset
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  VALUES (:company2, :source2, 'one', 'payment.succeeded', 'applied', '2025-10-09', now(), 'one', 'one', '{F-1999}', 10, 'EUR');
SELECT pg_temp.rows_read() - :before < 20 AS one;
COMMIT;
-- A payment that names nothing reads the invoices it pays, of however many are open.
SELECT erp_webhook.link_account('flat-oldest', 'cus_1', 'C-1');
CREATE FUNCTION pg_temp.unnamed(ref text, day date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := pg_temp.rows_read();
BEGIN
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, account_ref, amount, currency)
  SELECT s.company_id, s.source_id, ref, 'payment.succeeded', 'applied', day, now(), ref, ref, 'cus_1', 25, 'EUR' FROM erp_webhook.source_name s WHERE s.name = 'flat-oldest';
  RETURN pg_temp.rows_read() - before;
END $$;
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT :company2, 'G-' || n, :account2, 'EUR', 10, date '2024-11-01' + n FROM generate_series(1, 50) n;
SELECT pg_temp.unnamed('u' || n, date '2025-11-01' + n) < 200 AS unnamed FROM generate_series(1, 3) n;
-- One older than others pushes them all along, and reads them.
SELECT pg_temp.unnamed('u0', '2025-11-01') > 2000 AS older;
SELECT a.object_ref, string_agg(i.number || ' ' || trim_scale(a.amount), ', ' ORDER BY i.due_on) AS pays
FROM erp_webhook.allocation a JOIN erp_webhook.invoice i USING (company_id, invoice_id) WHERE a.company_id = :company2 AND a.object_ref LIKE 'u%' GROUP BY 1 ORDER BY 1;
-- An invoice that comes after others with room reads none of those behind them.
BEGIN;
SELECT pg_temp.rows_read() AS before \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) VALUES (:company2, 'H-1', :account2, 'EUR', 10, '2025-10-31');
SELECT pg_temp.rows_read() - :before < 60 AS late;
COMMIT;
SELECT count(*) AS breaches FROM erp_webhook.audit('flat-oldest');
SELECT c.name, count(*) FILTER (WHERE i.state = 'paid') AS paid FROM erp_webhook.invoice i JOIN erp_webhook.company c USING (company_id)
WHERE i.company_id IN (:company, :company2) GROUP BY 1 ORDER BY 1;
