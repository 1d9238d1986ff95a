#!/usr/bin/env bash
# The sealing key: made once however many come first, kept from strangers, taken from a file or a command, and missed
# or changed with a clear error. Needs nothing running: starts a cluster of its own.
set -uo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -u "${TMPDIR:-/tmp}/ewh-keyring.XXXXXX")
trap 'test/cluster.sh stop "$dir" >/dev/null 2>&1; rm -rf "$dir"' EXIT
test/cluster.sh start "$dir" || { echo "Bail out! no cluster"; exit 1; }
eval "$(test/cluster.sh env "$dir")"
key=$dir/data/erp_webhook.key

n=0 failed=0
check() {   # NAME GOT WANTED
  n=$((n + 1))
  if [ "$2" = "$3" ]; then echo "ok $n - $1"; else echo "not ok $n - $1: got '$2', wanted '$3'"; failed=1; fi
}
sql() { psql -XAtq -c "$1" 2>&1 | head -1; }
proves() { sql "SELECT coalesce((erp_webhook.verify('k', erp_webhook.sign('k', 'body'), 'body')).reason, 'valid')"; }
reload() {   # SETTING VALUE: until a new session has it
  psql -XAtq -c "LOAD 'erp_webhook'" -c "ALTER SYSTEM SET erp_webhook.$1 = '$2'" -c "SELECT pg_reload_conf()" >/dev/null
  for _ in $(seq 100); do [ "$(psql -XAtq -c "LOAD 'erp_webhook'" -c "SHOW erp_webhook.$1")" = "$2" ] && return; sleep 0.1; done
}
own() { chown "$(stat -c %U "$dir/data")" "$@"; }

psql -Xq -c "CREATE EXTENSION erp_webhook" -c "SELECT erp_webhook.add_source('k', 'github')" >/dev/null
check "no key before the first secret" "$([ -e "$key" ] && echo there || echo none)" none
check "opening makes no key" "$(sql "SELECT (erp_webhook.verify('k', '{}', '')).reason"; [ -e "$key" ] && echo there)" no_secret

# Twenty first secrets at once.
for i in $(seq 20); do psql -XAtq -c "SELECT erp_webhook.add_secret('k', 'secret number $i')" >/dev/null & done; wait
check "one key for all who come first" "$(sql "SELECT count(*), count(DISTINCT key_name) FROM erp_webhook.secret")" "20|1"
check "nothing left of the making" "$(ls "$dir/data" | grep -c 'erp_webhook.key')" 1
check "for the server alone" "$(stat -c %a "$key")" 600
check "what was sealed opens in another session" "$(proves)" valid
test/cluster.sh restart "$dir"
check "and after a restart" "$(proves)" valid
check "the key is not in a dump" "$(pg_dump postgres | grep -c "$(cat "$key")")" 0

# Another key, no key, a broken key, an open key.
cp -p "$key" "$dir/kept"
openssl rand -hex 32 > "$key"
check "another key is named as such" "$(proves | sed 's/[0-9a-f]\{16\}/KEY/g')" \
  "ERROR:  source \"k\" cannot be used: a secret was sealed under key KEY, but the key in use is KEY"
mv "$key" "$dir/other"
check "a lost key is not made anew to open with" "$(proves)" \
  "ERROR:  source \"k\" cannot be used: the sealing key file \"erp_webhook.key\" is not in the data directory"
check "nor to verify with" "$([ -e "$key" ] && echo there || echo none)" none
echo "too short" > "$key"; own "$key"; chmod 600 "$key"
check "a file that holds no key" "$(proves)" "ERROR:  source \"k\" cannot be used: the sealing key from erp_webhook.key cannot be used"
cp -p "$dir/kept" "$key"; chmod 644 "$key"
check "ingest says try later, and leaves no file open" "$(psql -XAtq -c "SELECT http_status FROM erp_webhook.ingest('k', '{}', 'x')" 2>&1)" 503
lines() { grep -c 'source "k" cannot be used' "$dir/log"; }
before=$(lines)
check "a hundred requests in vain are one look at it, and one line in the log" \
  "$(sql "SELECT count(*) FILTER (WHERE http_status = 503) FROM generate_series(1, 100) n, LATERAL erp_webhook.ingest('k', '{}', ('x' || n)::bytea)") $(($(lines) - before))" "100 1"
check "mended, it is used again a second later, in the same session" \
  "$(psql -XAtq -c "SELECT http_status FROM erp_webhook.ingest('k', '{}', 'x')" -c "\\! chmod 600 '$key'; sleep 1.1" -c "SELECT http_status FROM erp_webhook.ingest('k', '{}', 'x')" | paste -sd' ')" "503 401"
chmod 644 "$key"
check "a file that others can read" "$(proves)" "ERROR:  source \"k\" cannot be used: key file \"erp_webhook.key\" has group or world access"
cp -p "$dir/kept" "$key"
check "the right one again" "$(proves)" valid

# Elsewhere by setting: the same key in base64, in a file and from a command.
python3 -c 'import base64, sys; print(base64.b64encode(bytes.fromhex(open(sys.argv[1]).read())).decode())' "$key" > "$dir/elsewhere"; own "$dir/elsewhere"; chmod 600 "$dir/elsewhere"
mv "$key" "$dir/away"
reload key_file "$dir/elsewhere"
check "a file elsewhere, in base64" "$(proves)" valid
reload key_file "$dir/nowhere"
check "a file that is not there" "$(proves)" "ERROR:  source \"k\" cannot be used: key file \"$dir/nowhere\" does not exist"
reload key_command "cat $dir/away"
check "a command goes before the file" "$(proves)" valid
reload key_command "false"
check "a command that fails" "$(proves)" "ERROR:  source \"k\" cannot be used: erp_webhook.key_command failed"
reload key_command ""
reload key_file ""
mv "$dir/away" "$key"
check "and back" "$(proves)" valid

echo "1..$n"
exit $failed
