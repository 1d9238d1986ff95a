-- Rules are rows: tolerance, payer and source; one line for many payouts, many lines for one; people go before all of them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
\set VERBOSITY terse
SET erp_webhook.clock = '2025-10-31T12:00:00Z';
INSERT INTO company (name, currency) VALUES ('matching', 'EUR');
INSERT INTO source (company_id, name, provider) SELECT company_id, n, 'generic' FROM company, unnest('{match-shop,match-till}'::text[]) n WHERE company.name = 'matching';
CREATE FUNCTION pg_temp.paid(source text, ref text, amount numeric, day date, currency text DEFAULT 'EUR') RETURNS void LANGUAGE sql AS $$
  INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, amount, currency, value_date)
  SELECT s.company_id, s.source_id, ref, 'payout.paid', 'applied', day - 1, day - 1, ref, amount, currency, day FROM source s WHERE s.name = source $$;
CREATE VIEW pg_temp.rec AS SELECT payout_ref AS payout, split_part(line_ref, '/', 2) || CASE WHEN line_ref ~ ', ' THEN ' …' ELSE '' END AS line, currency AS cur, provider_says AS provider, bank_says AS bank, state, difference, matched_by
  FROM reconciliation('matching', '2025-10-01', '2025-10-31');

-- The shipped rules know no tolerance: 30 cents less is another payment.
SELECT pg_temp.paid('match-shop', 'A', 100.00, '2025-10-06'), pg_temp.paid('match-till', 'B', 100.20, '2025-10-07'), pg_temp.paid('match-till', 'JPY', 5000, '2025-10-07', 'JPY');
SELECT import_statement('matching', 'csv', E'account,booking_date,amount,currency,counterparty,bank_ref\nX,2025-10-07,99.70,EUR,Till Payments,K1\nX,2025-10-08,5000,JPY,Till Payments,K2\n');
SELECT * FROM pg_temp.rec ORDER BY 1, 2;

-- A rule of one's own: up to 50 cents, from that payer, for that source. It settles what was there, too; the difference stays visible.
INSERT INTO match_rule (company_id, ordinal, name, shape, source_id, counterparty, tolerance, days_before, days_after)
SELECT s.company_id, 10, 'the till''s bank keeps cents', 'one_to_one', s.source_id, '^till', 0.50, 1, 3 FROM source s WHERE s.name = 'match-till';
SELECT settle_again('matching');
SELECT * FROM pg_temp.rec ORDER BY 1, 2;
-- Who has rules of his own has those alone: no reference is looked for now.
SELECT pg_temp.paid('match-shop', 'po_C1', 33.00, '2025-10-13');
SELECT import_statement('matching', 'csv', E'account,booking_date,amount,currency,counterparty,reference,bank_ref\nX,2025-10-13,33.00,EUR,Shop,po_C1,K3\n');
SELECT payout, line, state FROM pg_temp.rec WHERE payout = 'po_C1' OR line = 'K3' ORDER BY 1;
INSERT INTO match_rule (company_id, ordinal, name, shape, tolerance)
SELECT c.company_id, v.* FROM company c, (VALUES (5, 'named', 'reference', 0.00), (30, 'the payouts of a day, less a charge', 'many_to_one', 1.00), (40, 'in parts', 'one_to_many', 0.00)) v WHERE c.name = 'matching';
SELECT settle_again('matching');
SELECT payout, line, state, matched_by FROM pg_temp.rec WHERE payout = 'po_C1' OR line = 'K3' ORDER BY 1;

-- Three payouts of a day in one line, 75 cents short; one payout in three lines.
SELECT pg_temp.paid('match-shop', 'D' || n, n * 10.00, '2025-10-20') FROM generate_series(1, 3) n;
SELECT pg_temp.paid('match-shop', 'E', 70.00, '2025-10-23');
SELECT import_statement('matching', 'csv', E'account,booking_date,amount,currency,counterparty,bank_ref\nX,2025-10-21,59.25,EUR,Shop,K4\nX,2025-10-23,20.00,EUR,Shop,K5\nX,2025-10-23,20.00,EUR,Shop,K6\nX,2025-10-23,30.00,EUR,Shop,K7\n');
SELECT * FROM pg_temp.rec WHERE payout ~ '^[DE]' ORDER BY 1;
SELECT payout_ref, line_ref, amount, shape FROM bank_match m JOIN company c USING (company_id) WHERE c.name = 'matching' AND payout_ref ~ '^[DE]' ORDER BY 1, 2;
-- The provider takes money back: a payout below zero, and its debit.
SELECT pg_temp.paid('match-shop', 'po_minus', -12.34, '2025-10-27');
SELECT import_statement('matching', 'csv', E'account,booking_date,amount,currency,reference,bank_ref\nX,2025-10-27,-12.34,EUR,po_minus,K8\n');
SELECT * FROM pg_temp.rec WHERE payout = 'po_minus';

-- Who is asked first: what a person paired stays paired, with who and why; an item is given to somebody, the latest counts.
SELECT match('matching', 'K1', 'A', 'ann', 'seen in the provider''s portal') > 0 AS matched;
SELECT payout, line, state, difference, matched_by FROM pg_temp.rec WHERE payout IN ('A', 'B') ORDER BY 1;
SELECT assign_item('matching', 'A', 'ann') < assign_item('matching', 'A', 'bob', 'until Friday') AS assigned;
SELECT payout_ref, state, age, difference, assigned_to FROM exception_queue('matching') WHERE payout_ref IN ('A', 'B') ORDER BY 1;
SELECT note, assigned_by = session_user AS by_me FROM exception_assignment a JOIN company c USING (company_id) WHERE c.name = 'matching' ORDER BY assignment_id;
SELECT count(*) FROM audit('matching');
INSERT INTO match_rule (company_id, ordinal, name, shape, tolerance) SELECT company_id, 90, 'x', 'one_to_one', 'NaN' FROM company WHERE name = 'matching';
INSERT INTO match_rule (company_id, ordinal, name, shape, tolerance) SELECT company_id, 90, 'x', 'one_to_one', -1 FROM company WHERE name = 'matching';
