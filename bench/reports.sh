#!/usr/bin/env bash
# What reports cost: a day's reconciliation beside a history of 1x and of 100x (the day costs the day: within 20 %), and a month
# beside one hand-written aggregate over the same rows (within 5 times). Exits non-zero where that does not hold.
#   bench/reports.sh [DAYS [PAYMENTS_A_DAY [PAYMENTS_A_MONTH]]]   against the server of PGHOST, PGPORT … (superuser; test/cluster.sh env DIR)
# 1x is DAYS days (default 10, at least 2), 100x a hundred times that; each day has 20 payouts, their bank lines and PAYMENTS_A_DAY payments
# (default 100). The month has PAYMENTS_A_MONTH (default a million). At full size, 10 10000, it is a history of 10 million and a month
# of 1 million, which takes a quarter of an hour and 6 GB. The rows (vouchers, entries; payouts and lines with all of theirs) are written
# straight into the tables with triggers off: what is measured is reading.
set -euo pipefail
days=${1:-10} payments=${2:-100} a_month=${3:-1000000}
runs=15

build() { # DATABASE DAYS PAYMENTS_A_DAY
  psql -XqAt -d postgres -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1"
  psql -XqAt -d "$1" -v ON_ERROR_STOP=1 -v days="$2" -v payments="$3" <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION erp_webhook;
SET search_path = erp_webhook, public;
INSERT INTO company (company_id, name, currency) OVERRIDING SYSTEM VALUE VALUES (1, 'default', 'EUR');
INSERT INTO source (company_id, source_id, name, provider) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'shop', 'generic');
SET session_replication_role = replica;
CREATE TEMP TABLE day AS SELECT DATE '2026-01-31' - n AS day, n FROM generate_series(0, :days - 1) n;
INSERT INTO voucher (company_id, voucher_id, source_id, object, object_ref, step, booked_on, occurred_on, amount, currency, digest)
SELECT 1, row_number() OVER (ORDER BY day), 1, 'payment', 'p' || n || '-' || k, 1, day, day, 10, 'EUR', sha256(k::text::bytea) FROM day, generate_series(1, :payments) k;
INSERT INTO entry SELECT 1, voucher_id, 1, 'clearing:shop', 'receivable', 10, 'EUR' FROM voucher;
CREATE TEMP TABLE payout_ AS SELECT day, 'po_' || n || 'x' || k AS ref, 100 + k AS amount, 1000000000 + row_number() OVER () * 2 AS id FROM day, generate_series(1, 20) k;
INSERT INTO voucher (company_id, voucher_id, source_id, object, object_ref, step, booked_on, occurred_on, amount, currency, digest)
SELECT 1, id + v, 1, o, ref, 1, day - 1 + v::int, day, amount, 'EUR', sha256(ref::bytea) FROM payout_, (VALUES (0, 'payout'), (1, 'arrival')) x (v, o);
INSERT INTO entry SELECT 1, id + v, 1, d, c, amount, 'EUR' FROM payout_, (VALUES (0, 'in_transit', 'clearing:shop'), (1, 'bank', 'in_transit')) x (v, d, c);
INSERT INTO bank_file (company_id, file_id, format, digest, content) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'camt.053', '\x', '\x');
INSERT INTO bank_statement OVERRIDING SYSTEM VALUE SELECT 1, 1 + n, 1, 1 + n, 'S' || n, 'X', 'EUR', day, day, 0, 0 FROM day;
INSERT INTO bank_entry (company_id, statement_id, object_ref, account, booking_date, value_date, amount, currency, end_to_end_id, bank_ref, reference, counterparty)
SELECT 1, 1, 'X/' || ref || '/' || amount, 'X', day, day, amount, 'EUR', ref, 'K' || ref, 'PAYOUT ' || ref, 'SHOP' FROM payout_;
INSERT INTO bank_item SELECT 1, 'payout', 1, ref, 'EUR', day, day, day, amount, 'paid', NULL, NULL, NULL, NULL, false, day FROM payout_;
INSERT INTO bank_item SELECT 1, 'line', 0, object_ref, 'EUR', value_date, value_date, booking_date, amount, 'booked', 'X', 'SHOP', bank_ref, end_to_end_id, false, booking_date FROM bank_entry;
INSERT INTO bank_match SELECT 1, 0, 'X/' || ref || '/' || amount, 1, ref, 'EUR', amount, 'EUR', 'reference', 'the line names the payout' FROM payout_;
INSERT INTO money_object (company_id, source_id, object, object_ref, denomination, currency, amount, effective, value_date) SELECT 1, 1, 'payout', ref, 'EUR', 'EUR', amount, true, day FROM payout_;
SET session_replication_role = origin;
VACUUM ANALYZE;
SQL
}

median() { # DATABASE QUERY: milliseconds of the middle run
  { echo "SET search_path = erp_webhook, public; SET max_parallel_workers_per_gather = 0; SET jit = off; SET erp_webhook.clock = '2026-02-05T00:00:00Z';"
    echo "\\o /dev/null"; for _ in 1 2 3; do echo "$2;"; done; echo "\\o"; echo "\\timing on"; echo "\\o /dev/null"; for _ in $(seq $runs); do echo "$2;"; done; } |
    psql -XqAt -d "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | sort -n | sed -n "$((runs / 2 + 1))p"
}

day="SELECT * FROM reconciliation('default', '2026-01-30', '2026-01-30')"
build ewh_bench_1x "$days" "$payments"
build ewh_bench_100x "$((days * 100))" "$payments"
one=$(median ewh_bench_1x "$day")
hundred=$(median ewh_bench_100x "$day")
rows=$(psql -XqAt -d ewh_bench_100x -c "SELECT count(*) FROM erp_webhook.voucher")
echo "a day's reconciliation: $one ms beside $days days, $hundred ms beside $((days * 100)) days ($rows vouchers): $(awk "BEGIN{printf \"%.2f\", $hundred / $one}") times"
awk "BEGIN{exit !($hundred <= 1.2 * $one)}" || { echo "  more than 20 % dearer"; failed=1; }

# For the record, not held to anything: balances over all that ever was, before the worker summed the ledger by day and after.
runs=3
for when in "vouchers read one by one" "summed by day"; do
  for q in "clearing_rollforward('default', '2026-01-30', '2026-01-30')" "cash_position('default', '2026-01-31')"; do
    echo "beside it, ${q%%(*}() of that history, $when: $(median ewh_bench_100x "SELECT * FROM $q") ms"
  done
  psql -XqAt -d ewh_bench_100x -o /dev/null -c "SELECT setval('erp_webhook.voucher_voucher_id_seq', max(voucher_id)) FROM erp_webhook.voucher" \
    -c "SELECT erp_webhook.sum_days()" -c "SELECT erp_webhook.sum_days()"
done

# The month is not summed: read as it would be with no worker running.
build ewh_bench_month 31 "$((a_month / 31))"
runs=5
month=$(median ewh_bench_month "SELECT count(*) FROM reconciliation('default', '2026-01-01', '2026-01-31') UNION ALL SELECT count(*) FROM clearing_rollforward('default', '2026-01-01', '2026-01-31')")
hand=$(median ewh_bench_month "SELECT v.source_id, v.object, e.debit, e.credit, e.currency, sum(e.amount) FROM voucher v JOIN entry e USING (company_id, voucher_id) WHERE v.company_id = 1 AND v.booked_on BETWEEN '2026-01-01' AND '2026-01-31' GROUP BY 1, 2, 3, 4, 5")
rows=$(psql -XqAt -d ewh_bench_month -c "SELECT count(*) FROM erp_webhook.voucher")
echo "a month's reconciliation and roll-forward of $rows vouchers: $month ms; one hand-written aggregate: $hand ms: $(awk "BEGIN{printf \"%.2f\", $month / $hand}") times"
awk "BEGIN{exit !($month <= 5 * $hand)}" || { echo "  more than 5 times"; failed=1; }
for d in 1x 100x month; do psql -XqAt -d postgres -c "DROP DATABASE ewh_bench_$d"; done
exit "${failed:-0}"
