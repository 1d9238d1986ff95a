-- Payments :first to :last that came and were settled earlier, each with its paid invoice, written straight into the tables with
-- triggers off: a history to measure beside. Their bodies are a few bytes, so that ten million of them fit on a small disk; all
-- rows and index entries that ingest looks at are there. A million are 1.9 GB.
SET session_replication_role = replica;
SET synchronous_commit = off;
SET work_mem = '64MB';
CREATE TEMP TABLE fill AS
SELECT n, c.company_id, s.source_id, c.first_account + (n % c.accounts)::int AS account_id, nextval('erp_webhook.delivery_id') AS delivery_id,
       nextval('erp_webhook.event_event_id_seq') AS event_id, nextval('erp_webhook.voucher_voucher_id_seq') AS voucher_id,
       nextval('erp_webhook.invoice_invoice_id_seq') AS invoice_id, 'pi_3P' || lpad(n::text, 18, '0') AS payment,
       'A-' || lpad(n::text, 8, '0') AS number, round((10000 + n % 5000) / 100.0, 2) AS amount, now() - interval '40 days' AS at
FROM generate_series(:first::bigint, :last::bigint) n
CROSS JOIN (SELECT c.company_id, min(a.account_id) AS first_account, count(*) AS accounts
            FROM erp_webhook.company c JOIN erp_webhook.account a USING (company_id) WHERE c.name = 'Bench' GROUP BY c.company_id) c
JOIN erp_webhook.source s ON s.company_id = c.company_id AND s.name = 'stripe';
INSERT INTO erp_webhook.invoice (company_id, invoice_id, number, account_id, currency, total, issued_on, due_on, paid, state)
SELECT company_id, invoice_id, number, account_id, 'EUR', amount, at::date, at::date + 30, amount, 'paid' FROM fill;
INSERT INTO erp_webhook.delivery (company_id, delivery_id, received_at, source_id, method, headers, body, secret_id, signed_at)
SELECT company_id, delivery_id, at, source_id, 'POST', '{}', '{}', 1, at FROM fill;
INSERT INTO erp_webhook.event (company_id, event_id, source_id, external_id, type, kind, state, occurred_at, received_at, signed_at,
  delivery_id, object_ref, payment_ref, account_ref, correlation, amount, currency, digest)
SELECT company_id, event_id, source_id, 'evt_1P' || lpad(n::text, 18, '0'), 'payment_intent.succeeded', 'payment.succeeded', 'applied', at, at, at,
  delivery_id, payment, payment, 'cus_A' || lpad(n::text, 8, '0'), ARRAY[number], amount, 'EUR', sha256(n::text::bytea) FROM fill;
INSERT INTO erp_webhook.money_object (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective,
  decided_by, refs, account_ref, facts)
SELECT company_id, source_id, 'payment', payment, payment, 'EUR', amount, at, true, event_id, ARRAY[number], 'cus_A' || lpad(n::text, 8, '0'),
  ARRAY[event_id] FROM fill;
INSERT INTO erp_webhook.voucher (company_id, voucher_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
SELECT company_id, voucher_id, source_id, 'payment', payment, 1, event_id, at::date, at::date, amount, 'EUR', sha256(n::text::bytea) FROM fill;
INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
SELECT company_id, voucher_id, 1, 'clearing:stripe', 'receivable', amount, 'EUR' FROM fill;
INSERT INTO erp_webhook.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
SELECT company_id, invoice_id, source_id, 'payment', payment, amount FROM fill;
DROP TABLE fill;
