-- An invoice of another company is as unknown as one that is nowhere: in the answer, the exceptions, the log, and in the rows
-- that are read to find out, of which the time follows.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('tenant-a', 'EUR') AS a \gset
SELECT erp_webhook.add_company('tenant-b', 'EUR') AS b \gset
SELECT erp_webhook.add_source('tenant-a', 'generic', 'tenant-a') AS source \gset
SELECT erp_webhook.add_secret('tenant-a', 'whsec_' || encode(decode(repeat('5a', 24), 'hex'), 'base64')) > 0 AS secret;
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:b, 'B-1', 'EUR') RETURNING account_id \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) SELECT :b, 'TB-' || n, :account_id, 'EUR', 10, '2025-11-01' FROM generate_series(1, 200) n;
CREATE FUNCTION pg_temp.rows_read() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT sum(pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid) + pg_stat_get_xact_numscans(c.oid))::bigint
  FROM pg_class c WHERE c.relnamespace = 'erp_webhook'::regnamespace AND c.relkind IN ('r', 'i', 'p')
$$;
-- A signed payment that names a number; what was read, and what is told.
CREATE FUNCTION pg_temp.pay(ref text, number text) RETURNS TABLE (rows_read bigint, told text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  body bytea := convert_to(format('{"type": "payment.succeeded", "timestamp": "2026-01-05T10:00:00Z", "data": {"id": "%s", "amount": "10.00", "currency": "EUR", "invoice_number": "%s"}}', ref, number), 'UTF8');
  before bigint;
  r erp_webhook.receipt;
BEGIN
  before := pg_temp.rows_read();
  r := erp_webhook.ingest('tenant-a', erp_webhook.sign('tenant-a', body, headers => jsonb_build_object('webhook-id', ref)), body);
  rows_read := pg_temp.rows_read() - before;
  told := format('%s %s %s %s', r.outcome, r.http_status, convert_from(r.response, 'UTF8'), r.detail);
  RETURN NEXT;
END $$;
-- The first of a session also loads what is cached.
SELECT count(*) FROM pg_temp.pay('t0', 'TC-900');
-- Alternately: of the other company, and of none. What the log would say is shown here too.
SET client_min_messages = log;
SELECT rows_read AS foreign_rows, told AS foreign_told FROM pg_temp.pay('t1', 'TB-101') \gset
SELECT rows_read AS unknown_rows, told AS unknown_told FROM pg_temp.pay('t2', 'TC-102') \gset
SELECT rows_read AS foreign_rows_2, told AS foreign_told_2 FROM pg_temp.pay('t3', 'TB-103') \gset
SET client_min_messages = warning;
SELECT :'unknown_told' AS told, :'foreign_told' = :'unknown_told' AND :'foreign_told_2' = :'unknown_told' AS same_answer,
       :unknown_rows BETWEEN least(:foreign_rows, :foreign_rows_2) AND greatest(:foreign_rows, :foreign_rows_2) AS same_rows;
SELECT kind, reason, amount, invoice_number, advice FROM erp_webhook.exceptions WHERE company_id = :a AND payment_ref <> 't0' ORDER BY payment_ref;
-- Nothing of it reached the other company, and there the number pays as it should.
SELECT count(*) FROM erp_webhook.invoice WHERE company_id = :b AND paid <> 0;
SELECT count(*) FROM erp_webhook.reference WHERE company_id = :b;
SELECT count(*) FROM erp_webhook.meeting WHERE company_id = :b AND ref LIKE 'TB-10%' AND NOT EXISTS (SELECT FROM erp_webhook.invoice i WHERE i.company_id = :b AND i.number = ref);
