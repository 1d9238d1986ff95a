-- Which day is it, and in which decimals? Reports of a company far away, of past days, and in currencies without cents.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
\set VERBOSITY terse
INSERT INTO company (name, currency) VALUES ('far', 'NZD'), ('past', 'EUR');
SELECT set_policy('far', 'time_zone', 'Pacific/Auckland');
INSERT INTO source (company_id, name, provider) SELECT company_id, name || '-shop', 'generic' FROM company WHERE name IN ('far', 'past');
CREATE FUNCTION pg_temp.fact(source text, id text, kind text, ref text, amount numeric, at timestamptz, value_date date DEFAULT NULL, currency text DEFAULT 'EUR')
RETURNS void LANGUAGE sql AS $$
  INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, value_date)
  SELECT s.company_id, s.source_id, id, kind, 'applied', at, at, ref, CASE WHEN kind LIKE 'payment%' THEN ref END, amount, currency, value_date FROM source s WHERE s.name = source $$;

-- Nine in the morning of the 31st in Auckland: yesterday evening in London, noon in Los Angeles. The report is the same everywhere.
SET erp_webhook.clock = '2026-01-30T20:00:00Z';
SELECT pg_temp.fact('far-shop', 'far 1', 'payment.succeeded', 'p1', 10, '2026-01-30T11:30:00Z', currency => 'NZD'), pg_temp.fact('far-shop', 'far 2', 'payment.succeeded', 'p2', 5, '2026-01-30T10:30:00Z', currency => 'NZD');
CREATE FUNCTION pg_temp.seen(from_zone text) RETURNS TABLE (of_today numeric, of_the_moment numeric, of_the_30th numeric, event_on date) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('timezone', from_zone, true);
  RETURN QUERY SELECT (SELECT balance FROM cash_position('far')), (SELECT balance FROM cash_position('far', report_now())), (SELECT balance FROM cash_position('far', '2026-01-30'::date)),
    (SELECT w.day FROM what_changed('far', (SELECT event_id FROM event WHERE external_id = 'far 1')) w WHERE w.table_name = 'event');
END $$;
SELECT z AS session, s.* FROM unnest('{UTC,America/Los_Angeles,Pacific/Auckland,Asia/Beirut}'::text[]) z, LATERAL pg_temp.seen(z) s;
CREATE FUNCTION pg_temp.page(zone text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('timezone', zone, true);
  RETURN regexp_replace(report_html('far'), 'snapshot of the books, [0-9:,]*', '');
END $$;
SELECT count(DISTINCT pg_temp.page(z)) AS pages FROM unnest('{UTC,America/Los_Angeles,Pacific/Auckland}'::text[]) z;
SET timezone = 'UTC';

-- The bank books on the 13th what arrives with value of the 15th; then a payout that comes back. Every day is explained.
SET erp_webhook.clock = '2026-02-10T12:00:00Z';
SELECT pg_temp.fact('past-shop', 'e1', 'payment.succeeded', 'p1', 170.00, '2026-01-10T10:00:00Z'), pg_temp.fact('past-shop', 'e0', 'payout.paid', 'po_0', 30.00, '2026-01-10T12:00:00Z', '2026-01-11'),
       pg_temp.fact('past-shop', 'e2', 'payout.paid', 'po_1', 100.00, '2026-01-12T10:00:00Z', '2026-01-15'), pg_temp.fact('past-shop', 'e4', 'payout.paid', 'po_2', 70.00, '2026-01-20T10:00:00Z', '2026-01-21');
SELECT import_statement('past', 'csv', E'account,booking_date,value_date,amount,currency,reference,bank_ref\nX,2026-01-13,2026-01-15,100.00,EUR,po_1,K1\nX,2026-01-21,2026-01-21,70.00,EUR,po_2,K4\nX,2026-01-23,2026-01-23,-70.00,EUR,sent back,K5\n') AS lines;
SELECT pg_temp.fact('past-shop', 'e5', 'payout.failed', 'po_2', 70.00, '2026-01-23T10:00:00Z');
SELECT d::date AS day, ledger, explained, difference, how FROM unnest('{2026-01-12,2026-01-13,2026-01-15,2026-01-21,2026-01-23}'::date[]) d, cash_proof('past', d) WHERE kind = 'bank';
-- A statement that closes, and lines it does not reach: these are not from before it opened.
SELECT import_statement('past', 'mt940', E':20:S1\n:25:NL99PAST\n:28C:1/1\n:60F:D260201EUR50,00\n:61:2602010201C20,00NTRFR1//B1\n:86:in\n:61:2602020202RC20,00NTRFR1//B2\n:86:back\n:61:2602020202D5,00NCHGFEE//B3\n:86:fee\n:61:2602030203RD5,00NCHGFEE//B4\n:86:fee back\n:62F:D260203EUR50,00\n-\n') AS lines;
SELECT amount, reversal FROM bank_entry JOIN company USING (company_id) WHERE name = 'past' AND account = 'NL99PAST' ORDER BY line_id;
SELECT ledger, explained, difference, how FROM cash_proof('past') WHERE kind = 'bank';

-- Yen have no cents, dinars three decimals, and a trillion has its digits.
SELECT pg_temp.fact('past-shop', 'e6', 'payment.succeeded', 'p6', 1.5, '2026-01-25T10:00:00Z', currency => 'KWD'), pg_temp.fact('past-shop', 'e7', 'payment.succeeded', 'p7', 1000, '2026-01-25T10:00:00Z', currency => 'JPY');
SELECT (regexp_matches(report_html('past', '2026-01-01', '2026-01-31'), 'With providers, ((?:JPY|KWD)</dt><dd>[^<]*)', 'g'))[1] AS tile;
SELECT money_text(a) FROM unnest('{12345678901234567890.12,-1000,0.00}'::numeric[]) a;
-- What a spreadsheet would run begins with an apostrophe.
SELECT csv_cell(x, 'text') FROM unnest(ARRAY['=1', E'\t=1', '+1', '-1', '@x', '＝1', 'a=1', '"q"']) x;
SELECT csv_cell('-1.00', 'money');
