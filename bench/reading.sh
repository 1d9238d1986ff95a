#!/usr/bin/env bash
# Reading and mapping a Stripe event of 2 KB, beside body::jsonb with the same eight fields extracted: one session, in
# turns, microseconds an event, the best turn of each. Exits non-zero where reading is not the faster.
#   bench/reading.sh [EVENTS [TURNS]]      against the server of PGHOST, PGPORT … (test/cluster.sh env DIR)
set -euo pipefail
events=${1:-10000} turns=${2:-5}
cd "$(dirname "$0")/.."

# The first sample of the payloads, with more metadata until it has 2 KB.
body=$(python3 - test/data/events.jsonl <<'PY'
import json, sys
event = json.loads(json.loads(open(sys.argv[1], encoding="utf-8").readline())["body"])
metadata = event["data"]["object"]["metadata"]
while len(json.dumps(event, separators=(",", ":"))) < 2048:
    metadata["key_%d" % len(metadata)] = "a value of some length, number %d" % len(metadata)
print(json.dumps(event, separators=(",", ":")))
PY
)

psql -XqAt -v ON_ERROR_STOP=1 -v events="$events" -v turns="$turns" -v body="$body" <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
CREATE TEMP TABLE received AS SELECT convert_to(replace(:'body', 'evt_', 'evt_' || n), 'UTF8') AS body FROM generate_series(1, :events) n;
CREATE TEMP TABLE mapping AS
SELECT reading, erp_webhook.provider_events(provider) AS events FROM erp_webhook.provider WHERE provider = 'stripe';
CREATE TEMP TABLE took (what text, microseconds numeric);

CREATE FUNCTION pg_temp.turn(what text, query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz := clock_timestamp();
  n bigint;
BEGIN
  EXECUTE query INTO n;
  INSERT INTO took VALUES (what, extract(epoch FROM clock_timestamp() - start) * 1e6 / n);
END
$$;

SELECT octet_length(body) || ' bytes, ' || :events || ' events, best of ' || :turns FROM received LIMIT 1;
SELECT pg_temp.turn('reading', 'SELECT sum(erp_webhook.count_events(m.reading, m.events, ''{}'', ''{}'', body)) FROM received, mapping m'),
       pg_temp.turn('jsonb', $$
  SELECT count(*) FILTER (WHERE id IS NOT NULL AND type IS NOT NULL AND ref IS NOT NULL AND amount IS NOT NULL AND currency IS NOT NULL
                            AND created IS NOT NULL AND number IS NOT NULL AND customer IS NOT NULL)
  FROM (SELECT j->>'id' AS id, j->>'type' AS type, j#>>'{data,object,id}' AS ref, (j#>>'{data,object,amount_received}')::numeric / 100 AS amount,
               upper(j#>>'{data,object,currency}') AS currency, to_timestamp((j->>'created')::bigint) AS created,
               j#>>'{data,object,metadata,invoice_number}' AS number, j#>>'{data,object,customer}' AS customer
        FROM (SELECT convert_from(body, 'UTF8')::jsonb AS j FROM received OFFSET 0) b OFFSET 0) f $$)
FROM generate_series(1, :turns) \g /dev/null
SELECT what || ': ' || round(min(microseconds), 2) || ' us an event' FROM took GROUP BY what ORDER BY what DESC;
SELECT 'reading takes ' || round(100 * min(microseconds) FILTER (WHERE what = 'reading') / min(microseconds) FILTER (WHERE what = 'jsonb'))
       || ' % of the time of jsonb' FROM took;
SELECT min(microseconds) FILTER (WHERE what = 'reading') < min(microseconds) FILTER (WHERE what = 'jsonb') AS faster FROM took \gset
\if :faster
\else
  \warn reading is slower than jsonb
  SELECT 1/0;
\endif
SQL
