-- Cash today and to come, who owes what since when (also at past days, proven against the ledger), health, what an event did.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
SET erp_webhook.clock = '2025-10-12T12:00:00Z';
\set VERBOSITY terse
INSERT INTO company (name, currency) VALUES ('cash', 'EUR');
INSERT INTO source (company_id, name, provider) SELECT company_id, 'cash-shop', 'generic' FROM company WHERE name = 'cash';
INSERT INTO account (company_id, account_no, name, currency) SELECT company_id, n, 'Customer ' || n, 'EUR' FROM company, unnest('{A,B}'::text[]) n WHERE company.name = 'cash';
INSERT INTO invoice (company_id, number, account_id, currency, total, issued_on, due_on)
SELECT a.company_id, v.number, a.account_id, 'EUR', v.total, v.due_on - 14, v.due_on
FROM (VALUES ('A1', 'A', 100.00, '2025-09-01'::date), ('A2', 'A', 100.00, '2025-09-10'), ('A3', 'A', 100.00, '2025-09-20'), ('A4', 'A', 60.00, '2025-10-11'),
             ('A5', 'A', 40.00, '2025-10-20'), ('B1', 'B', 30.00, '2025-08-01'), ('B2', 'B', 25.00, '2025-06-01'), ('B3', 'B', 25.00, '2025-06-03')) v (number, account_no, total, due_on)
JOIN account a USING (account_no) JOIN company c ON c.company_id = a.company_id AND c.name = 'cash';
CREATE FUNCTION pg_temp.fact(id text, kind text, ref text, amount numeric, at date, refs text[] DEFAULT NULL, value_date date DEFAULT NULL, payment text DEFAULT NULL, fee numeric DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, value_date, correlation, fee)
  SELECT s.company_id, s.source_id, id, kind, 'applied', at::timestamptz, at::timestamptz + interval '2 seconds', ref, CASE WHEN kind LIKE 'payment%' THEN ref ELSE payment END, amount, 'EUR', value_date, refs, fee
  FROM source s WHERE s.name = 'cash-shop' $$;
-- Customer A pays four days late; the shop's provider pays out after two.
SELECT pg_temp.fact('c1', 'payment.succeeded', 'p1', 100.00, '2025-09-05', '{A1}', fee => 1.00), pg_temp.fact('c2', 'payout.paid', 'q1', 99.00, '2025-09-06', value_date => '2025-09-07'),
       pg_temp.fact('c3', 'payment.succeeded', 'p2', 100.00, '2025-09-14', '{A2}'), pg_temp.fact('c4', 'payout.paid', 'q2', 100.00, '2025-09-15', value_date => '2025-09-16'),
       pg_temp.fact('c5', 'payment.succeeded', 'p3', 100.00, '2025-09-24', '{A3}'), pg_temp.fact('c6', 'payout.paid', 'q3', 100.00, '2025-09-25', value_date => '2025-09-26'),
       pg_temp.fact('c7', 'payment.succeeded', 'p4', 20.00, '2025-10-09', '{A4}'), pg_temp.fact('c8', 'payment.succeeded', 'p5', 12.00, '2025-10-11', '{NOBODY}'),
       pg_temp.fact('c9', 'payment.succeeded', 'p6', 35.00, '2025-10-10', '{B1}'), pg_temp.fact('c10', 'dispute.withdrawn', 'd6', 35.00, '2025-10-11', payment => 'p6'),
       pg_temp.fact('c11', 'payout.scheduled', 'q4', 20.00, '2025-10-11', value_date => '2025-10-13');
INSERT INTO planned_cash (company_id, due_on, amount, currency, what) SELECT company_id, '2025-10-15', -150.00, 'EUR', 'rent' FROM company WHERE name = 'cash';

SELECT kind, ledger_account, balance FROM cash_position('cash');
SELECT kind, ledger_account, balance FROM cash_position('cash', '2025-09-15');
SELECT * FROM cash_to_come('cash', 30);
SELECT day, opening, payouts, captures, invoices, planned, closing, closing_low, closing_high FROM cash_forecast('cash', 8);
SELECT closing FROM cash_forecast('cash', 30, 'sure') ORDER BY day DESC LIMIT 1;
SELECT closing FROM cash_forecast('cash', 30, 'guessed');
SELECT keep_forecast('cash', 8) AS days_kept;
-- What became real is out of the forecast.
SELECT pg_temp.fact('c12', 'payout.paid', 'q4', 20.00, '2025-10-12', value_date => '2025-10-13');
SET erp_webhook.clock = '2025-10-13T12:00:00Z';
SELECT * FROM forecast_against_actual('cash');
SELECT * FROM cash_to_come('cash', 2);
-- Kept once, the worker keeps one every day: from its own upkeep, and no second one that day.
BEGIN;
SELECT do_chores(true);
SELECT made_on, day - made_on AS ahead, scenario FROM kept_forecast k JOIN company c USING (company_id) WHERE c.name = 'cash' AND day = '2025-10-20';
SELECT keep_forecasts() AS again;
ROLLBACK;
SET erp_webhook.clock = '2025-10-12T12:00:00Z';

SELECT account_no, not_due, days_1_30, days_31_60, days_61_90, over_90, due, disputed, credit, balance, duplicates FROM receivables_aging('cash');
SELECT * FROM receivables_proof('cash');
-- Any past day, proven: the books then, allocated again.
SELECT account_no, not_due, days_1_30, due, credit FROM receivables_aging('cash', '2025-09-14');
SELECT d::date AS day, p.ageing, p.credit, p.nobodys, p.ledger_receivable, p.difference FROM generate_series('2025-09-01'::timestamptz, '2025-10-12', '10 days') d, LATERAL receivables_proof('cash', d) p;
SELECT what, account_no, ref, earlier_ref, amount FROM likely_duplicates('cash', '2025-05-01', '2025-10-12');

SELECT source, events, applied, delay_median, delay_max, found_by_pulling FROM webhook_health('cash', '2025-10-01', '2025-10-12');
SELECT step, table_name, row_key, what, amount FROM what_changed('cash', (SELECT event_id FROM event WHERE external_id = 'c7'));
SELECT count(*) > 0 AS same FROM what_changed((SELECT event_id FROM event WHERE external_id = 'c7'));
SELECT receivables_aging('nobody');
