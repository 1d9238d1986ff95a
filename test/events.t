#!/usr/bin/env python3
"""Every line of test/data/events.jsonl and documented.jsonl, previewed: exactly the events it is said to hold.

events.jsonl are samples of what providers send; documented.jsonl are bodies of our own, after the documentation of
providers that have no sample there, and of what the samples leave out.

A key that is missing or null in `expect` must be null. `id_composed`: the id is ours, so it must be the same for the
same bytes and another for other bytes; otherwise it is compared. `either`: `expect` or its `alternative` will do.
`settings`: of the source. `outcome`: what ingest would answer, told by the states.
"""
import json
import os
import subprocess
import sys
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
LINES = [json.loads(line) for name in ("events.jsonl", "documented.jsonl")
         for line in open(os.path.join(HERE, "data", name), encoding="utf-8")]
COLUMNS = ["external_id", "type", "kind", "object_ref", "payment_ref", "amount", "currency", "fee", "occurred_at",
           "correlation", "account_ref", "subscription_ref", "value_date"]


def source_of(line):
    """One source per provider and settings."""
    settings = json.dumps(line.get("settings", {}), sort_keys=True)
    return "events." + line["provider"] + ("" if settings == "{}" else ".%08x" % (hash(settings) & 0xffffffff)), settings


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def psql(script):
    run = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input=script, text=True, capture_output=True)
    if run.returncode:
        sys.exit("Bail out! " + run.stderr)
    return run.stdout.splitlines()


def previews():
    """For each line: the rows of its body, and those of the same body with one byte more of white space."""
    script = ["SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS erp_webhook;",
              "BEGIN; SET LOCAL TimeZone = 'UTC';"]
    for name, (provider, settings) in sorted({source_of(l)[0]: (l["provider"], source_of(l)[1]) for l in LINES}.items()):
        script.append("SELECT erp_webhook.add_source(%s, %s, settings => %s) \\g /dev/null"
                      % (quoted(name), quoted(provider), quoted(settings)))
    for line in LINES:
        script.append("SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM erp_webhook.preview(%s, %s, convert_to(%s, 'UTF8')) p;"
                      % (quoted(source_of(line)[0]), quoted(json.dumps(line["headers"])), quoted(line["body"])))
    return [json.loads(row) for row in psql("\n".join(script + ["ROLLBACK;"]))]


# Where the reading is open (`either`, no alternative given), or the law is stricter than the line: what we chose. The
# provider's file says why.
CHOSEN = {
    ("alipay", "closed_by_full_refund"): {"kind": "refund.total", "amount": "88.88"},
    ("paytr", "success_instalments"): {"state": "waiting"},
}


def normal(column, value):
    if value in (None, [], ""):
        return None
    if column in ("amount", "fee"):
        return Decimal(str(value))
    if column == "occurred_at":
        return value.replace("+00:00", "Z")
    return value


def differences(expect, row, composed):
    for column in COLUMNS:
        if column == "external_id" and composed:
            continue
        want, have = normal(column, expect.get(column)), normal(column, row[column])
        if want != have:
            yield "%s: %s instead of %s" % (column, have, want)


def state_fits(line, expect, row):
    """needs_fetch waits; an outcome is one of those named; a source to be confirmed applies nothing."""
    if "state" in expect:
        return row["state"] == expect["state"]
    if expect.get("needs_fetch") or line.get("needs_fetch"):
        return row["state"] == "waiting"
    if "outcome" in line:
        return row["state"] in line["outcome"].split("|")
    if row["kind"] == "other":
        return row["state"] in ("no_effect", "waiting")
    return row["state"] in (("waiting", "no_effect") if line.get("trust") == "confirm" else ("applied", "no_effect"))


def check(line, rows):
    if len(line["expect"]) != len(rows):
        return ["%d events instead of %d: %s" % (len(rows), len(line["expect"]), rows)]
    wrong = []
    for expect, row in zip(line["expect"], rows):
        expect = {**expect, **CHOSEN.get((line["provider"], line["name"]), {})}
        composed = expect.get("id_composed") or line.get("id_composed")
        found = list(differences(expect, row, composed))
        if found and line.get("either") and "alternative" in line:
            found = list(differences({**expect, **line["alternative"]}, row, composed))
        if not state_fits(line, expect, row):
            found.append("state %s (%s)" % (row["state"], row["reason"]))
        wrong += found
    return wrong


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    results = list(zip(LINES, previews()))
    number = 0
    for line, rows in results:
        if not line["provider"].startswith(only):
            continue
        number += 1
        wrong = check(line, rows)
        print("%s %d - %s %s" % ("not ok" if wrong else "ok", number, line["provider"], line["name"]))
        for w in wrong:
            print("#   " + w)
    ids = {}
    for line, rows in results:
        for row in rows:
            ids.setdefault((line["provider"], row["external_id"]), set()).add(line["name"])
    shared = {k: v for k, v in ids.items() if len(v) > 1 and k[1] not in ALLOWED_TWICE}
    number += 1
    print("%s %d - ids tell different deliveries apart" % ("not ok" if shared else "ok", number))
    for key, names in shared.items():
        print("#   %s: %s" % (key, names))
    print("1..%d" % number)


# PayTR names an order and its end, nothing else: the two lines are two ends of one order that cannot both happen.
ALLOWED_TWICE = {"INV8601:success"}

main()
