#!/usr/bin/env python3
"""Damaged samples through every provider's mapping: whatever comes, reading raises nothing, gives at least one event,
an id and a state, money only with its amount and currency, and the same again for the same bytes.
    test/mutations.t [SEED [BODIES]]        SEED: a number (default 1, so that a gate tries the same each time), or random; printed"""
import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 1 if len(sys.argv) < 2 else random.SystemRandom().randrange(1 << 32) if sys.argv[1] == "random" else int(sys.argv[1])
BODIES = int(sys.argv[2]) if len(sys.argv) > 2 else 60
PIECES = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"-", b"1e400", b"\\u0000", b"\\ud83d", b"\xff", b"\x00", b"&", b"=", b"%", b"%00", b"<", b">",
          b"<!DOCTYPE a>", b"&#0;", b"99999999999999999999999", b'"amount":"x",', b"0.001", b"\xef\xbb\xbf", b" ", b"-0"]


def damaged(rng, body):
    body = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(body) + 1)
        what = rng.randrange(5)
        if what == 0:
            body[at:at] = rng.choice(PIECES)
        elif what == 1:
            del body[at:at + rng.randint(1, 12)]
        elif what == 2:
            end = min(len(body), at + rng.randint(1, 60))
            body[at:at] = body[at:end]
        elif what == 3 and at < len(body):
            body[at] = rng.randrange(256)
        else:
            body[at:at + rng.randint(1, 20)] = rng.choice(PIECES)
    return bytes(body)


rng = random.Random(SEED)
print("# seed %d" % SEED)
samples = {}
for name in ("events.jsonl", "documented.jsonl"):
    for line in open(os.path.join(HERE, "data", name), encoding="utf-8"):
        sample = json.loads(line)
        samples.setdefault(sample["provider"], []).append((sample["body"].encode(), sample["headers"]))
script = ["SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS erp_webhook;",
          "CREATE TEMP TABLE damaged (provider text, headers jsonb, body bytea);"]
for provider, known in sorted(samples.items()):
    for i in range(BODIES):
        body, headers = rng.choice(known)
        # some twice: the same bytes must say the same
        script += (2 if i < 10 else 1) * ["INSERT INTO damaged VALUES ('%s', '%s', '\\x%s');" % (provider, json.dumps(headers).replace("'", "''"), damaged(rng, body).hex())]
script.append("""
CREATE TEMP TABLE found AS
SELECT d.provider, d.headers, d.body, md5(string_agg(r.external_id || r.kind || r.state || encode(r.digest, 'hex'), ',' ORDER BY r.ordinal)) AS said,
       bool_and(r.external_id <> '' AND r.state IN ('applied', 'no_effect', 'waiting', 'quarantined') AND (r.state <> 'quarantined') = (coalesce(r.reason, 'fetch') IN ('fetch', 'confirm'))) AS sound,
       bool_and(r.state <> 'applied' OR r.kind NOT IN ('payment.succeeded', 'refund.succeeded', 'payout.paid', 'dispute.withdrawn', 'bank.credit')
                OR (r.amount <> 0 AND r.currency IS NOT NULL AND r.object_ref IS NOT NULL)) AS whole
FROM damaged d, erp_webhook.read_body(erp_webhook.provider_reading(d.provider), erp_webhook.provider_events(d.provider), '{}', d.headers, d.body) r
GROUP BY d.ctid, d.provider, d.headers, d.body;
SELECT json_build_object('bodies', (SELECT count(*) FROM damaged), 'read', (SELECT count(*) FROM found), 'unsound', (SELECT count(*) FROM found WHERE NOT sound),
  'not_whole', (SELECT count(*) FROM found WHERE NOT whole), 'examples', (SELECT json_agg(provider || ' ' || encode(body, 'escape')) FROM (SELECT * FROM found WHERE NOT sound OR NOT whole LIMIT 3) x),
  'differing', (SELECT count(*) FROM (SELECT FROM found GROUP BY provider, headers, body HAVING count(DISTINCT said) > 1) x));""")
done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input="\n".join(script), text=True, capture_output=True)
result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
for number, (passed, name) in enumerate([
        (done.returncode == 0, "reading raises for none of them"),
        (result.get("bodies", 0) == result.get("read", -1) and result.get("bodies", 0) > 0, "each of %s gives an event" % result.get("bodies")),
        (result.get("unsound") == 0, "each event has an id, a state and, if quarantined, its reason"),
        (result.get("not_whole") == 0, "money that applies has its amount, currency and object"),
        (result.get("differing") == 0, "the same bytes say the same")], 1):
    print("%s %d - %s" % ("ok" if passed else "not ok", number, name))
    if not passed:
        print("#   %s %s" % (done.stderr.strip()[:500], result.get("examples")))
print("1..5")
