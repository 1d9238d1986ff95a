#!/usr/bin/env bash
# What a payment that names 500 invoices costs where its customer has so many: rows of invoice read, and milliseconds (the
# best of five). On the cluster of the environment (test/cluster.sh env). Arguments: how many invoices; default 5000 and 100000.
set -euo pipefail

db=erp_webhook_flat
psql -Xqc 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS $db" -c "CREATE DATABASE $db"
trap 'psql -Xqc "DROP DATABASE $db"' EXIT
psql -Xqv ON_ERROR_STOP=1 -d $db <<'SQL'
CREATE EXTENSION erp_webhook;
INSERT INTO erp_webhook.company (name, currency) VALUES ('flat', 'EUR');
INSERT INTO erp_webhook.source (company_id, source_id, name, provider) VALUES (1, 1, 'flat', 'generic');
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (1, 'C-1', 'EUR');
CREATE FUNCTION rows_read() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT pg_stat_get_xact_tuples_returned(i.indrelid) + pg_stat_get_xact_tuples_fetched(i.indrelid) + sum(pg_stat_get_xact_tuples_returned(i.indexrelid))
  FROM pg_index i WHERE i.indrelid = 'erp_webhook.invoice'::regclass GROUP BY i.indrelid
$$;
CREATE FUNCTION cost(nth int, OUT rows bigint, OUT ms numeric) LANGUAGE plpgsql AS $$
DECLARE
  since constant timestamptz := clock_timestamp();
  before constant bigint := rows_read();
BEGIN
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  VALUES (1, 1, 'p' || nth, 'payment.succeeded', 'applied', now(), now(), 'p' || nth, 'p' || nth, ARRAY(SELECT 'F-' || n FROM generate_series(nth, nth + 499) n), 4990, 'EUR');
  rows := rows_read() - before;
  ms := round(1000 * extract(epoch FROM clock_timestamp() - since), 1);
END $$;
SQL
have=0
[ $# -gt 0 ] || set -- 5000 100000
for n in "$@"; do
  psql -Xqd $db -c "INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
    SELECT 1, 'F-' || n, 1, 'EUR', 10, date '2025-01-01' + n % 300 FROM generate_series($have + 1, $n) n" -c 'VACUUM ANALYZE'
  psql -XqAtd $db -c "SELECT $n || ' invoices: ' || min(c.rows) || ' rows, ' || min(c.ms) || ' ms'
    FROM generate_series($n - 2499, $n, 500) n CROSS JOIN LATERAL cost(n::int) c"
  have=$n
done
