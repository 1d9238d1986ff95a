#!/usr/bin/env bash
# What the chain over vouchers costs: sealing them, verifying them, and the digest that each carries from the moment it is
# posted, which alone is on the hot path. On the cluster of the environment (test/cluster.sh env). Argument: how many
# vouchers; default 100000.
set -euo pipefail

db=erp_webhook_chain
n=${1:-100000}
psql -Xqc 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS $db" -c "CREATE DATABASE $db"
trap 'psql -Xqc "DROP DATABASE $db"' EXIT
psql -XqAtv ON_ERROR_STOP=1 -v n="$n" -d $db <<'SQL'
CREATE EXTENSION erp_webhook;
INSERT INTO erp_webhook.company (name, currency) VALUES ('chain', 'EUR');
INSERT INTO erp_webhook.source (company_id, source_id, name, provider) VALUES (1, 1, 'chain', 'generic');
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (1, 'C-1', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) SELECT 1, 'F-' || n, 1, 'EUR', 10, '2025-11-01' FROM generate_series(1, :n / 2) n;
VACUUM ANALYZE;
CREATE FUNCTION took(what text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  since constant timestamptz := clock_timestamp();
BEGIN
  EXECUTE what;
  RETURN 1000000 * extract(epoch FROM clock_timestamp() - since);
END $$;
-- Payments as they come, 256 at a time: each a voucher, as its invoice was.
CREATE PROCEDURE pay(most int) LANGUAGE plpgsql AS $$
BEGIN
  FOR f IN 1 .. most BY 256 LOOP
    INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
    SELECT 1, 1, 'p' || n, 'payment.succeeded', 'applied', '2025-10-09', now(), 'p' || n, 'p' || n, ARRAY['F-' || n], 10, 'EUR' FROM generate_series(f, least(most, f + 255)) n;
    COMMIT;
  END LOOP;
END $$;
SELECT clock_timestamp() AS since \gset
CALL pay(:n / 2);
SELECT 1000000 * extract(epoch FROM clock_timestamp() - :'since') / (:n / 2) AS settling \gset
VACUUM ANALYZE;
SELECT min(took('SELECT count(digest_now) FROM erp_webhook.voucher_now')) - min(took('SELECT count(e) FROM erp_webhook.voucher v CROSS JOIN LATERAL (
  SELECT string_agg(erp_webhook.entry_text(e.debit, e.credit, e.amount, e.currency), '''' ORDER BY e.entry_no) FROM erp_webhook.entry e
  WHERE e.company_id = v.company_id AND e.voucher_id = v.voucher_id OFFSET 0) e (e)')) AS digests FROM generate_series(1, 5) \gset
SELECT took('SELECT erp_webhook.seal_vouchers(1)') AS sealing \gset
VACUUM ANALYZE;
SELECT min(took('SELECT * FROM erp_webhook.verify_chain(''chain'')')) AS verifying FROM generate_series(1, 3) \gset
SELECT format('settling a payment (batches of 256, from the insert of its event): %s us; its digest: %s us, %s %% of it',
  round(:settling, 1), round(:digests / :n, 2), round(100 * :digests / :n / :settling, 1));
SELECT format('seal_vouchers(): %s us a voucher (%s s for %s)', round(:sealing / :n, 1), round(:sealing / 1000000, 2), :n);
SELECT format('verify_chain(): %s us a voucher (%s s)', round(:verifying / :n, 1), round(:verifying / 1000000, 2));
SQL
