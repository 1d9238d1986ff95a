#!/usr/bin/env bash
# Dump and restore keep everything: settled books are dumped in both formats, restored into new databases, compared
# table by table and sequence by sequence, audited, and take one more event. Nothing is derived twice on the way.
set -uo pipefail

n=0 failures=0
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failures=$((failures + 1)); fi; }
is() { if [ "$1" = "$2" ]; then ok 0 "$3"; else ok 1 "$3"; printf '#   got:  %s\n#   want: %s\n' "$1" "$2"; fi; }

base=erp_webhook_dump
dir=$(mktemp -d)
cleanup() { for d in "$base" "${base}_custom" "${base}_plain"; do dropdb --if-exists --force "$d" 2>/dev/null; done; rm -rf "$dir"; }
trap cleanup EXIT
cleanup 2>/dev/null; mkdir -p "$dir"
sql() { psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

# Broken laws, and what settling everything again would post: none and nothing, on sound books.
sound() { sql "$1" "SELECT erp_webhook.settle_again('dump nv') + (SELECT count(*) FROM erp_webhook.audit())"; }

# Send one event of the shop. The token provider is a row of the user's own: it must be in the dump too.
send() {
  sql "$1" "SELECT outcome FROM erp_webhook.ingest('dump-shop', '{\"x-token\": \"dump-token\", \"webhook-id\": \"$2\"}',
    convert_to('{\"type\": \"$3\", \"timestamp\": \"2026-01-05T10:00:00Z\", \"data\": {\"id\": \"$4\", \"amount\": \"$5\", \"currency\": \"EUR\", \"invoice_number\": \"$6\"}}', 'UTF8'))"
}

createdb "$base"
psql -Xq -v ON_ERROR_STOP=1 -d "$base" > /dev/null <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION erp_webhook;
INSERT INTO erp_webhook.provider (provider, scheme, reading)
  SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading FROM erp_webhook.provider WHERE provider = 'generic';
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
  SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic';
-- A shipped provider with a rule of the user's own, and one that the user made his own altogether.
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind) VALUES ('stripe', 1, '{"type": "tea.ready"}', 'other');
UPDATE erp_webhook.provider SET note = 'ours now', shipped = false WHERE provider = 'github';
SELECT erp_webhook.add_company('dump nv', 'EUR');
SELECT erp_webhook.add_source('dump-shop', 'token', 'dump nv'), erp_webhook.add_source('dump-stripe', 'stripe', 'dump nv');
SELECT erp_webhook.add_secret('dump-shop', 'dump-token');
INSERT INTO erp_webhook.account (company_id, account_no, name, currency)
  SELECT company_id, 'A1', 'Alpha', 'EUR' FROM erp_webhook.company WHERE name = 'dump nv';
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT a.company_id, 'D-' || i, a.account_id, 'EUR', 100, '2026-02-01' FROM erp_webhook.account a, generate_series(1, 5) i WHERE a.account_no = 'A1';
SELECT erp_webhook.link_account('dump-shop', 'cus_1', 'A1');
SELECT erp_webhook.set_policy('dump nv', 'refund', 'reopen');
SELECT * FROM erp_webhook.maintain();
SQL
ok $? "books are set up"

send "$base" e1 payment.succeeded p1 100.00 D-1 > /dev/null
send "$base" e2 payment.succeeded p2 40.00 D-2 > /dev/null
send "$base" e3 refund.succeeded r1 10.00 D-2 > /dev/null
send "$base" e4 payment.succeeded p4 12,50 D-3 > /dev/null        # quarantined
send "$base" e1 payment.succeeded p1 101.00 D-1 > /dev/null       # contradicts e1
send "$base" e5 payout.paid po1 90.00 "" > /dev/null
sql "$base" "SET erp_webhook.clock = '2001-01-01 00:00Z'; SELECT erp_webhook.ingest('dump-shop', '{\"x-token\": \"dump-token\", \"webhook-id\": \"e6\"}', '{}')" > /dev/null   # in the default partition
is "$(sql "$base" "SELECT count(*) > 0 FROM erp_webhook.voucher")" t "they are settled"
is "$(sound "$base")" 0 "and sound"
# A voucher is summed in the second step after it; a transaction of others may hold a step up.
sum_days() { for _ in 1 2 3 4 5 6; do sql "$1" "SELECT erp_webhook.sum_days()" > /dev/null; sleep 0.2; done; }
all_summed="SELECT (SELECT max(upto) FROM erp_webhook.day_sum_state) >= max(voucher_id) FROM erp_webhook.voucher"
sum_days "$base"
is "$(sql "$base" "$all_summed")" t "the ledger is summed by day"
is "$(sql "$base" "SELECT count(*) > 3 FROM pg_inherits WHERE inhparent = 'erp_webhook.delivery'::regclass")" t "deliveries have months"

# Every table and every sequence of the schema as text.
fingerprint() {
  local d=$1 t
  for t in $(sql "$d" "SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'erp_webhook'::regnamespace AND c.relkind = 'r' ORDER BY c.relname COLLATE \"C\""); do
    echo "$t $(sql "$d" "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text COLLATE \"C\")), '') FROM ONLY $t t")"
  done
  for t in $(sql "$d" "SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'erp_webhook'::regnamespace AND c.relkind = 'S' ORDER BY c.relname COLLATE \"C\""); do
    echo "$t $(sql "$d" "SELECT last_value, is_called FROM $t")"
  done
}

pg_dump -Fc -f "$dir/dump.custom" "$base" && pg_dump -Fp -f "$dir/dump.sql" "$base"
ok $? "pg_dump in both formats"
fingerprint "$base" > "$dir/before"

restored() {
  local d=$1
  fingerprint "$d" > "$dir/after"
  diff "$dir/before" "$dir/after" > "$dir/diff"; ok $? "$2: every table and sequence is as it was"
  sed 's/^/# /' "$dir/diff"
  is "$(sound "$d")" 0 "$2: the books are sound"
  is "$(sql "$d" "SELECT note FROM erp_webhook.provider WHERE provider = 'github'")" "ours now" "$2: a shipped row made one's own stays one's own"
  is "$(send "$d" e1 payment.succeeded p1 100.00 D-1)" duplicate "$2: what was known is known"
  is "$(send "$d" e9 payment.succeeded p9 60.00 D-2)" accepted "$2: one more event"
  sum_days "$d"
  is "$(sql "$d" "$all_summed")" t "$2: it is summed too"
  is "$(sound "$d")" 0 "$2: and the books are sound with it"
  is "$(sql "$d" "DELETE FROM erp_webhook.delivery" 2>&1 | grep -c 'not allowed')" 1 "$2: the evidence is guarded"
  is "$(sql "$d" "TRUNCATE $(sql "$d" "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'erp_webhook.delivery'::regclass AND inhrelid::regclass::text ~ '[0-9]'")" 2>&1 | grep -c 'not allowed')" 1 "$2: in its months too"
}

createdb "${base}_custom" && pg_restore --exit-on-error -d "${base}_custom" "$dir/dump.custom"
ok $? "pg_restore"
restored "${base}_custom" custom
createdb "${base}_plain" && psql -Xq -v ON_ERROR_STOP=1 -d "${base}_plain" -f "$dir/dump.sql" > /dev/null
ok $? "psql < dump.sql"
restored "${base}_plain" plain

echo "1..$n"
[ "$failures" = 0 ]
