-- dry_run() and replay(): what the books would be under today's rules, and nothing of it kept.
SET client_min_messages = warning;
SET datestyle = ISO;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET erp_webhook.clock = '2025-10-09T09:05:00Z';
SELECT add_company('dry', 'EUR') AS company \gset
SELECT add_source('dry', 'generic', 'dry') > 0, add_secret('dry', 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3') > 0 FROM (SELECT 1) one;
INSERT INTO account (company_id, account_no, name, currency) VALUES (:company, 'D-1', 'One', 'EUR');
INSERT INTO invoice (company_id, number, account_id, currency, total, issued_on, due_on)
SELECT :company, n, account_id, 'EUR', 100, '2025-10-01', '2025-11-01' FROM account, unnest('{DRY-1,DRY-2,DRY-3}'::text[]) n WHERE company_id = :company;
CREATE FUNCTION pg_temp.send(id text, body text) RETURNS text LANGUAGE sql AS $$
  SELECT (ingest('dry', sign('dry', convert_to(body, 'UTF8'), clock(), jsonb_build_object('webhook-id', id)), convert_to(body, 'UTF8'))).outcome $$;
SELECT pg_temp.send('d1', '{"type": "payment.succeeded", "timestamp": "2025-10-09T09:00:00Z", "data": {"id": "p1", "payment_id": "p1", "amount": "60.00", "currency": "EUR", "invoice_number": "DRY-1"}}');
SELECT pg_temp.send('d2', '{"type": "payment.succeeded", "timestamp": "2025-10-09T09:01:00Z", "data": {"id": "p2", "payment_id": "p2", "amount": "100.00", "currency": "EUR", "order": {"bill": "DRY-2"}}}');
SELECT pg_temp.send('d3', '{"type": "refund.succeeded", "timestamp": "2025-10-09T09:02:00Z", "data": {"id": "r1", "payment_id": "p1", "amount": "10.00", "currency": "EUR"}}');
SELECT void_invoice('dry', 'DRY-3');

-- Nothing was changed since: the books made anew are the books.
SELECT * FROM dry_run('dry', '2025-01-01', '2025-12-31');

-- Had this merchant's reference been known from the start: the second payment would have paid its invoice.
UPDATE source SET settings = '{"correlation": ["/data/order/bill"]}' WHERE name = 'dry';
SELECT * FROM dry_run('dry', '2025-01-01', '2025-12-31');
SELECT * FROM dry_run('dry', '2025-01-01', '2025-10-08');
SELECT what, ref, anew FROM event, replay('dry', event_id) WHERE company_id = :company AND external_id = 'd2' AND what = 'invoice';
SELECT count(*) FROM event, replay('dry', event_id) WHERE company_id = :company AND external_id = 'd1';
SELECT * FROM replay('dry', -1);

-- Nothing of it is kept.
SELECT count(*) FROM company WHERE name LIKE 'dry run%';
SELECT number, paid, credited, state FROM invoice WHERE company_id = :company ORDER BY 1;
SELECT law FROM audit('dry');
SELECT settle_again('dry');

-- A delivery whose events have no currency, and a second delivery of an id with other content: still no difference.
SELECT pg_temp.send('d4', '{"type": "customer.created", "timestamp": "2025-10-09T09:03:00Z", "data": {"id": "c1"}}');
SELECT pg_temp.send('d3', '{"type": "refund.succeeded", "timestamp": "2025-10-09T09:02:00Z", "data": {"id": "r1", "payment_id": "p1", "amount": "11.00", "currency": "EUR"}}');
SELECT * FROM dry_run('dry', '2025-01-01', '2025-12-31') WHERE what = 'event' AND ref IN ('dry d3', 'dry d4');
SELECT count(*) FROM event, replay('dry', event_id) WHERE company_id = :company AND external_id IN ('d3', 'd4');
