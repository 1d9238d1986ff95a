-- why(): from the invoice down to the received bytes and their signature.
SET client_min_messages = warning;
SET datestyle = ISO;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET erp_webhook.clock = '2025-10-09T09:05:00Z';
SELECT add_company('why', 'EUR') AS company \gset
SELECT add_source('why', 'generic', 'why') > 0, add_secret('why', 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3') > 0 FROM (SELECT 1) one;
INSERT INTO account (company_id, account_no, name, currency) VALUES (:company, 'W-1', 'One', 'EUR');
INSERT INTO invoice (company_id, number, account_id, currency, total, issued_on, due_on)
SELECT :company, 'WHY-1', account_id, 'EUR', 100, '2025-10-01', '2025-11-01' FROM account WHERE company_id = :company;
CREATE FUNCTION pg_temp.send(id text, body text) RETURNS text LANGUAGE sql AS $$
  SELECT (ingest('why', sign('why', convert_to(body, 'UTF8'), clock(), jsonb_build_object('webhook-id', id)), convert_to(body, 'UTF8'))).outcome $$;
SELECT pg_temp.send('w1', '{"type": "payment.succeeded", "timestamp": "2025-10-09T09:00:00Z", "data": {"id": "p1", "payment_id": "p1", "amount": "60.00", "currency": "EUR", "invoice_number": "WHY-1"}}');
SELECT pg_temp.send('w2', '{"type": "refund.succeeded", "timestamp": "2025-10-09T09:01:00Z", "data": {"id": "r1", "payment_id": "p1", "amount": "10.00", "currency": "EUR"}}');
SELECT pg_temp.send('w3', '{"type": "payment.succeeded", "timestamp": "2025-10-09T09:02:00Z", "data": {"id": "p2", "payment_id": "p2", "amount": "20.00", "currency": "EUR", "invoice_number": "WHY-1"}}');
SELECT pg_temp.send('w4', '{"type": "payment.failed", "timestamp": "2025-10-09T09:03:00Z", "data": {"id": "p2", "payment_id": "p2", "amount": "20.00", "currency": "EUR", "invoice_number": "WHY-1"}}');

-- Ids and moments of posting differ from run to run.
SELECT repeat('  ', depth - 1) || what AS what, CASE WHEN what IN ('delivery', 'signature') THEN '…' ELSE ref END AS ref, amount, currency,
       regexp_replace(regexp_replace(detail, 'event \d+', 'event …'), '(why'', )\d+', '\1…') AS detail
FROM why('why', 'WHY-1');
SELECT count(*) FROM why('why', 'WHY-NONE');
SELECT count(*) FROM why('no such company', 'WHY-1');
