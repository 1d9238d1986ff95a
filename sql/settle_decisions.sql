-- What people decide: assign, write off, resolve, link; closed books and dated policies; rules of one's own; retries.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('decide', 'EUR') AS company \gset
SELECT erp_webhook.add_source('decide-shop', 'generic', 'decide') AS source \gset
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-1', 'EUR') RETURNING account_id \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on, issued_on)
  SELECT :company, 'D-' || n, :account_id, 'EUR', 100, '2025-11-01', '2025-09-15' FROM generate_series(1, 4) n;
CREATE FUNCTION pg_temp.fact(kind text, ref text, pay text, at text, amount numeric, number text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  SELECT s.company_id, s.source_id, kind || ref, kind, 'applied', at::timestamptz, now(), ref, pay, CASE WHEN number IS NOT NULL THEN ARRAY[number] END, amount, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'decide-shop'
$$;
CREATE VIEW pg_temp.invoices AS SELECT number, paid, credited, written_off, due, state FROM erp_webhook.invoice
  WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'decide');

-- Money without a usable reference: a person says what it is for. The latest word holds.
SELECT pg_temp.fact('payment.succeeded', 'p1', 'p1', '2025-10-09', 100, 'D-?');
SELECT erp_webhook.assign('decide-shop', 'p1', '{D-1}', why => 'the customer called') > 0 AS assigned;
SELECT erp_webhook.assign('decide-shop', 'p1', '{D-2}', why => 'she meant the other one') > 0 AS assigned;
SELECT * FROM pg_temp.invoices WHERE paid > 0;
SELECT d.who = session_user AS me, d.why FROM erp_webhook.decision d WHERE d.company_id = :company ORDER BY d.event_id;
SELECT erp_webhook.assign('decide-shop', 'p1', '{D-1}', why => ' ');
SELECT erp_webhook.assign('decide-shop', 'p-unknown', '{D-1}', why => 'a guess');

-- A write-off gives way to what is paid after all.
SELECT erp_webhook.write_off('decide', 'D-1', 100, 'bankrupt') > 0 AS written_off;
SELECT * FROM pg_temp.invoices WHERE number = 'D-1';
SELECT pg_temp.fact('payment.succeeded', 'p3', 'p3', '2025-10-10', 30, 'D-1');
SELECT * FROM pg_temp.invoices WHERE number = 'D-1';
-- Corrected, then taken back: the latest word holds, and contradicts nobody.
SELECT erp_webhook.write_off('decide', 'D-3', 60, 'half of it') > 0 AS written_off;
SELECT erp_webhook.write_off('decide', 'D-3', 40, 'less than half') > 0 AS corrected;
SELECT * FROM pg_temp.invoices WHERE number = 'D-3';
SELECT erp_webhook.write_off('decide', 'D-3', 0, 'they will pay') > 0 AS taken_back;
SELECT * FROM pg_temp.invoices WHERE number = 'D-3';
SELECT kind, object_ref FROM erp_webhook.exceptions WHERE company_id = :company;
-- Resolved: no longer shown. It says who and why.
SELECT pg_temp.fact('payment.succeeded', 'p4', 'p4', '2025-10-10', 7);
SELECT kind, payment_ref, reason FROM erp_webhook.exceptions WHERE company_id = :company;
SELECT erp_webhook.resolve('decide', 'unallocated', 'decide-shop', 'p4', 'a gift') > 0 AS resolved;
SELECT count(*) FROM erp_webhook.exceptions WHERE company_id = :company;

-- Closed books: what belongs to a closed day is booked on the first open one, and a new policy does not touch it.
SELECT pg_temp.fact('payment.succeeded', 'p5', 'p5', '2025-09-20', 100, 'D-3'), pg_temp.fact('refund.succeeded', 'r5', 'p5', '2025-09-21', 40);
SELECT erp_webhook.set_policy('decide', 'closed_until', '2025-09-30');
SELECT erp_webhook.set_policy('decide', 'refund', 'reopen');
SELECT pg_temp.fact('refund.succeeded', 'r6', 'p5', '2025-09-22', 10);
SELECT pg_temp.fact('refund.succeeded', 'r7', 'p5', '2025-10-02', 20);
SELECT * FROM pg_temp.invoices WHERE number = 'D-3';
SELECT object_ref, booked_on, occurred_on, amount FROM erp_webhook.voucher WHERE company_id = :company AND object = 'refund' ORDER BY 1;
SELECT erp_webhook.set_policy('decide', 'refund', 'credit_note', '2025-09-01');

-- A rule of one's own is called with the event, in the same transaction.
CREATE TABLE pg_temp.seen (kind text, amount numeric);
CREATE FUNCTION public.note_event(e erp_webhook.event) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF e.amount = 13 THEN RAISE EXCEPTION 'no thirteens here'; END IF;
  INSERT INTO pg_temp.seen VALUES (e.kind, e.amount);
END $$;
SELECT erp_webhook.on_event('payment.succeeded', 'public.note_event(erp_webhook.event)', 'decide');
SELECT pg_temp.fact('payment.succeeded', 'p8', 'p8', '2025-10-09', 8, 'D-4');
SELECT * FROM pg_temp.seen;
SELECT pg_temp.fact('payment.succeeded', 'p13', 'p13', '2025-10-09', 13, 'D-4');
-- What failed is tried again when its cause is gone.
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, sqlstate, error, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  VALUES (:company, :source, 'failed', 'payment.succeeded', 'failed', 'P0001', 'no thirteens here', '2025-10-09', now(), 'p13', 'p13', '{D-4}', 13, 'EUR');
SELECT erp_webhook.retry_failed('decide') AS settled, (SELECT attempts FROM erp_webhook.event WHERE company_id = :company AND external_id = 'failed') AS attempts;
CREATE OR REPLACE FUNCTION public.note_event(e erp_webhook.event) RETURNS void LANGUAGE sql AS $$ SELECT $$;
SELECT erp_webhook.retry_failed('decide') AS settled;
SELECT * FROM pg_temp.invoices WHERE number = 'D-4';
DELETE FROM erp_webhook.event_rule WHERE company_id = :company;
DROP FUNCTION public.note_event(erp_webhook.event);
-- Derived columns are settlement's alone.
UPDATE erp_webhook.invoice SET paid = 100 WHERE company_id = :company;
UPDATE erp_webhook.account SET state = 'suspended' WHERE company_id = :company;
INSERT INTO erp_webhook.account (company_id, account_no, currency, state) VALUES (:company, 'C-9', 'EUR', 'suspended');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on, paid) VALUES (:company, 'D-9', :account_id, 'EUR', 1, '2025-11-01', 1);
SELECT erp_webhook.settle_again('decide') AS again, (SELECT count(*) FROM erp_webhook.audit('decide')) AS breaches;
