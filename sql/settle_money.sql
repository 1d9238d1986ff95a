-- The ledger's rules one by one: payment, failure, reversal, refund, dispute, fee, payout, conversion.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('money', 'EUR') AS company \gset
SELECT erp_webhook.add_source('money-shop', 'generic', 'money') AS source \gset
INSERT INTO erp_webhook.account (company_id, account_no, name, currency) VALUES (:company, 'C-1', 'Jansen', 'EUR') RETURNING account_id \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT :company, 'M-' || n, :account_id, 'EUR', 100, '2025-11-01' FROM generate_series(1, 4) n;

-- One fact: its second is its place in time. A fact told again, or out of order, must change nothing.
CREATE FUNCTION pg_temp.fact(kind text, ref text, pay text, second numeric, amount numeric, number text DEFAULT NULL, fee numeric DEFAULT NULL, currency text DEFAULT 'EUR')
RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency, fee)
  SELECT s.company_id, s.source_id, kind || ref || second, kind, 'applied', timestamptz '2025-10-09 09:00+00' + second * interval '1 second', now(), ref, pay,
         CASE WHEN number IS NOT NULL THEN ARRAY[number] END, amount, currency, fee
  FROM erp_webhook.source_name s WHERE s.name = 'money-shop' ON CONFLICT DO NOTHING
$$;
CREATE VIEW pg_temp.ledger AS SELECT ledger_account, currency, balance FROM erp_webhook.ledger_balance
  WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'money');
CREATE VIEW pg_temp.booked AS SELECT j.object, j.step, j.debit, j.credit, j.ledger_account, j.currency FROM erp_webhook.journal j
  WHERE j.company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'money');

-- Paid, then the direct debit comes back, then it is collected again: three vouchers of one object.
SELECT pg_temp.fact('payment.succeeded', 'p1', 'p1', 0, 100, 'M-1', 2.50);
SELECT pg_temp.fact('payment.failed', 'p1', 'p1', 60, 100);
SELECT number, paid, state FROM erp_webhook.invoice WHERE number = 'M-1';
SELECT pg_temp.fact('payment.succeeded', 'p1', 'p1', 120, 100);
SELECT object, step, ledger_account, debit, credit FROM pg_temp.booked WHERE object = 'payment' ORDER BY step, credit, ledger_account;
-- The same second: a payment succeeded, a refund failed.
SELECT pg_temp.fact('payment.failed', 'p1', 'p1', 120.9, 100), pg_temp.fact('refund.succeeded', 'r0', 'p1', 180.1, 40), pg_temp.fact('refund.failed', 'r0', 'p1', 180.9, 40);
SELECT number, paid, credited, state FROM erp_webhook.invoice WHERE number = 'M-1';

-- A refund before its payment is nobody's until the payment is known.
SELECT pg_temp.fact('refund.succeeded', 'r2', 'p2', 60, 30);
SELECT kind, payment_ref, reason, amount FROM erp_webhook.exceptions WHERE company_id = :company;
SELECT pg_temp.fact('payment.succeeded', 'p2', 'p2', 0, 100, 'M-2');
SELECT kind FROM erp_webhook.exceptions WHERE company_id = :company;
SELECT number, paid, credited, due, state FROM erp_webhook.invoice WHERE number = 'M-2';
-- A cumulative refund adds only what it exceeds those known one by one.
SELECT pg_temp.fact('refund.total', 'p2', 'p2', 70, 45);
SELECT payment_ref, captured, refunded FROM erp_webhook.payment WHERE company_id = :company AND payment_ref = 'p2';

-- A dispute takes the money back and gives it again; its fee stays.
SELECT pg_temp.fact('payment.succeeded', 'p3', 'p3', 0, 100, 'M-3'), pg_temp.fact('dispute.withdrawn', 'd3', 'p3', 60, 100, NULL, 20);
SELECT number, paid, credited, state FROM erp_webhook.invoice WHERE number = 'M-3';
SELECT pg_temp.fact('dispute.reinstated', 'd3', 'p3', 120, 100);
SELECT number, paid, credited, state FROM erp_webhook.invoice WHERE number = 'M-3';

-- Payouts: on their way, at the bank, returned; and one that the provider takes.
SELECT pg_temp.fact('payout.paid', 'po1', NULL, 0, 150), pg_temp.fact('payout.paid', 'po2', NULL, 0, 40), pg_temp.fact('payout.failed', 'po2', NULL, 0, 40),
       pg_temp.fact('payout.paid', 'po3', NULL, 0, -15);
SELECT payout_ref, amount, state FROM erp_webhook.payout WHERE company_id = :company ORDER BY 1;
-- Money changed at the provider.
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, amount, currency, to_amount, to_currency)
  VALUES (:company, :source, 'cv', 'conversion', 'applied', '2025-10-09', now(), 'cv1', 20, 'EUR', 21.5, 'USD');
SELECT * FROM pg_temp.ledger ORDER BY 1, 2;

-- Everything again changes nothing, and the books obey their laws.
SELECT erp_webhook.settle_again('money') AS again, (SELECT count(*) FROM erp_webhook.audit('money')) AS breaches;
UPDATE erp_webhook.voucher SET amount = 1;
DELETE FROM erp_webhook.entry;
DELETE FROM erp_webhook.invoice;
