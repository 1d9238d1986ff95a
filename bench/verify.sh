#!/usr/bin/env bash
# verify() in SQL on a 2 KB body, beside OpenSSL's own HMAC-SHA256 over as many bytes, on one core, turn by turn.
#
#   bench/verify.sh [ROUNDS]      against the running server of PGHOST … with the extension's files installed
#
# Both are counted in CPU time (as `openssl speed` does by itself), so that a busy machine slows neither. The cost of the
# loop that calls verify() is measured in the same round and taken off. Neighbours on the machine only ever add time (they
# evict caches), so the least time of each side counts. Exits non-zero below the target.
set -euo pipefail

rounds=${1:-7}
calls=500000
bytes=2048
target=0.70
core=$(taskset -pc $$ | sed 's/.*[:,-] *//')
db=ewh_bench_verify

psql -XAtqd postgres -c "DROP DATABASE IF EXISTS $db" -c "CREATE DATABASE $db ENCODING 'UTF8' TEMPLATE template0" 2>/dev/null
trap 'psql -XAtqd postgres -c "DROP DATABASE IF EXISTS $db"' EXIT
psql -XAtqd $db >/dev/null <<SQL
SET client_min_messages = warning;
CREATE EXTENSION erp_webhook;
SELECT erp_webhook.add_source('bench', 'stripe');
SELECT erp_webhook.add_secret('bench', 'whsec_bench_bench_bench');
CREATE TABLE request AS
  SELECT body, erp_webhook.sign('bench', body, '2026-12-01') || '{"content-type": "application/json", "user-agent": "bench", "host": "erp.example"}' AS headers
  FROM convert_to(rpad('{"id":"evt_1","pad":"', $bytes - 2, 'x') || '"}', 'UTF8') body;
SQL

# One backend on our core: microseconds of its CPU time per call, of verify() and of the empty loop.
sql_round() {
  taskset -c "$core" psql -XAtqd $db <<SQL
SET plan_cache_mode = force_generic_plan;
PREPARE proof(jsonb, bytea, int) AS
  SELECT count(erp_webhook.verify('bench', \$1, \$2, 'POST', NULL, '2026-12-01'))
  FROM generate_series(1, 1000) a, generate_series(1, \$3) b;
PREPARE empty(int) AS SELECT count(a) FROM generate_series(1, 1000) a, generate_series(1, \$1) b;
SELECT headers AS h, body AS b, pg_backend_pid() AS pid FROM request \gset
\setenv PID :pid
\! taskset -pc $core \$PID >/dev/null
EXECUTE proof(:'h', :'b', 10);
SELECT (erp_webhook.verify('bench', headers, body, at => '2026-12-01')).ok FROM request;
\! cut -d' ' -f1 /proc/\$PID/schedstat
EXECUTE proof(:'h', :'b', $((calls / 1000)));
\! cut -d' ' -f1 /proc/\$PID/schedstat
EXECUTE empty($((calls / 1000)));
\! cut -d' ' -f1 /proc/\$PID/schedstat
SQL
}

# The counts of calls made are checked and taken out; so is the one verdict.
check() { awk -v calls=$calls '$1 == "t" || $1 == 10000 || $1 == calls {seen++; next} {print} END {if (seen != 4) print "wrong verdict or count" > "/dev/stderr"}'; }

times=
echo "round  openssl speed -hmac sha256   verify() in SQL   ratio   (the loop)"
for round in $(seq "$rounds"); do
  speed=$(taskset -c "$core" openssl speed -mr -seconds 1 -bytes $bytes -hmac sha256 2>/dev/null | awk -F: '/^\+F/ {print $NF}')
  line=$(sql_round | check | paste -sd' ' | awk -v calls=$calls -v bytes=$bytes -v speed="$speed" '
    { loop = ($3 - $2) / calls / 1e3
      printf "%.3f %.3f %.3f", bytes / speed * 1e6, ($2 - $1) / calls / 1e3 - loop, loop }')
  echo "$round $line" | awk '{printf "%d      %.3f µs   %.3f µs   %.3f   (%.3f µs)\n", $1, $2, $3, $2 / $3, $4}'
  times="$times$line"$'\n'
done
printf '%s' "$times" | awk -v t=$target -v b=$bytes -v where="core $core, $(openssl version | cut -d' ' -f1,2), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" '
  NR == 1 || $1 < base { base = $1 }
  NR == 1 || $2 < proof { proof = $2 }
  END { printf "least: openssl %.3f µs, verify() %.3f µs: ratio %.3f, target %.2f (%d bytes, %s)\n", base, proof, base / proof, t, b, where
        exit !(base / proof >= t) }'
