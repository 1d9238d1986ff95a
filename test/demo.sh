#!/usr/bin/env bash
# `make demo`: a short business day of a company, played over HTTPS against a private PostgreSQL and the ingress.
# Every figure shown is also checked; the exit status says whether all were the expected ones.
#   KEEP=1   leave server and ingress running, and say how to look further and how to stop them
set -euo pipefail
cd "$(dirname "$0")/.."

test/dependencies.sh build

dir=$(mktemp -u "${TMPDIR:-/tmp}/ewh-demo.XXXXXX")
ingress_pid= wrong=0

finish() {
  local status=$?
  if [ "${KEEP:-}" = 1 ] && [ $status -le 1 ] && [ -n "$ingress_pid" ]; then
    cat <<END

Left running. To look:   psql "host=$dir port=5432 user=postgres dbname=demo"
              To post:   https://127.0.0.1:$port/hooks/stripe     (secret: $dir/stripe.secret)
              To stop:   kill $ingress_pid; test/cluster.sh stop $dir
END
    return
  fi
  [ -z "$ingress_pid" ] || { kill "$ingress_pid" 2>/dev/null; wait "$ingress_pid" 2>/dev/null; } || true
  [ ! -d "$dir" ] || test/cluster.sh stop "$dir" >/dev/null 2>&1 || true
}
trap finish EXIT

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
sql() { psql -X -q -v ON_ERROR_STOP=1 -d demo "$@"; }
show() { sql -P border=1 -P footer=off -c "$1"; }

# expect WHAT WANTED QUERY: one figure of the books, or the demo fails.
expect() {
  local got
  got=$(sql -At -c "$3")
  if [ "$got" = "$2" ]; then
    printf '  \033[32m✓\033[0m %s: %s\n' "$1" "$got"
  else
    printf '  \033[31m✗ %s: %s, expected %s\033[0m\n' "$1" "$got" "$2"
    wrong=1
  fi
}

# ---------------------------------------------------------------- the house
title "Building, and starting a private PostgreSQL in $dir"
CLUSTER_CONF='shared_preload_libraries = erp_webhook\nfsync = on' test/cluster.sh start "$dir"
eval "$(test/cluster.sh env "$dir")"
psql -X -q -d postgres -c 'CREATE DATABASE demo'
sql -c 'CREATE EXTENSION erp_webhook'

umask 077
printf 'whsec_%s' "$(openssl rand -hex 24)" > "$dir/stripe.secret"
[ "$(id -u)" != 0 ] || chown postgres: "$dir/stripe.secret"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
  -keyout "$dir/tls.key" -out "$dir/tls.crt" 2>/dev/null

today=$(date -u +%F) tomorrow=$(date -u -d '+1 day' +%F)
sql -o /dev/null <<SQL
SELECT erp_webhook.add_company(name => 'Kade BV', currency => 'EUR');
SELECT erp_webhook.add_source(source => 'stripe', provider => 'stripe', company => 'Kade BV');
SELECT erp_webhook.add_secret_file(source => 'stripe', path => '$dir/stripe.secret');
INSERT INTO erp_webhook.account (company_id, account_no, name, currency)
SELECT company_id, no, customer, 'EUR' FROM erp_webhook.company,
  (VALUES ('C-1', 'Bakker & Zonen'), ('C-2', 'De Vries IT'), ('C-3', 'Jansen Fietsen')) AS c (no, customer)
WHERE company.name = 'Kade BV';
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on, subscription_ref)
SELECT company_id, number, account_id, 'EUR', total, current_date + 14, sub
FROM erp_webhook.account JOIN (VALUES
  ('INV-1001', 'C-1', 150.00, NULL), ('INV-1002', 'C-1', 99.99, NULL), ('INV-1003', 'C-2', 1200.00, NULL),
  ('INV-1004', 'C-3', 49.00, 'sub_fiets')) AS i (number, no, total, sub) ON i.no = account_no;
SQL

port=$(( 20000 + RANDOM % 20000 )) admin=$(( 40000 + RANDOM % 20000 ))
ingress/erp-webhookd --listen 127.0.0.1:$port --tls-cert "$dir/tls.crt" --tls-key "$dir/tls.key" \
  --admin 127.0.0.1:$admin --dsn "host=$dir port=5432 user=postgres dbname=demo" > "$dir/ingress.log" 2>&1 &
ingress_pid=$!
for _ in $(seq 100); do
  curl -fs "http://127.0.0.1:$admin/readyz" >/dev/null 2>&1 && break
  kill -0 "$ingress_pid" 2>/dev/null || { cat "$dir/ingress.log" >&2; exit 2; }
  sleep 0.1
done

# ---------------------------------------------------------------- the provider
# What Stripe does: HMAC-SHA256 over "time.body" with the endpoint's secret, in the header Stripe-Signature. Made with
# openssl, so that nothing of ours vouches for ours.
deliver() { # BODY [TIME] [SECRET] → HTTP status
  local body=$1 t=${2:-$(date +%s)} key=${3:-$(cat "$dir/stripe.secret")} sig
  sig=$(printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$key" | sed 's/.*= //')
  curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/tls.crt" -H 'Content-Type: application/json' \
    -H "Stripe-Signature: t=$t,v1=$sig" --data-binary "$body" "https://127.0.0.1:$port/hooks/stripe"
}

# A Stripe event: ID TYPE TIME OBJECT
event() {
  printf '{"id":"%s","object":"event","api_version":"2024-06-20","created":%s,"livemode":true,"type":"%s","data":{"object":%s}}' \
    "$1" "$3" "$2" "$4"
}
# A payment intent: ID CENTS INVOICE [CUSTOMER]
intent() {
  printf '{"id":"%s","object":"payment_intent","amount":%s,"amount_received":%s,"currency":"eur","customer":%s,"status":"succeeded","invoice":null,"metadata":{"invoice_number":"%s"}}' \
    "$1" "$2" "$2" "${4:-null}" "$3"
}

play() { # WANTED-STATUS WHAT BODY [TIME] [SECRET]
  local status
  status=$(deliver "${@:3}")
  printf '  %-66s %s\n' "$2" "$status"
  [ "$status" = "$1" ] || { printf '  \033[31m✗ expected %s\033[0m\n' "$1"; wrong=1; }
}

invoices="SELECT number, account_no AS customer, total, paid, credited, total - credited - paid - written_off AS due, i.state, due_on
  FROM erp_webhook.invoice i JOIN erp_webhook.account USING (company_id, account_id) ORDER BY number"

title "Invoices in the morning"
show "$invoices"

title "The day, over HTTPS (each line: one delivery and what the provider was answered)"
now=$(date +%s)
paid=$(event evt_1 payment_intent.succeeded $((now - 300)) "$(intent pi_1 15000 INV-1001)")
play 200 "payment of 150.00 for INV-1001" "$paid"
play 200 "the same delivery again" "$paid"
play 200 "and again: at least once is what providers promise" "$paid"
play 200 "payment of 500.00, a part of INV-1003" \
  "$(event evt_2 payment_intent.succeeded $((now - 280)) "$(intent pi_2 50000 INV-1003)")"
play 401 "forged: right in form, signed with another secret" \
  "$(event evt_3 payment_intent.succeeded $((now - 270)) "$(intent pi_3 9999 INV-1002)")" "$now" whsec_not_the_secret_of_this_endpoint
play 401 "stale: a true delivery, replayed an hour later" \
  "$(event evt_4 payment_intent.succeeded $((now - 3600)) "$(intent pi_4 9999 INV-1002)")" $((now - 3600))
play 200 "refund of 30.00 of the first payment" "$(event evt_5 refund.created $((now - 200)) \
  '{"id":"re_1","object":"refund","amount":3000,"currency":"eur","payment_intent":"pi_1","charge":"ch_1","status":"succeeded","metadata":{}}')"
play 200 "subscription of Jansen Fietsen: the card is declined" "$(event evt_6 invoice.payment_failed $((now - 180)) \
  '{"id":"in_1","object":"invoice","number":"INV-1004","amount_due":4900,"amount_paid":0,"amount_remaining":4900,"currency":"eur","customer":"cus_3","subscription":"sub_fiets","payment_intent":"pi_6","attempt_count":1,"status":"open","metadata":{}}')"
expect "Jansen Fietsen meanwhile" suspended "SELECT state FROM erp_webhook.account WHERE account_no = 'C-3'"
play 200 "subscription of Jansen Fietsen: paid after all" "$(event evt_7 invoice.paid $((now - 60)) \
  '{"id":"in_1","object":"invoice","number":"INV-1004","amount_due":4900,"amount_paid":4900,"amount_remaining":0,"currency":"eur","customer":"cus_3","subscription":"sub_fiets","payment_intent":"pi_6","attempt_count":2,"status":"paid","metadata":{}}')"
play 200 "payout of 600.00, on the bank account tomorrow" "$(event evt_8 payout.created $((now - 30)) \
  "{\"id\":\"po_1\",\"object\":\"payout\",\"amount\":60000,\"currency\":\"eur\",\"arrival_date\":$(date -u -d "$tomorrow" +%s),\"status\":\"pending\",\"metadata\":{}}")"

title "Invoices in the evening"
show "$invoices"

title "The journal"
show "SELECT voucher_id AS voucher, booked_on, source, object, object_ref, ledger_account, debit, credit, currency
  FROM erp_webhook.journal ORDER BY voucher_id, entry_no, debit"

title "The ledger"
show "SELECT ledger_account, currency, balance FROM erp_webhook.ledger_balance ORDER BY 1, 2"

title "Customer accounts"
show "SELECT account_no, currency, balance, state FROM erp_webhook.account_balance ORDER BY 1, 2"

title "What was received, what was rejected, and why"
show "SELECT source, outcome, reason, n FROM erp_webhook.stats ORDER BY 1, 2, 3"

title "Cash to come"
show "SELECT day, amount, currency, source, what, why FROM erp_webhook.cash_to_come('Kade BV', 30)"

title "The figures"
invoice() { expect "$1 paid/credited/state" "$2" "SELECT trim_scale(paid) || '/' || trim_scale(credited) || '/' || state FROM erp_webhook.invoice WHERE number = '$1'"; }
ledger() { expect "$1" "$2" "SELECT to_char(coalesce(sum(balance), 0), 'FM999990.00') FROM erp_webhook.ledger_balance WHERE ledger_account = '$1'"; }
invoice INV-1001 120/30/paid
invoice INV-1002 0/0/open
invoice INV-1003 500/0/partial
invoice INV-1004 49/0/paid
ledger clearing:stripe 669.00
ledger receivable 799.99
ledger revenue -1498.99
ledger returns 30.00
expect "suspended accounts" 0 "SELECT count(*) FROM erp_webhook.account WHERE state = 'suspended'"
expect "events kept (ten deliveries, two duplicates, two rejected)" 6 "SELECT count(*) FROM erp_webhook.event"
expect "the payout's state and value date" "scheduled $tomorrow" "SELECT state || ' ' || value_date FROM erp_webhook.payout"
expect "laws broken, by audit()" 0 "SELECT count(*) FROM erp_webhook.audit()"
expect "vouchers posted when everything is settled again" 0 "SELECT erp_webhook.settle_again('Kade BV')"

if [ "$wrong" = 0 ]; then
  title "Every figure is the expected one."
  echo 'To look further:  make demo KEEP=1, then  SELECT * FROM erp_webhook.why('"'Kade BV', 'INV-1001'"');'
else
  title "Some figure is not the expected one."
fi
exit "$wrong"
