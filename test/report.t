#!/usr/bin/env bash
# The page in a real browser: rendered, no console message, nothing fetched, hostile names harmless, 10,000 invoices quick.
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "1..0 # SKIP no chromium here: apt-get install chromium"
  exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
ok() { n=$((n + 1)); if eval "$1"; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }
chrome() { # one run of the browser on a file, in a profile of its own
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
    --disable-sync --user-data-dir="$dir/profile$RANDOM" --hide-scrollbars --enable-logging=stderr "$@"
}

sql <<'SQL' >/dev/null
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
INSERT INTO company (name, currency) VALUES ('</title><script>document.title="owned"</script>', 'EUR');
CREATE TEMP TABLE it AS SELECT company_id AS id FROM company WHERE name LIKE '</title>%';
INSERT INTO source (company_id, name, provider) SELECT id, 'page-shop', 'generic' FROM it;
INSERT INTO account (company_id, account_no, name, currency)
SELECT id, 'A' || n, CASE n % 5 WHEN 0 THEN '<script>document.title="owned"</script>' WHEN 1 THEN '"><img src="http://127.0.0.1:1/x" onerror="document.title=''owned''">'
  WHEN 2 THEN '=HYPERLINK("http://127.0.0.1:1")' WHEN 3 THEN '</td></table></svg><style>body{display:none}</style>' ELSE E'Ümläut & Söhne ''"\u202e' END, 'EUR' FROM it, generate_series(1, 400) n;
INSERT INTO invoice (company_id, number, account_id, currency, total, due_on)
SELECT a.company_id, 'INV<b>' || a.account_no || '-' || n, a.account_id, 'EUR', (n * 7.31)::numeric(12,2), current_date - 60 + 5 * n FROM account a JOIN it ON a.company_id = it.id, generate_series(1, 25) n;
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency, correlation)
SELECT s.company_id, s.source_id, 'pay' || n, 'payment.succeeded', 'applied', now() - n % 40 * interval '1 day', now(), 'p' || n, 'p' || n, n * 7.31, 'EUR', ARRAY['INV<b>A' || n || '-' || 1 + n % 25] FROM source s, generate_series(1, 300) n WHERE s.name = 'page-shop';
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, amount, currency, value_date)
SELECT s.company_id, s.source_id, 'out' || n, 'payout.paid', 'applied', now() - n * interval '3 days', now(), 'po<i>' || n, n * 100, 'EUR', current_date + 1 - 3 * n FROM source s, generate_series(1, 8) n WHERE s.name = 'page-shop';
SELECT import_statement((SELECT name FROM company JOIN it ON id = company_id), 'csv', convert_to(E'account,booking_date,amount,currency,reference,counterparty\nX,' || current_date - 2 || E',12.00,EUR,<script>document.title=1</script>,=1+1\n', 'UTF8'));
SQL
company="(SELECT name FROM erp_webhook.company WHERE name LIKE '</title>%' ORDER BY company_id DESC LIMIT 1)"
started=$(date +%s%N)
sql -c "SELECT erp_webhook.report_html($company, current_date - 60, current_date, prepared_by => '<script>')" > "$dir/page.html"
took=$((($(date +%s%N) - started) / 1000000))
echo "# $(wc -c < "$dir/page.html") bytes with 10,000 invoices in $took ms"
ok '[ "$took" -lt 15000 ]' "10,000 invoices: a page within seconds"
ok '! grep -qiE "<(script|img|iframe|object|link rel=.stylesheet)" "$dir/page.html"' "no script, picture or frame in the page"
ok '! grep -oE "(src|href)=\"[^\"]{0,40}" "$dir/page.html" | grep -vqE "href=\"(#|data:text/csv;charset=utf-8;base64,|data:,)"' "no outside resource"

for look in "light 1300,1600" "dark 1300,1600 --force-dark-mode" "phone 500,1800"; do
  read -r name size flag <<< "$look"
  chrome --window-size="$size" $flag --screenshot="$dir/$name.png" "file://$dir/page.html" > "$dir/$name.log" 2>&1 || true
  ok '[ "$(wc -c < "$dir/$name.png")" -gt 30000 ]' "$name: rendered"
  ok '! grep -q CONSOLE "$dir/$name.log"' "$name: nothing on the console"
done
if [ -n "${REPORT_KEEP:-}" ]; then cp "$dir"/*.png "$dir/page.html" "$REPORT_KEEP"/; fi

chrome --dump-dom "file://$dir/page.html" > "$dir/dom.html" 2>/dev/null || true
ok 'grep -q "<title>&lt;/title&gt;&lt;script&gt;" "$dir/dom.html" && ! grep -q "<title>owned" "$dir/dom.html"' "hostile names are text: nothing of them ran"
ok '[ "$(grep -o "<section" "$dir/dom.html" | wc -l)" -eq 6 ] && [ "$(grep -o "<table" "$dir/dom.html" | wc -l)" -ge 7 ]' "all sections and tables are there"
ok '[ "$(grep -o "<table" "$dir/dom.html" | wc -l)" -eq "$(grep -o "<caption" "$dir/dom.html" | wc -l)" ] && grep -q "role=\"img\" aria-label" "$dir/dom.html"' "every table has a caption, the chart a name"
grep -o 'download="ageing.csv" href="data:text/csv;charset=utf-8;base64,[^"]*' "$dir/page.html" | sed 's/.*base64,//' | base64 -d > "$dir/ageing.csv"
ok '[ "$(wc -l < "$dir/ageing.csv")" -eq 401 ]' "all customers are in the CSV"
ok "grep -q \",\\\"'=HYPERLINK\" \"$dir/ageing.csv\" && ! grep -qE '(^|,)\"?[=+@]' \"$dir/ageing.csv\"" "no cell of the CSV is a formula"
ok '[ "$(grep -o "<table" "$dir/dom.html" | wc -l)" -eq "$(grep -o "class=\"csv\"" "$dir/dom.html" | wc -l)" ]' "every table is there as CSV"

# Measured in the browser, on a copy that lets our own script run: contrast of every text, what runs out sideways, what a keyboard reaches.
measure() { # NAME SIZE FLAG …: prints "contrast overflow unreachable"
  { sed 's/<meta http-equiv="Content-Security-Policy"[^>]*>//' "$dir/page.html"; cat test/report_measure.html; } > "$dir/measured.html"
  chrome --window-size="$2" "${@:3}" --dump-dom "file://$dir/measured.html" 2>/dev/null | grep -o 'data-measured="[^"]*"' | sed 's/.*="//; s/"//'
}
for look in "light 1300,1600" "dark 1300,1600 --force-dark-mode" "phone 500,1800"; do
  read -r name size flag <<< "$look"
  read -r contrast overflow unreachable <<< "$(measure "$name" "$size" $flag)"
  echo "# $name: least contrast ${contrast:-?}, page wider than the window by ${overflow:-?}, unreachable ${unreachable:-?}"
  ok '[ -n "$contrast" ] && awk "BEGIN{exit !($contrast >= 4.5)}"' "$name: every text stands out from its ground by 4.5 (WCAG 2.1, 1.4.3)"
  ok '[ "${overflow:-1}" -eq 0 ]' "$name: the page itself never moves sideways"
  ok '[ "${unreachable:-1}" -eq 0 ]' "$name: a keyboard reaches each link and each table that can be moved"
done
chrome --print-to-pdf="$dir/page.pdf" --no-pdf-header-footer "file://$dir/page.html" > /dev/null 2>&1 || true
ok '[ "$(wc -c < "$dir/page.pdf")" -gt 50000 ]' "it prints"

# What says that nothing happened must be able to say that something did.
printf '<meta http-equiv="Content-Security-Policy" content="default-src %s"><body><img src="http://127.0.0.1:1/x">' "'none'" > "$dir/loud.html"
chrome --screenshot="$dir/loud.png" "file://$dir/loud.html" > "$dir/loud.log" 2>&1 || true
ok 'grep -q CONSOLE "$dir/loud.log"' "a page with something wrong does speak on the console"
echo "1..$n"
