#!/usr/bin/env bash
# What a payment that names 500 invoices, and one that names none and goes to the oldest, cost where their customer has so
# many: rows of invoice read, and milliseconds (the best of five). On the cluster of the environment (test/cluster.sh env). Arguments: how many invoices; default 5000 and 100000.
set -euo pipefail

db=erp_webhook_flat
psql -Xqc 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS $db" -c "CREATE DATABASE $db"
trap 'psql -Xqc "DROP DATABASE $db"' EXIT
psql -Xqv ON_ERROR_STOP=1 -d $db <<'SQL'
CREATE EXTENSION erp_webhook;
INSERT INTO erp_webhook.company (name, currency) VALUES ('flat', 'EUR');
INSERT INTO erp_webhook.source (company_id, source_id, name, provider) VALUES (1, 1, 'flat', 'generic');
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (1, 'C-1', 'EUR');
-- The same again for money that goes to the oldest.
INSERT INTO erp_webhook.company (name, currency) VALUES ('oldest', 'EUR');
INSERT INTO erp_webhook.source (company_id, source_id, name, provider) VALUES (2, 1, 'oldest', 'generic');
INSERT INTO erp_webhook.source_name (name, company_id, source_id) VALUES ('oldest', 2, 1) ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (2, 'C-1', 'EUR');
SELECT erp_webhook.set_policy('oldest', 'allocate', 'due_date'), erp_webhook.link_account('oldest', 'cus_1', 'C-1');
CREATE FUNCTION rows_read() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT pg_stat_get_xact_tuples_returned(i.indrelid) + pg_stat_get_xact_tuples_fetched(i.indrelid) + sum(pg_stat_get_xact_tuples_returned(i.indexrelid))
  FROM pg_index i WHERE i.indrelid = 'erp_webhook.invoice'::regclass GROUP BY i.indrelid
$$;
CREATE FUNCTION cost(company int, nth int, OUT rows bigint, OUT ms numeric) LANGUAGE plpgsql AS $$
DECLARE
  since constant timestamptz := clock_timestamp();
  before constant bigint := rows_read();
BEGIN
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, account_ref, amount, currency)
  SELECT company, 1, 'p' || nth, 'payment.succeeded', 'applied', date '2025-11-01' + nth * interval '1 second', now(), 'p' || nth, 'p' || nth, c.refs, 'cus_1',
         CASE company WHEN 1 THEN 4990 ELSE 25 END, 'EUR'
  FROM (SELECT CASE company WHEN 1 THEN ARRAY(SELECT 'F-' || n FROM generate_series(nth, nth + 499) n) END) c (refs);
  rows := rows_read() - before;
  ms := round(1000 * extract(epoch FROM clock_timestamp() - since), 1);
END $$;
SQL
have=0
[ $# -gt 0 ] || set -- 5000 100000
for n in "$@"; do
  psql -Xqd $db -c "INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
    SELECT a.company_id, 'F-' || n, a.account_id, 'EUR', 10, date '2025-01-01' + n % 300 FROM erp_webhook.account a, generate_series($have + 1, $n) n" -c 'VACUUM ANALYZE'
  for company in 1 2; do
    psql -XqAtd $db -c "SELECT $n || ' invoices, a payment that names ' || CASE $company WHEN 1 THEN '500' ELSE 'none' END || ': ' || min(c.rows) || ' rows, ' || min(c.ms) || ' ms'
      FROM generate_series($n - 2499, $n, 500) n CROSS JOIN LATERAL cost($company, n::int) c"
  done
  have=$n
done
