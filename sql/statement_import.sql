-- Bank files in: every line and balance of test/data/statements holds, in either order, however often, overlapping or not.
\set ON_ERROR_STOP off
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
\set VERBOSITY terse
\set camt053 `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/camt053_main.xml"`
\set camt054 `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/camt054_batch.xml"`
\set repeats `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/camt053_repeats_batch.xml"`
\set mt940 `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/mt940_plain.sta"`
\set csv `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/csv_semicolon_de.csv"`
\set truth `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/statements.jsonl"`
INSERT INTO company (name, currency) VALUES ('statement a', 'EUR'), ('statement b', 'EUR');

CREATE TEMP TABLE file AS
SELECT * FROM (VALUES ('camt053_main.xml', decode(:'camt053', 'base64')), ('camt054_batch.xml', decode(:'camt054', 'base64')),
  ('camt053_repeats_batch.xml', decode(:'repeats', 'base64')), ('mt940_plain.sta', decode(:'mt940', 'base64')),
  ('csv_semicolon_de.csv', decode(:'csv', 'base64'))) f (name, content);
CREATE TEMP TABLE truth AS
SELECT line ->> 'file' AS name, line ->> 'format' AS format, line
FROM string_to_table(btrim(convert_from(decode(:'truth', 'base64'), 'UTF8'), E'\n'), E'\n') t (l), LATERAL (SELECT l::jsonb) j (line);

-- Every file read alone says what statements.jsonl says: lines, balances, nothing pending.
SELECT f.name, count(*) AS lines,
  count(*) = jsonb_array_length(t.line -> 'entries')
  AND bool_and((e ->> 'booking_date')::date = r.booking_date AND (e ->> 'value_date')::date = r.value_date AND (e ->> 'amount')::numeric = r.amount
    AND e ->> 'currency' = r.currency AND (e ->> 'reference', e ->> 'counterparty', e ->> 'end_to_end_id', e ->> 'bank_ref', e ->> 'batch_ref')
    IS NOT DISTINCT FROM (r.reference, r.counterparty, r.end_to_end_id, r.bank_ref, r.batch_ref) AND r.account = t.line ->> 'account') AS as_expected
FROM file f JOIN truth t USING (name),
LATERAL (SELECT *, row_number() OVER () AS n FROM read_statement(0, t.format, f.content, NULL, NULL, NULL) WHERE what = 'entry') r,
LATERAL (SELECT t.line -> 'entries' -> (r.n - 1)::int) x (e)
GROUP BY f.name, t.line ORDER BY 1;
SELECT f.name, r.opening, r.closing, (r.opening, r.closing) IS NOT DISTINCT FROM ((t.line ->> 'opening_balance')::numeric, (t.line ->> 'closing_balance')::numeric) AS as_expected
FROM file f JOIN truth t USING (name), LATERAL read_statement(0, t.format, f.content, NULL, NULL, NULL) r WHERE what = 'statement' ORDER BY 1;

-- Imported: the batch and its parts are the same 300.00, whichever comes first; a second time adds nothing.
SELECT name, import_statement('statement a', format, content) AS added FROM file JOIN truth USING (name) ORDER BY name DESC;
SELECT name, import_statement('statement b', format, content) AS added FROM file JOIN truth USING (name) ORDER BY name;
SELECT c.name, l.account, count(*), sum(l.amount) FROM bank_line l JOIN company c USING (company_id) WHERE c.name LIKE 'statement _' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT sum(import_statement('statement a', format, content)) AS again FROM file JOIN truth USING (name);
SELECT a.* FROM bank_line a JOIN company c USING (company_id) WHERE c.name = 'statement a' AND NOT EXISTS (
  SELECT FROM bank_line b JOIN company d USING (company_id) WHERE d.name = 'statement b'
  AND to_jsonb(b) - '{company_id,line_id,statement_id}'::text[] = to_jsonb(a) - '{company_id,line_id,statement_id}'::text[]);

-- Overlapping files: two equal lines stay two, and only what is new is added.
SELECT import_statement('statement a', 'csv', E'account,booking_date,amount,currency,reference\nX1,2026-01-05,10.00,EUR,same\nX1,2026-01-05,10.00,EUR,same\n') AS first,
       import_statement('statement a', 'csv', E'account,booking_date,amount,currency,reference\nX1,2026-01-05,10.00,EUR,same\nX1,2026-01-06,7,EUR,next\n') AS overlaps;
-- An entry without the bank's reference is the one that has it, if amount, currency, value date and id agree.
SELECT import_statement('statement a', 'csv', E'account,booking_date,value_date,amount,currency,end_to_end_id\nNL02 KADE 0123 4567 89,2025-10-15,2025-10-15,50.00,EUR,po_u3\n') AS known_by_its_id;
-- The day's report (camt.052), then its statement (camt.053) that says the same and more: each entry once.
CREATE FUNCTION pg_temp.camt(kind text, root text, inside text, refs text[]) RETURNS bytea LANGUAGE sql AS $$
  SELECT convert_to(format('<Document xmlns="urn:iso:std:iso:20022:tech:xsd:%s.001.08"><%s><%s><Id>%s</Id><CreDtTm>2026-01-05T12:00:00</CreDtTm><Acct><Id><IBAN>X9</IBAN></Id></Acct>%s</%3$s></%2$s></Document>', kind, root, inside, kind,
    string_agg(format('<Ntry><Amt Ccy="EUR">8.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-01-05</Dt></BookgDt><AcctSvcrRef>%s</AcctSvcrRef></Ntry>', r), '')), 'UTF8') FROM unnest(refs) r $$;
SELECT import_statement('statement a', 'camt.052', pg_temp.camt('camt.052', 'BkToCstmrAcctRpt', 'Rpt', '{D1,D2}')) AS during_the_day,
       import_statement('statement a', 'camt.052', pg_temp.camt('camt.052', 'BkToCstmrAcctRpt', 'Rpt', '{D1,D2,D3}')) AS later,
       import_statement('statement a', 'camt.053', pg_temp.camt('camt.053', 'BkToCstmrStmt', 'Stmt', '{D1,D2,D3,D4}')) AS in_the_evening;
SELECT import_statement('nobody', 'csv', 'x');
SELECT import_statement('statement a', 'pdf', 'x');
