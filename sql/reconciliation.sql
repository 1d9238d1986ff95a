-- Provider, ledger and bank side by side: every state once, the matching rules, decisions by hand, and what policies book of it.
SET client_min_messages = warning;
SET datestyle = ISO;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
\set VERBOSITY terse
SET erp_webhook.clock = '2025-10-31T12:00:00Z';
INSERT INTO company (name, currency) VALUES ('rec', 'EUR');
INSERT INTO source (company_id, name, provider) SELECT company_id, n, 'generic' FROM company, unnest('{rec-shop,rec-bank}'::text[]) n WHERE company.name = 'rec';
CREATE FUNCTION pg_temp.fact(source text, id text, kind text, ref text, amount numeric, day date, at timestamptz DEFAULT '2025-10-09', currency text DEFAULT 'EUR',
  payout text DEFAULT NULL, fee numeric DEFAULT NULL, refs text[] DEFAULT NULL, bank_ref text DEFAULT NULL, payment text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, value_date, payout_ref, fee, correlation, bank_ref)
  SELECT s.company_id, s.source_id, id, kind, 'applied', at, at, ref, CASE WHEN kind LIKE 'payment%' THEN ref ELSE payment END, amount, currency, day, payout, fee, refs, bank_ref
  FROM source s WHERE s.name = source $$;
CREATE VIEW pg_temp.rec AS SELECT item, payout_ref AS payout, line_ref AS line, value_date, provider_says AS provider, ledger_says AS ledger, bank_says AS bank, state, difference, age, matched_by
  FROM reconciliation('rec', '2025-10-01', '2025-10-31');
CREATE VIEW pg_temp.balances AS SELECT ledger_account, b.currency, balance FROM ledger_balance b JOIN company c USING (company_id) WHERE c.name = 'rec' ORDER BY 1, 2;

-- Announced, then paid, then at the bank; a payout the provider itemises.
SELECT pg_temp.fact('rec-shop', 'e1', 'payment.succeeded', 'p1', 150.00, NULL, payout => 'po_1', fee => 2.50),
       pg_temp.fact('rec-shop', 'e2', 'payment.succeeded', 'p2', 99.99, NULL, payout => 'po_1', fee => 1.70),
       pg_temp.fact('rec-shop', 'e3', 'refund.succeeded', 'r1', 20.00, NULL, payout => 'po_1', payment => 'p1'),
       pg_temp.fact('rec-shop', 'e4', 'payout.scheduled', 'po_1', 225.79, '2025-10-13');
SELECT payout, state, provider, ledger, bank FROM pg_temp.rec;
SELECT pg_temp.fact('rec-shop', 'e5', 'payout.paid', 'po_1', 225.79, '2025-10-13', '2025-10-11');
SELECT payout, state, provider, ledger, bank FROM pg_temp.rec;
SELECT import_statement('rec', 'csv', E'account,booking_date,amount,currency,reference,bank_ref\nX,2025-10-13,225.79,EUR,PAYOUT PO 1 po_1,K1\n');
SELECT payout, state, provider, ledger, bank, difference, matched_by FROM pg_temp.rec;
SELECT itemised, gross, fees, refunds, adjustments, payout FROM payout_equation('rec', 'po_1');
SELECT * FROM clearing_rollforward('rec', '2025-10-01', '2025-10-31');
-- In it counts what came in the payout's currency: no fee in another, none of a payment that never succeeded; its own fee does.
SELECT pg_temp.fact('rec-shop', 'i1', 'payment.succeeded', 'i1', 20.00, NULL, payout => 'po_i', fee => 1.00), pg_temp.fact('rec-shop', 'i2', 'payment.failed', 'i2', 99.00, NULL, payout => 'po_i', fee => 2.00),
       pg_temp.fact('rec-shop', 'i3', 'payment.succeeded', 'i3', 7.00, NULL, payout => 'po_i', currency => 'USD', fee => 0.70), pg_temp.fact('rec-shop', 'i4', 'payout.paid', 'po_i', 18.75, '2025-11-02', '2025-11-01', fee => 0.25);
SELECT payments, gross, fees, refunds, disputes, adjustments, payout FROM payout_equation('rec', 'po_i');

-- Paid, and the statements reach past its day without it; a line that calls itself a payout and is none; one nobody knows.
SELECT pg_temp.fact('rec-shop', 'f1', 'payout.paid', 'po_2', 60.00, '2025-10-14'), pg_temp.fact('rec-shop', 'f2', 'payout.paid', 'po_3', 40.00, '2025-10-20'),
       pg_temp.fact('rec-shop', 'f3', 'payout.paid', 'po_4', 10.00, '2025-10-20'), pg_temp.fact('rec-shop', 'f4', 'payout.paid', 'po_5', 33.00, '2025-10-20', currency => 'USD');
SELECT import_statement('rec', 'csv', E'account,booking_date,amount,currency,reference,counterparty,bank_ref\n'
  'X,2025-10-20,37.50,EUR,po_3,PROV,K2\nX,2025-10-20,10.00,EUR,po_4,PROV,K3\nX,2025-10-21,10.00,EUR,po_4,PROV,K4\nX,2025-10-20,30.00,EUR,po_5,PROV,K5\n'
  'X,2025-10-22,77.00,EUR,Payout 0815,PROV,K6\nX,2025-10-22,-4.50,EUR,account fee,,K7\nX,2025-10-30,1.00,EUR,Bakker,,K8\n');
SELECT payout, line, value_date, provider, ledger, bank, state, difference, age FROM pg_temp.rec WHERE state <> 'matched';
SELECT item, payout_ref, line_ref, assigned_to, advice FROM exception_queue('rec', '2025-10-01', '2025-10-31') WHERE state IN ('under', 'missing_in_ledger') AND abs(difference) > 1;

-- By hand: who and why, the difference posted, taken back; nobody's decision is lost.
SELECT match('rec', NULL, 'po_3', who => 'ann', why => 'bank charges', difference_to => 'bank_fees') > 0 AS decided,
       match('rec', 'K6', 'po_2', who => 'ann', why => 'called the provider') > 0 AS matched, assign_item('rec', 'po_4', 'bob') > 0 AS assigned;
SELECT payout, line, state, difference, matched_by FROM pg_temp.rec WHERE payout IN ('po_2', 'po_3') ORDER BY 1;
SELECT * FROM pg_temp.balances;
SELECT unmatch('rec', 'K6', 'po_2', 'bob', 'it was another shop''s') > 0 AS unmatched, unmatch('rec', 'K4', 'po_4', 'bob', 'returned') > 0 AS unmatched;
SELECT payout, line, state FROM pg_temp.rec WHERE payout IN ('po_2', 'po_4') OR line LIKE '%/K_/77%' ORDER BY 1;
SELECT decision, payout_ref, who, why FROM bank_decision d JOIN company c USING (company_id) WHERE c.name = 'rec' ORDER BY decision_id;
SELECT match('rec', 'K9', 'po_2', 'ann', 'x');
SELECT match('rec', 'K6', 'po_2', 'ann', '');
DELETE FROM bank_decision;

-- One line for all payouts of a day; one payout in two lines; same amount two days later; a bank webhook and its statement line.
SELECT pg_temp.fact('rec-shop', 'g1', 'payout.paid', 'A', 11.00, '2025-10-26'), pg_temp.fact('rec-shop', 'g2', 'payout.paid', 'B', 22.00, '2025-10-26'),
       pg_temp.fact('rec-shop', 'g3', 'payout.paid', 'C', 44.00, '2025-10-26', currency => 'CHF'), pg_temp.fact('rec-shop', 'g4', 'payout.paid', 'D', 55.00, '2025-10-26'),
       pg_temp.fact('rec-bank', 'b1', 'bank.credit', 'bk1', 9.00, NULL, '2025-10-27', bank_ref => 'K25'), pg_temp.fact('rec-bank', 'b2', 'bank.credit', 'bk2', 8.00, NULL, '2025-10-27');
SELECT import_statement('rec', 'csv', E'account,booking_date,amount,currency,counterparty,bank_ref\n'
  'X,2025-10-27,88.00,EUR,P,K21\nY,2025-10-27,40.00,CHF,P,K22\nY,2025-10-27,4.00,CHF,P,K23\nX,2025-10-27,9.00,EUR,Q,K25\nX,2025-10-28,8.00,EUR,R,K26\n');
SELECT payout, line, bank, state, matched_by FROM pg_temp.rec WHERE value_date BETWEEN '2025-10-26' AND '2025-10-29' ORDER BY 1, 2;

-- The bank's webhook and the statement, neither with an id: amount, currency and value date say that they are one.
SELECT pg_temp.fact('rec-bank', 'b3', 'bank.credit', 'bk3', 21.00, '2025-10-24', '2025-10-24'), pg_temp.fact('rec-bank', 'b4', 'bank.credit', 'bk4', 21.00, '2025-10-24', '2025-10-24');
SELECT import_statement('rec', 'csv', E'account,booking_date,amount,currency,counterparty,bank_ref\nX,2025-10-24,21.00,EUR,T,K40\n');
SELECT line, ledger, bank, state, matched_by FROM pg_temp.rec WHERE value_date = '2025-10-24' ORDER BY 1;

-- What the amount paired, a person takes apart.
SELECT pg_temp.fact('rec-shop', 'h1', 'payout.paid', 'F', 66.00, '2025-10-29');
SELECT import_statement('rec', 'csv', E'account,booking_date,amount,currency,bank_ref\nX,2025-10-30,66.00,EUR,K27\n');
SELECT payout, line, state, matched_by FROM pg_temp.rec WHERE payout = 'F' OR line LIKE '%K27%';
SELECT unmatch('rec', 'K27', 'F', 'bob', 'a customer''s money') > 0 AS unmatched;
SELECT payout, line, state, matched_by FROM pg_temp.rec WHERE payout = 'F' OR line LIKE '%K27%' ORDER BY 1;

-- Why the ledger says so, today and at a past day.
SELECT kind, ledger_account, currency, ledger, explained, difference, how FROM cash_proof('rec');
SELECT ledger_account, currency, ledger, explained, difference FROM cash_proof('rec', '2025-10-12');

-- A debit that is nobody's: a person says where it goes, or a rule does for lines that post.
SELECT book_line('rec', 'K7', 'bank_fees', 'ann', 'the account''s fee') > 0 AS booked;
SELECT line, ledger, bank, state FROM pg_temp.rec WHERE line LIKE '%K7%';
SELECT * FROM pg_temp.balances WHERE ledger_account LIKE 'bank_%';
SELECT book_line('rec', 'K8', 'bank_fees', 'ann', 'no');
INSERT INTO line_rule SELECT company_id, 1, 'terminal rent', 'bank_fees' FROM company WHERE name = 'rec';
SELECT import_statement('rec', 'csv', E'account,booking_date,amount,currency,reference,bank_ref\nX,2025-10-30,-12.00,EUR,Card Terminal Rent,K30\nX,2025-10-30,-1.00,EUR,Something,K31\n');

-- The policies: a line as the arrival of its payout, and lines that post. Set back, the books are what they were.
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.balances;
SELECT set_policy('rec', 'payout_arrives', 'on_statement');
SELECT * FROM pg_temp.balances EXCEPT SELECT * FROM before ORDER BY 1, 2;
SELECT set_policy('rec', 'statement', 'post');
SELECT * FROM pg_temp.balances;
SELECT line, ledger, bank, state FROM pg_temp.rec WHERE item = 'line' ORDER BY 1, 4;
SELECT line_ref, advice FROM reconciliation('rec', '2025-10-01', '2025-10-31') WHERE state = 'matched' AND advice LIKE 'waits%';
SELECT kind, balance FROM cash_position('rec') WHERE ledger_account = 'bank_unassigned';
SELECT ledger_account, currency, ledger, difference FROM cash_proof('rec');
SELECT set_policy('rec', 'statement', 'evidence'), set_policy('rec', 'payout_arrives', 'on_paid');
SELECT * FROM pg_temp.balances EXCEPT SELECT * FROM before;

-- A difference was that of the lines the payout had: taken apart, the whole of it is in transit again.
INSERT INTO company (name, currency) VALUES ('rec apart', 'EUR');
INSERT INTO source (company_id, name, provider) SELECT company_id, 'rec-apart', 'generic' FROM company WHERE company.name = 'rec apart';
SELECT set_policy('rec apart', 'payout_arrives', 'on_statement');
SELECT pg_temp.fact('rec-apart', 'e1', 'payout.paid', 'po_x', 226.00, '2025-10-13', '2025-10-12');
SELECT import_statement('rec apart', 'csv', E'account,booking_date,amount,currency,reference,bank_ref\nX,2025-10-13,225.79,EUR,of somebody,K1\n');
CREATE VIEW pg_temp.apart AS SELECT ledger_account, balance FROM ledger_balance b JOIN company c USING (company_id) WHERE c.name = 'rec apart' ORDER BY 1;
SELECT match('rec apart', 'K1', 'po_x', 'ann', 'the bank charges', difference_to => 'bank_fees') > 0 AS matched;
SELECT * FROM pg_temp.apart;
SELECT unmatch('rec apart', 'K1', 'po_x', 'bob', 'another shop''s') > 0 AS unmatched;
SELECT * FROM pg_temp.apart;
SELECT state, difference FROM reconciliation('rec apart', '2025-10-01', '2025-10-31') WHERE item = 'payout';
SELECT match('rec apart', 'K1', 'po_x', 'ann', 'it was ours') > 0 AS matched;
SELECT * FROM pg_temp.apart;
SELECT state, difference FROM reconciliation('rec apart', '2025-10-01', '2025-10-31') WHERE item = 'payout';
SELECT law FROM audit('rec apart');
