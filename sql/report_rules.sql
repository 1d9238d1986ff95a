-- What holds of every report: one snapshot, no float, only the reader's own company, and nothing changed by reading.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
\set VERBOSITY terse
SET erp_webhook.clock = '2025-10-31T12:00:00Z';
CREATE TEMP TABLE report AS SELECT p.oid, p.proname, p.provolatile, p.prosecdef, p.prorettype, p.proargtypes, p.proallargtypes FROM pg_proc p
WHERE p.pronamespace = 'erp_webhook'::regnamespace AND p.proname IN ('reconciliation', 'exception_queue', 'payout_equation', 'clearing_rollforward', 'cash_position', 'cash_forecast',
  'cash_to_come', 'forecast_items', 'forecast_against_actual', 'cash_proof', 'receivables_aging', 'receivables_proof', 'likely_duplicates', 'webhook_health', 'what_changed', 'why', 'report_html');
SELECT count(DISTINCT proname) AS reports FROM report;

-- STABLE: whatever a report reads, it reads in the snapshot of the statement that called it. As the caller: what he may not see, it does not show.
SELECT proname AS not_one_snapshot FROM report WHERE provolatile = 'v';
SELECT proname AS runs_as_its_owner FROM report WHERE prosecdef;
-- Never a float: not in a table, not in an argument or a result, not as a cast (but of seconds: how long to wait, when a key expires).
SELECT c.relname, a.attname AS float_column FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'erp_webhook'::regnamespace AND a.atttypid IN ('float4'::regtype, 'float8'::regtype, 'money'::regtype);
SELECT p.proname AS float_in_function FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object
WHERE p.proname NOT IN ('keys_of', 'retry_wait', 'call_wait') AND (p.prorettype IN ('float4'::regtype, 'float8'::regtype) OR 'float8'::regtype = ANY (coalesce(p.proallargtypes, p.proargtypes::oid[]))
   OR coalesce(p.prosrc, '') || coalesce(pg_get_function_sqlbody(p.oid), '') ~* '\m(float[48]?|real|double precision|percentile_cont|stddev)\M');

-- A reader of one company.
INSERT INTO company (name, currency) VALUES ('rules a', 'EUR'), ('rules b', 'EUR');
INSERT INTO source (company_id, name, provider) SELECT company_id, replace(name, ' ', '-'), 'generic' FROM company WHERE name LIKE 'rules _';
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, value_date)
SELECT s.company_id, s.source_id, s.name || k, k, 'applied', '2025-10-09', '2025-10-09', 'r', CASE k WHEN 'payment.succeeded' THEN 'r' END, 10, 'EUR', '2025-10-10'
FROM source s, unnest('{payment.succeeded,payout.paid}'::text[]) k WHERE s.name LIKE 'rules-_';
SELECT event_id AS of_b FROM event WHERE external_id = 'rules-bpayout.paid' \gset
SELECT import_statement('rules ' || c, 'csv', E'account,booking_date,amount,currency\nB,2025-10-31,-10.00,EUR\n') AS lines FROM unnest('{a,b}'::text[]) c;
CREATE ROLE rules_reader;
SELECT grant_reader('rules_reader', 'rules a');
CREATE FUNCTION pg_temp.rows_of(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM erp_webhook.%s x', call) INTO n;
  RETURN n;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM;
END $$;
SET ROLE rules_reader;
SELECT f AS report, pg_temp.rows_of(f || $$('rules a')$$) AS own, pg_temp.rows_of(f || $$('rules b')$$) AS another
FROM unnest('{reconciliation,exception_queue,clearing_rollforward,cash_position,cash_forecast,cash_proof,receivables_proof,webhook_health,report_html}'::text[]) f;
SELECT count(*) AS of_another FROM erp_webhook.what_changed(:of_b);
SELECT c.name, count(*) AS lines FROM erp_webhook.bank_line JOIN erp_webhook.company c USING (company_id) GROUP BY 1;
-- Reading is all a reader does.
SELECT erp_webhook.import_statement('rules a', 'csv', 'x');
SELECT erp_webhook.match('rules a', 'x', 'r', 'me', 'why');
SELECT erp_webhook.unmatch('rules a', 'x', 'r', 'me', 'why');
SELECT erp_webhook.book_line('rules a', 'x', 'bank_fees', 'me', 'why');
SELECT erp_webhook.assign_item('rules a', 'r', 'me');
SELECT erp_webhook.keep_forecast('rules a');
INSERT INTO erp_webhook.planned_cash (company_id, due_on, amount, currency, what) SELECT company_id, '2025-11-01', -1, 'EUR', 'x' FROM erp_webhook.company;
RESET ROLE;
DROP OWNED BY rules_reader; DROP ROLE rules_reader;
