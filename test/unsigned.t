#!/usr/bin/env python3
"""What a signature does not cover never posts money: for each provider whose row says `covers`, by fields or not at all.

1. `covers` is true: of every good vector, a covered field changed is refused and any other one changed still verifies.
2. Where trust is `confirm`, no sample becomes a fact, whatever its fields are changed to.
3. Where covered fields may post, changing any other field (to something else, to what it is in another sample, to
   nothing) may withhold a fact but never makes another of it: one sample has one meaning in money, or none.
"""
import base64
import copy
import json
import os
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
SIGNATURES = {"hash", "signature", "advanceResponseChecksum", "/additionalData/hmacSignature"}
checks = []


def lines_of(*names):
    return [json.loads(line) for name in names for line in open(os.path.join(HERE, "data", name), encoding="utf-8")]


def quote(text):
    return "NULL" if text is None else "'" + str(text).replace("'", "''") + "'"


def psql(script):
    run = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input="\n".join(script), text=True, capture_output=True)
    if run.returncode:
        sys.exit("Bail out! " + run.stderr)
    return run.stdout.splitlines()


def ok(passed, name, *details):
    checks.append(passed)
    print("%s %d - %s" % ("ok" if passed else "not ok", len(checks), name))
    for detail in () if passed else details:
        print("#   %s" % (detail,))


class Body:
    """A JSON or form body as a flat list of (pointer, value); for Adyen those of its items."""

    def __init__(self, text):
        self.json = json.loads(text) if text[:1] == "{" else None
        self.form = None if self.json is not None else urllib.parse.parse_qsl(text, keep_blank_values=True)

    def fields(self):
        if self.form is not None:
            return [("/" + name, value) for name, value in self.form]
        found = []

        def walk(at, path):
            for key, value in at.items() if isinstance(at, dict) else enumerate(at):
                if isinstance(value, (dict, list)):
                    walk(value, path + [key])
                else:
                    found.append(("/" + "/".join(map(str, path + [key])), value))
        walk(self.json, [])
        return found

    def with_field(self, pointer, value):
        """The text with the field changed; None: without it."""
        if self.form is not None:
            changed = [(n, value if "/" + n == pointer else v) for n, v in self.form]
            return urllib.parse.urlencode([(n, v) for n, v in changed if v is not None])
        document = copy.deepcopy(self.json)
        at = document
        *path, last = pointer.split("/")[1:]
        for key in path:
            at = at[int(key) if isinstance(at, list) else key]
        last = int(last) if isinstance(at, list) else last
        if value is None:
            del at[last]
        else:
            at[last] = value
        return json.dumps(document)


def in_item(pointer):
    """Adyen's fields are those of one item."""
    return pointer.split("/NotificationRequestItem", 1)[-1]


def other_than(value):
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else str(value) + "1"


def is_covered(covers, pointer):
    return isinstance(covers, list) and in_item(pointer) in covers


def is_signature(pointer):
    return in_item(pointer) in SIGNATURES or pointer[1:] in SIGNATURES


def check_covers(vector, covers, number):
    source = "unsigned.v%d" % number
    body = Body(base64.b64decode(vector["body_b64"]).decode())
    fields = [f for f in body.fields() if not is_signature(f[0])]
    script = ["BEGIN; SET LOCAL client_min_messages = error;",
              "SELECT erp_webhook.add_source(%s, %s, settings => %s) \\g /dev/null"
              % (quote(source), quote(vector["provider"]), quote(json.dumps(dict(vector.get("config") or {}, url=vector["url"])))),
              "SELECT erp_webhook.add_secret(%s, %s, '-infinity') \\g /dev/null" % (quote(source), quote(vector["secret"]))]
    for pointer, value in fields:
        script.append("SELECT (erp_webhook.verify(%s, %s, convert_to(%s, 'UTF8'), %s, %s, to_timestamp(%s))).ok;"
                      % (quote(source), quote(json.dumps(vector["headers"])), quote(body.with_field(pointer, other_than(value))),
                         quote(vector["method"]), quote(vector["url"]), vector["now"]))
    wrong = [pointer for (pointer, _), verified in zip(fields, psql(script + ["ROLLBACK;"]))
             if (verified == "t") == is_covered(covers, pointer)]
    ok(fields and not wrong, "%s %s: the row covers what is signed" % (vector["provider"], vector["name"]), *wrong)


MONEY = ("kind", "object_ref", "payment_ref", "amount", "currency", "correlation", "subscription_ref", "account_ref", "fee", "value_date")


def facts(provider, settings, headers, bodies):
    """For each body the set of facts that it would become, in money."""
    script = ["BEGIN; SET LOCAL client_min_messages = error;",
              "SELECT erp_webhook.add_source('unsigned', %s, settings => %s) \\g /dev/null" % (quote(provider), quote(json.dumps(settings)))]
    for body in bodies:
        script.append("SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM erp_webhook.preview('unsigned', %s, convert_to(%s, 'UTF8')) p"
                      " WHERE state = 'applied';" % (quote(json.dumps(headers)), quote(body)))
    return [{tuple(json.dumps(row[column]) for column in MONEY) for row in json.loads(line)} for line in psql(script + ["ROLLBACK;"])]


def variants(body, covers, known):
    for pointer, value in body.fields():
        if not is_covered(covers, pointer):
            for changed in [other_than(value), None] + sorted(known.get(in_item(pointer), ()), key=str):
                if changed != value:
                    yield pointer, changed


def check_sample(sample, provider, known):
    body = Body(sample["body"])
    tried = list(variants(body, provider["covers"], known))
    bodies = [sample["body"]] + [body.with_field(*t) for t in tried]
    found = facts(sample["provider"], sample.get("settings", {}), sample["headers"], bodies)
    name = "%s %s, %d fields changed" % (sample["provider"], sample["name"], len(tried))
    if provider["trust"] == "confirm":
        ok(not any(found), name + ": nothing is a fact", *[t for t, f in zip([None] + tried, found) if f])
        return
    whole = set().union(*found)
    ok(len(whole) <= max(1, len(found[0])), name + ": the same fact or none",
       *[(t, f) for t, f in zip([None] + tried, found) if f - found[0]])


def main():
    psql(["SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS erp_webhook;"])
    providers = {row["provider"]: row for row in map(json.loads, psql([
        "SELECT json_build_object('provider', provider, 'trust', trust, 'covers', scheme->'covers') FROM erp_webhook.provider"
        " WHERE shipped AND coalesce(scheme->>'covers', 'body') <> 'body' ORDER BY provider COLLATE \"C\";"]))}
    vectors = [v for v in lines_of("vectors.jsonl") if v["provider"] in providers and v["expect"] == "valid"]
    for number, vector in enumerate(v for v in vectors if isinstance(providers[v["provider"]]["covers"], list)):
        check_covers(vector, providers[vector["provider"]]["covers"], number)
    samples = [s for s in lines_of("events.jsonl", "documented.jsonl") if s["provider"] in providers]
    known = {}
    for sample in samples:
        for pointer, value in Body(sample["body"]).fields():
            known.setdefault(sample["provider"], {}).setdefault(in_item(pointer), set()).add(value)
    for sample in samples:
        check_sample(sample, providers[sample["provider"]], known[sample["provider"]])
    without = set(providers) - {s["provider"] for s in samples}
    ok(not without, "every such provider has a sample", *sorted(without))
    print("1..%d" % len(checks))
    sys.exit(0 if all(checks) else 1)


main()
