-- Allocation: references, ceilings, split strings, credit, due dates, credit notes with tax, tolerance.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('alloc', 'EUR') AS company \gset
SELECT erp_webhook.add_source('alloc-shop', 'generic', 'alloc') AS source \gset
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-1', 'EUR') RETURNING account_id \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, tax, due_on) VALUES
  (:company, 'L-1', :account_id, 'EUR', 121, 21, '2025-11-01'), (:company, 'L-2', :account_id, 'EUR', 50, 0, '2025-12-01'),
  (:company, 'L-3', :account_id, 'EUR', 20, 0, '2025-11-15'), (:company, 'L 4', :account_id, 'EUR', 10, 0, '2025-12-24');

CREATE FUNCTION pg_temp.pay(ref text, amount numeric, VARIADIC numbers text[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  SELECT s.company_id, s.source_id, 'pay' || ref, 'payment.succeeded', 'applied', timestamptz '2025-10-09 09:00+00' + right(ref, 1)::int * interval '1 hour', now(), ref, ref, numbers, amount, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'alloc-shop'
$$;
CREATE FUNCTION pg_temp.refund(ref text, pay text, amount numeric) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency)
  SELECT s.company_id, s.source_id, 'back' || ref, 'refund.succeeded', 'applied', timestamptz '2025-10-10 09:00+00', now(), ref, pay, amount, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'alloc-shop'
$$;
CREATE VIEW pg_temp.invoices AS SELECT number, total, paid, credited, written_off, due, state FROM erp_webhook.invoice
  WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'alloc');

-- A string is one reference if there is such an invoice, else its words; unknown words stay exceptions while money is left.
SELECT pg_temp.pay('a1', 15, 'L 4');
SELECT pg_temp.pay('a2', 70, 'L-2, L-3;tea|time');
SELECT * FROM pg_temp.invoices ORDER BY number;
SELECT kind, payment_ref, invoice_number, amount FROM erp_webhook.exceptions WHERE company_id = :company;
SELECT balance FROM erp_webhook.account_balance WHERE company_id = :company;

-- Credit notes carry their share of the tax, rounded on the whole, and are numbered without a gap.
SELECT pg_temp.pay('a3', 121, 'L-1');
SELECT pg_temp.refund('r1', 'a3', 10), pg_temp.refund('r2', 'a3', 10);
SELECT pg_temp.refund('r3', 'a3', 101);
SELECT kind, number, amount, tax FROM erp_webhook.document WHERE company_id = :company ORDER BY sequence;
SELECT * FROM pg_temp.invoices WHERE number = 'L-1';
SELECT ledger_account, balance FROM erp_webhook.ledger_balance WHERE company_id = :company ORDER BY 1;
-- A refund that fails after all: a debit note.
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency)
  VALUES (:company, :source, 'backfails', 'refund.failed', 'applied', '2025-10-12', now(), 'r3', 'a3', 101, 'EUR');
SELECT kind, number, amount, tax FROM erp_webhook.document WHERE company_id = :company AND kind = 'debit_note';

-- A ceiling per reference.
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) VALUES (:company, 'L-5', :account_id, 'EUR', 40, '2025-12-01'), (:company, 'L-6', :account_id, 'EUR', 40, '2025-12-01');
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, correlation_amounts, amount, currency)
  VALUES (:company, :source, 'ceil', 'payment.succeeded', 'applied', '2025-10-09 15:00+00', now(), 'a7', 'a7', '{L-5,L-6}', '{10,30}', 60, 'EUR');
SELECT number, paid, due FROM pg_temp.invoices WHERE number IN ('L-5', 'L-6') ORDER BY 1;
-- By due date, what is left (also of earlier payments) goes to the oldest open invoices.
SELECT erp_webhook.set_policy('alloc', 'allocate', 'due_date');
SELECT number, paid, due FROM pg_temp.invoices WHERE number IN ('L-5', 'L-6') ORDER BY 1;
-- Too little to ask for is written off, and comes back with the facts.
SELECT erp_webhook.set_policy('alloc', 'tolerance', '6');
SELECT number, paid, written_off, due, state FROM pg_temp.invoices WHERE number IN ('L-5', 'L-6') ORDER BY 1;
SELECT erp_webhook.set_policy('alloc', 'tolerance', '0');
SELECT number, paid, written_off, due, state FROM pg_temp.invoices WHERE number IN ('L-5', 'L-6') ORDER BY 1;

-- What takes back follows its payment, though that never succeeded: the references say whose it is.
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-2', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT :company, 'L-8', account_id, 'EUR', 25, '2025-12-01' FROM erp_webhook.account WHERE company_id = :company AND account_no = 'C-2';
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  VALUES (:company, :source, 'pending', 'payment.pending', 'applied', '2025-10-09 16:00+00', now(), 'a8', 'a8', '{L-8}', 5, 'EUR');
SELECT pg_temp.refund('r8', 'a8', 5);
SELECT kind, reason FROM erp_webhook.exceptions WHERE company_id = :company AND payment_ref = 'a8';
SELECT account_no, balance FROM erp_webhook.account_balance WHERE company_id = :company AND account_no = 'C-2';

-- What could never be paid exactly is refused.
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) VALUES (:company, 'L-9', :account_id, 'EUR', 5.001, '2025-11-01');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) VALUES (:company, 'L-9', :account_id, 'JPY', 5.5, '2025-11-01');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, tax, due_on) VALUES (:company, 'L-9', :account_id, 'EUR', 5.0000, 0.001, '2025-11-01');
UPDATE erp_webhook.invoice SET total = 40.555 WHERE company_id = :company AND number = 'L-5';

-- A corrected total, and an invoice that should not have been.
UPDATE erp_webhook.invoice SET total = 30 WHERE company_id = :company AND number = 'L-2';
SELECT erp_webhook.void_invoice('alloc', 'L-3');
SELECT number, total, paid, due, state FROM pg_temp.invoices ORDER BY number;
SELECT erp_webhook.settle_again('alloc') AS again, (SELECT count(*) FROM erp_webhook.audit('alloc')) AS breaches;
