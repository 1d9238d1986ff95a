#!/usr/bin/env python3
"""Can a sender tell by the clock that an invoice is another company's? Signed payments of company a name, in random turns, a
number that only company b has, or one that nobody has: one by one, and in batches of 32. Printed: medians, and the share of
10,000 shufflings whose medians differ as much (a permutation test: below 0.01 would be a difference). And the lines the
server logged meanwhile, with log_min_messages = debug1. On the cluster of the environment (test/cluster.sh env).

  bench/tenants.py [SINGLES [BATCHES]]      default 2000 and 400 of each kind        SEED=s
"""
import os
import random
import statistics
import subprocess
import sys

SINGLES, BATCHES = (int(x) for x in (sys.argv[1:] + ["2000", "400"][len(sys.argv) - 1:])[:2])
SEED = int(os.environ.get("SEED") or 1)
DB = "erp_webhook_tenants"

SETUP = """
CREATE EXTENSION erp_webhook;
SELECT erp_webhook.add_company('a', 'EUR'), erp_webhook.add_company('b', 'EUR'), erp_webhook.add_source('a', 'generic', 'a');
SELECT erp_webhook.add_secret('a', 'whsec_' || encode(decode(repeat('5a', 24), 'hex'), 'base64'));
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (2, 'B-1', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT 2, 'TB-' || n, 1, 'EUR', 10, '2025-11-01' FROM generate_series(100000, 199999) n;
VACUUM ANALYZE;
CREATE FUNCTION pay(refs text[], numbers text[]) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  bodies bytea[] := ARRAY(SELECT convert_to(format('{"type": "payment.succeeded", "timestamp": "2026-01-05T10:00:00Z", "data": {"id": "%s", "amount": "10.00", "currency": "EUR", "invoice_number": "%s"}}', r, n), 'UTF8')
                          FROM unnest(refs, numbers) WITH ORDINALITY u (r, n, i) ORDER BY i);
  signed jsonb[] := ARRAY(SELECT erp_webhook.sign('a', b, headers => jsonb_build_object('webhook-id', r)) FROM unnest(bodies, refs) WITH ORDINALITY u (b, r, i) ORDER BY i);
  since timestamptz := clock_timestamp();
BEGIN
  PERFORM erp_webhook.ingest_batch(array_fill('a'::text, ARRAY[cardinality(refs)]), signed, bodies);
  RETURN 1000 * extract(epoch FROM clock_timestamp() - since);
END $$;
"""


def psql(sql, db=DB):
    return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", db], input=sql, text=True, check=True, capture_output=True).stdout


def likelihood(one, other, r):
    """Share of shufflings whose medians lie as far apart."""
    seen = abs(statistics.median(one) - statistics.median(other))
    both, hits = one + other, 0
    for _ in range(10000):
        r.shuffle(both)
        hits += abs(statistics.median(both[:len(one)]) - statistics.median(both[len(one):])) >= seen
    return hits / 10000


def measure(name, size, times, r):
    kinds = ["TB", "TC"] * times
    r.shuffle(kinds)
    statements = ["SET log_min_messages = debug1;"]
    for turn, kind in enumerate(["TB", "TC"] * 20 + kinds):
        refs = ",".join(f"{name}{turn}-{n}" for n in range(size))
        numbers = ",".join(f"{kind}-{r.randrange(100000, 200000)}" for _ in range(size))
        statements.append(f"SELECT pay('{{{refs}}}', '{{{numbers}}}');")
    took = [float(x) for x in psql("\n".join(statements)).split()][40:]    # the first forty warm up
    foreign, unknown = ([t for t, k in zip(took, kinds) if k == kind] for kind in ("TB", "TC"))
    print(f"{name} of {size}: another company's {statistics.median(foreign):.3f} ms, nobody's {statistics.median(unknown):.3f} ms "
          f"(middle of {times} each), p = {likelihood(foreign, unknown, r):.2f}")


def main():
    r = random.Random(SEED)
    psql(f"DROP DATABASE IF EXISTS {DB}", "postgres")
    psql(f"CREATE DATABASE {DB}", "postgres")
    log = os.path.join(os.environ["CLUSTER"], "log")
    try:
        psql(SETUP)
        before = os.path.getsize(log)
        measure("single", 1, SINGLES, r)
        measure("batch", 32, BATCHES, r)
        with open(log, encoding="utf-8", errors="replace") as lines:
            lines.seek(before)
            logged = lines.read().splitlines()
        print(f"logged meanwhile: {len(logged)} lines, {sum('TB-' in x or 'TC-' in x for x in logged)} with a number in them")
        kinds = psql("SELECT DISTINCT kind, reason, advice FROM erp_webhook.exceptions WHERE company_id = 1").strip().splitlines()
        print(f"exceptions: {len(kinds)} sort of {psql('SELECT count(*) FROM erp_webhook.exceptions WHERE company_id = 1').strip()}: {kinds[0]}")
    finally:
        psql(f"DROP DATABASE {DB}", "postgres")


if __name__ == "__main__":
    main()
