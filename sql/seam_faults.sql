-- An ERP that only objects at COMMIT, one that refuses later what it queued, a transaction that is rolled back; and what
-- one company's events may learn of another's invoices: nothing.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('late nv', 'EUR') AS company, erp_webhook.add_source('late-shop', 'token', 'late nv') AS source, erp_webhook.add_secret('late-shop', 'late-token') AS secret \gset
CREATE SCHEMA late;
CREATE TABLE late.ticket (no text PRIMARY KEY, debtor text, face numeric, rest numeric);
INSERT INTO late.ticket SELECT 'T-' || n, 'K1', 10, 10 FROM generate_series(1, 6) n;
CREATE FUNCTION late.object_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.no = 'T-2' THEN RAISE EXCEPTION 'LATE: journal % is closed', NEW.no; END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON late.ticket DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late.object_at_commit();
CREATE VIEW late.open_items AS SELECT no AS erp_key, no AS number, debtor AS account_no, 'EUR'::text AS currency, face AS total, rest AS due FROM late.ticket;
CREATE FUNCTION late.settle(v erp_webhook.voucher, lines erp_webhook.erp_line[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(lines) l WHERE l.erp_key = 'T-4') THEN RETURN 'queued:' || v.object_ref; END IF;
  UPDATE late.ticket t SET rest = t.rest - l.amount FROM unnest(lines) l WHERE l.erp_key = t.no;
  RETURN 'done';
END $$;
SELECT erp_webhook.bind('late nv', 'late.open_items', 'late.settle(erp_webhook.voucher,erp_webhook.erp_line[])');
CREATE FUNCTION pg_temp.pay(VARIADIC tickets text[]) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT r.outcome FROM erp_webhook.ingest_batch(ARRAY(SELECT 'late-shop' FROM unnest(tickets)),
    ARRAY(SELECT jsonb_build_object('x-token', 'late-token', 'webhook-id', t) FROM unnest(tickets) t),
    ARRAY(SELECT convert_to(jsonb_build_object('type', 'payment.succeeded', 'timestamp', '2026-01-05T10:00:00Z',
            'data', jsonb_build_object('id', 'p' || t, 'amount', '10.00', 'currency', 'EUR', 'invoice_number', t))::text, 'UTF8') FROM unnest(tickets) t)) r
$$;

-- It objects at COMMIT: that comes before the answer, and undoes that event alone.
SELECT * FROM pg_temp.pay('T-1', 'T-2', 'T-3');
SELECT no, rest FROM late.ticket ORDER BY no;
SELECT external_id, reason FROM erp_webhook.exceptions WHERE company_id = :company;
-- Its cause removed, it is settled.
ALTER TABLE late.ticket DISABLE TRIGGER at_commit;
SELECT erp_webhook.retry_failed('late nv') AS settled;
SELECT no, rest FROM late.ticket WHERE no = 'T-2';

-- Rolled back by whoever called us, it is undone on both sides; told again, done on both.
BEGIN;
SELECT * FROM pg_temp.pay('T-5');
ROLLBACK;
SELECT t.rest, (SELECT count(*) FROM erp_webhook.voucher v WHERE v.company_id = :company AND v.object_ref = 'pT-5') AS vouchers FROM late.ticket t WHERE no = 'T-5';
SELECT * FROM pg_temp.pay('T-5');
SELECT t.rest, (SELECT count(*) FROM erp_webhook.voucher v WHERE v.company_id = :company AND v.object_ref = 'pT-5') AS vouchers FROM late.ticket t WHERE no = 'T-5';

-- Queued, then refused: an exception with the ERP's words, until it is offered again and done.
SELECT * FROM pg_temp.pay('T-4');
SELECT number, due FROM erp_webhook.invoice WHERE company_id = :company AND number = 'T-4';
SELECT erp_webhook.confirm('late nv', voucher_id, NULL, error => 'debtor is blocked') FROM erp_webhook.handover WHERE company_id = :company AND state = 'queued';
SELECT ref, state, error FROM erp_webhook.handover WHERE company_id = :company AND object_ref = 'pT-4' ORDER BY handover_id;
SELECT kind, external_id, invoice_number, reason FROM erp_webhook.exceptions WHERE company_id = :company;
SELECT erp_webhook.retry_failed('late nv') AS offered;
SELECT count(*) AS exceptions FROM erp_webhook.exceptions WHERE company_id = :company;
UPDATE late.ticket SET rest = 0 WHERE no = 'T-4';
SELECT erp_webhook.confirm('late nv', voucher_id, 'LATE-9') FROM erp_webhook.handover WHERE company_id = :company AND state = 'queued';
SELECT ref, state, error FROM erp_webhook.handover WHERE company_id = :company AND object_ref = 'pT-4' ORDER BY handover_id;
SELECT erp_webhook.confirm('late nv', -1, 'x');
SELECT count(*) AS breaches FROM erp_webhook.audit('late nv');

-- Another company's invoice is as unknown as one that never was.
SELECT erp_webhook.add_company('stranger', 'EUR') AS stranger, erp_webhook.add_source('stranger-shop', 'token', 'stranger') AS source2, erp_webhook.add_secret('stranger-shop', 'late-token') AS secret2 \gset
SELECT i.number, r.outcome, r.http_status, r.detail FROM (VALUES ('T-6'), ('T-99')) i (number)
CROSS JOIN LATERAL erp_webhook.ingest('stranger-shop', jsonb_build_object('x-token', 'late-token', 'webhook-id', i.number),
  convert_to(jsonb_build_object('type', 'payment.succeeded', 'timestamp', '2026-01-05T10:00:00Z', 'data',
    jsonb_build_object('id', 'p' || i.number, 'amount', '10.00', 'currency', 'EUR', 'invoice_number', i.number))::text, 'UTF8')) r;
SELECT kind, invoice_number, reason, amount FROM erp_webhook.exceptions WHERE company_id = :stranger ORDER BY 2;
SELECT no, rest FROM late.ticket WHERE no = 'T-6';
DELETE FROM erp_webhook.binding WHERE company_id = :company;
DROP SCHEMA late CASCADE;
UPDATE erp_webhook.source SET active = false WHERE name IN ('late-shop', 'stranger-shop');
