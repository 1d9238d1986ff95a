-- The seam: a stand-in ERP with tables and names of its own; willing, queueing, lying, raising, and paid by hand meanwhile.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('acme', 'EUR') AS company \gset
SELECT erp_webhook.add_source('acme-shop', 'generic', 'acme') AS source \gset
CREATE SCHEMA acme;
CREATE TABLE acme.debtor_doc (id int PRIMARY KEY, doc_no text, cust text, gross numeric, open numeric);
CREATE TABLE acme.on_account (cust text, amount numeric);
CREATE TABLE acme.mood (mood text);
INSERT INTO acme.mood VALUES ('willing');
INSERT INTO acme.debtor_doc VALUES (1, 'A-1', 'K1', 100, 100), (2, 'A-2', 'K1', 50, 50), (4, 'A-4', 'K1', 70, 70);
CREATE VIEW acme.open_items AS SELECT id::text AS erp_key, doc_no AS number, cust AS account_no, 'EUR'::text AS currency, gross AS total, open AS due FROM acme.debtor_doc;
CREATE FUNCTION acme.settle(voucher erp_webhook.voucher, lines erp_webhook.erp_line[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  m text := (SELECT mood FROM acme.mood);
BEGIN
  IF m = 'raising' THEN RAISE EXCEPTION 'period 10 is locked in ACME'; END IF;
  IF m = 'queueing' THEN RETURN 'queued:job-1'; END IF;
  IF m <> 'lying' THEN
    UPDATE acme.debtor_doc d SET open = open - l.amount FROM unnest(lines) l WHERE d.id::text = l.erp_key;
  END IF;
  INSERT INTO acme.on_account SELECT l.account_no, l.amount FROM unnest(lines) l WHERE l.erp_key IS NULL;
  RETURN 'ACME-' || voucher.object_ref;
END $$;
CREATE FUNCTION acme.lock(text) RETURNS void LANGUAGE sql AS $$ SELECT FROM acme.debtor_doc WHERE id::text = $1 FOR UPDATE $$;
SELECT erp_webhook.bind('acme', 'acme.open_items', 'acme.settle(erp_webhook.voucher,erp_webhook.erp_line[])', 'acme.lock(text)');
CREATE FUNCTION pg_temp.fact(kind text, ref text, pay text, amount numeric, number text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  SELECT s.company_id, s.source_id, kind || ref, kind, 'applied', '2025-10-09', now(), ref, pay, CASE WHEN number IS NOT NULL THEN ARRAY[number] END, amount, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'acme-shop'
$$;
CREATE VIEW pg_temp.documents AS SELECT d.doc_no, d.gross, d.open, i.paid, i.credited, i.elsewhere, i.due AS due_here FROM acme.debtor_doc d
  LEFT JOIN erp_webhook.invoice i ON i.erp_key = d.id::text ORDER BY 1;

-- A payment that is more than the document: the rest is on account. Its refund becomes a credit note there too.
SELECT pg_temp.fact('payment.succeeded', 'p1', 'p1', 120, 'A-1');
SELECT * FROM pg_temp.documents;
SELECT pg_temp.fact('refund.succeeded', 'r1', 'p1', 40);
SELECT * FROM pg_temp.documents;
SELECT cust, sum(amount) FROM acme.on_account GROUP BY cust;
-- A document that appears there later finds its money.
SELECT pg_temp.fact('payment.succeeded', 'p3', 'p3', 30, 'A-3');
INSERT INTO acme.debtor_doc VALUES (3, 'A-3', 'K1', 100, 100);
SELECT erp_webhook.settle_invoice('acme', 'A-3') AS vouchers;
SELECT * FROM pg_temp.documents WHERE doc_no = 'A-3';
-- Paid by hand in the ERP meanwhile: our money has no room there and stays on account.
UPDATE acme.debtor_doc SET open = 0 WHERE id = 2;
SELECT pg_temp.fact('payment.succeeded', 'p2', 'p2', 50, 'A-2');
SELECT * FROM pg_temp.documents WHERE doc_no = 'A-2';
-- Queued: it counts against what is due until the ERP confirms.
UPDATE acme.mood SET mood = 'queueing';
SELECT pg_temp.fact('payment.succeeded', 'p4', 'p4', 60, 'A-4');
SELECT * FROM pg_temp.documents WHERE doc_no = 'A-4';
UPDATE acme.debtor_doc SET open = 10 WHERE id = 4;
SELECT erp_webhook.confirm('acme', max(voucher_id), 'ACME-77') FROM erp_webhook.voucher WHERE company_id = :company AND object_ref = 'p4';
SELECT * FROM pg_temp.documents WHERE doc_no = 'A-4';
SELECT ref, state FROM erp_webhook.handover WHERE company_id = :company AND object_ref = 'p4';
-- An ERP that lies, or raises, undoes the event: nothing of it is booked.
UPDATE acme.mood SET mood = 'lying';
SELECT pg_temp.fact('payment.succeeded', 'p5', 'p5', 5, 'A-4');
UPDATE acme.mood SET mood = 'raising';
SELECT pg_temp.fact('payment.succeeded', 'p5', 'p5', 5, 'A-4');
SELECT count(*) FROM erp_webhook.voucher WHERE company_id = :company AND object_ref = 'p5';
SELECT count(*) AS breaches FROM erp_webhook.audit('acme');
SELECT erp_webhook.bind('acme', 'acme.open_items', 'acme.lock(text)');
DROP SCHEMA acme CASCADE;
DELETE FROM erp_webhook.binding WHERE company_id = :company;
