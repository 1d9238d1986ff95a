-- Ground truth: every match that statements.jsonl names is found, both policies, and the payout equation it states holds.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
SET erp_webhook.clock = '2025-10-31T12:00:00Z';
\set camt053 `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/camt053_main.xml"`
\set camt054 `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/camt054_batch.xml"`
\set repeats `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/camt053_repeats_batch.xml"`
\set mt940 `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/mt940_plain.sta"`
\set truth `base64 -w0 "$PG_ABS_SRCDIR/test/data/statements/statements.jsonl"`
INSERT INTO company (name, currency) VALUES ('truth', 'EUR');
INSERT INTO source (company_id, name, provider) SELECT company_id, n, n FROM company, unnest('{standardwebhooks,stripe}'::text[]) n WHERE company.name = 'truth';
-- The facts of the stories payout_scheduled_paid_with_fees, payout_paid_then_failed and bank_credit_pays_invoice.
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, fee, value_date, correlation)
SELECT s.company_id, s.source_id, 't' || n, kind, 'applied', at, at, ref, CASE WHEN kind LIKE 'payment%' THEN ref ELSE payment END, amount, 'EUR', fee, value_date, refs
FROM (VALUES (1, 'standardwebhooks', 'payment.succeeded', 'p1', NULL, 150.00, 2.50, NULL::date, '2025-10-09 09:00Z'::timestamptz, '{INV-1}'::text[]),
  (2, 'standardwebhooks', 'payment.succeeded', 'p2', NULL, 99.99, 1.70, NULL, '2025-10-09 09:01Z', '{INV-2}'), (3, 'standardwebhooks', 'refund.succeeded', 'r1', 'p1', 20.00, NULL, NULL, '2025-10-09 09:02Z', NULL),
  (4, 'standardwebhooks', 'payout.scheduled', 'po_K1', NULL, 225.79, NULL, '2025-10-13', '2025-10-09 09:03Z', NULL), (5, 'standardwebhooks', 'payout.paid', 'po_K1', NULL, 225.79, NULL, '2025-10-13', '2025-10-11 09:00Z', NULL),
  (6, 'stripe', 'payment.succeeded', 'pi_u3', NULL, 50.00, NULL, NULL, '2025-10-09 09:00Z', NULL), (7, 'stripe', 'payout.paid', 'po_u3', NULL, 50.00, NULL, '2025-10-12', '2025-10-09 09:16Z', NULL),
  (8, 'stripe', 'payout.failed', 'po_u3', NULL, 50.00, NULL, '2025-10-12', '2025-10-10 10:00Z', NULL),
  (9, 'standardwebhooks', 'bank.credit', 'bk1', NULL, 75.25, NULL, NULL, '2025-10-09 09:00Z', '{INV-1}')) f (n, source, kind, ref, payment, amount, fee, value_date, at, refs)
JOIN source s ON s.name = f.source JOIN company c ON c.company_id = s.company_id AND c.name = 'truth';
SELECT import_statement('truth', f, decode(b, 'base64')) AS lines FROM (VALUES (1, 'camt.053', :'camt053'), (2, 'camt.054', :'camt054'), (3, 'camt.053', :'repeats'), (4, 'mt940', :'mt940')) v (n, f, b) ORDER BY n;

SELECT e ->> 'bank_ref' AS bank_ref, e -> 'matches' ->> 'payout' AS should_match, m.payout_ref AS matches
FROM string_to_table(btrim(convert_from(decode(:'truth', 'base64'), 'UTF8'), E'\n'), E'\n') t (l), LATERAL jsonb_array_elements(l::jsonb -> 'entries') e
LEFT JOIN bank_line b ON b.bank_ref = e ->> 'bank_ref' AND b.company_id = (SELECT company_id FROM company WHERE name = 'truth')
LEFT JOIN bank_match m ON m.company_id = b.company_id AND m.line_ref = b.object_ref WHERE e ? 'matches' ORDER BY 1;
SELECT item, payout_ref, provider_says, ledger_says, bank_says, state, value_date, booked_on, matched_by FROM reconciliation('truth', '2025-10-01', '2025-10-31') WHERE payout_ref IS NOT NULL OR bank_says = 75.25;
SELECT source, captured, refunds, fees, payouts, closing FROM clearing_rollforward('truth', '2025-10-01', '2025-10-31');
-- The batch and its parts are 300.00, whatever books them; bank money is what the statements say it became.
SELECT set_policy('truth', 'statement', 'post'), set_policy('truth', 'payout_arrives', 'on_statement');
SELECT sum(balance) FILTER (WHERE ledger_account = 'bank') AS bank, sum(balance) FILTER (WHERE ledger_account = 'bank') - 75.25 = 1584.54 - 1000.00 AS as_the_statements_say
FROM ledger_balance b JOIN company c USING (company_id) WHERE c.name = 'truth';
SELECT ledger_account, difference FROM cash_proof('truth');
SELECT * FROM audit('truth');
