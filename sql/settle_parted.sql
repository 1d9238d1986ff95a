-- A call that holds plain payments and others: the plain ones take the short path beside the others, to the same books.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('parted', 'EUR') AS company \gset
SELECT erp_webhook.add_source('parted-shop', 'generic', 'parted') AS source \gset
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-1', 'EUR') RETURNING account_id \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT :company, 'P-' || n, :account_id, 'EUR', 100, '2025-12-01' FROM generate_series(1, 6) n;

CREATE FUNCTION pg_temp.come(VARIADIC facts text[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, correlation)
  SELECT s.company_id, s.source_id, f, w[1], 'applied', timestamptz '2025-10-09 09:00+00', now(), w[2], w[3], w[4]::numeric, 'EUR', string_to_array(w[5], '+')
  FROM unnest(facts) f, string_to_array(f, ' ') w, erp_webhook.source_name s WHERE s.name = 'parted-shop'
$$;
CREATE VIEW pg_temp.invoices AS SELECT number, paid, credited, due, state FROM erp_webhook.invoice
  WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'parted');
-- A payment that took the short path leaves no reference behind.
CREATE VIEW pg_temp.long_way AS SELECT DISTINCT object_ref FROM erp_webhook.reference
  WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'parted');

-- Only a1 and a2 are nobody else's business: a3 is refunded, a4 names two, nobody knows the invoice of a5, and a6 and a7
-- together are more than is due.
SELECT pg_temp.come('payment.succeeded a1 a1 100 P-1', 'payment.succeeded a2 a2 40 P-2', 'payment.succeeded a3 a3 100 P-3',
  'refund.succeeded r3 a3 30', 'payment.succeeded a4 a4 50 P-4+P-5', 'payment.succeeded a5 a5 10 P-9',
  'payment.succeeded a6 a6 70 P-6', 'payment.succeeded a7 a7 70 P-6');
SELECT * FROM pg_temp.invoices ORDER BY number;
SELECT * FROM pg_temp.long_way ORDER BY 1;
SELECT kind, payment_ref, amount FROM erp_webhook.exceptions WHERE company_id = :company ORDER BY 1, 2;

-- The rest of P-2 comes with what sends the others the long way: a payment of P-2 that was known already.
SELECT pg_temp.come('payment.failed a8 a8 60 P-2');
SELECT pg_temp.come('payment.succeeded a8 a8 60 P-2', 'payment.succeeded a9 a9 25 P-5');
SELECT * FROM pg_temp.invoices WHERE number IN ('P-2', 'P-5') ORDER BY number;
SELECT * FROM pg_temp.long_way WHERE object_ref > 'a7' ORDER BY 1;
SELECT * FROM erp_webhook.audit('parted');

-- Two of one call for one invoice that has room for both: they take the long way together, and beside them nobody else does.
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT :company, 'P-' || n, :account_id, 'EUR', 100, '2025-12-01' FROM generate_series(10, 11) n;
SELECT pg_temp.come('payment.succeeded b1 b1 60 P-10', 'payment.succeeded b2 b2 40 P-10', 'payment.succeeded b3 b3 100 P-11');
SELECT * FROM pg_temp.invoices WHERE number IN ('P-10', 'P-11') ORDER BY number;
SELECT * FROM pg_temp.long_way WHERE object_ref LIKE 'b%' ORDER BY 1;
SELECT amount, object_ref FROM erp_webhook.allocation WHERE company_id = :company AND object_ref LIKE 'b%' ORDER BY object_ref;
SELECT * FROM erp_webhook.audit('parted');
