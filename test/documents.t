#!/usr/bin/env python3
"""The documents say what is tested: the SQL of docs/adding-a-provider.md is in its regress test, docs/generic.schema.json
accepts the bodies that are read and refuses those that are quarantined."""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
checks = []


def ok(passed, name, *details):
    checks.append(passed)
    print("%s %d - %s" % ("ok" if passed else "not ok", len(checks), name))
    if not passed:
        for d in details:
            print("#   %s" % d)


def read(path):
    return open(os.path.join(ROOT, path), encoding="utf-8").read()


def psql(script):
    run = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input=script, text=True, capture_output=True)
    if run.returncode:
        sys.exit("Bail out! " + run.stderr)
    return run.stdout.splitlines()


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def accepts(schema, value):
    """The part of JSON Schema 2020-12 that generic.schema.json uses; an unknown keyword is an error, not ignored."""
    for word, rule in schema.items():
        if word in ("$schema", "$id", "$comment", "title", "description", "examples", "$defs"):
            continue
        if word == "$ref":
            good = accepts(SCHEMA["$defs"][rule.rsplit("/", 1)[1]], value)
        elif word == "type":
            good = isinstance(value, TYPES[rule])
        elif word == "enum":
            good = value in rule
        elif word == "const":
            good = value == rule
        elif word == "pattern":
            good = not isinstance(value, str) or re.search(rule, value) is not None
        elif word == "minLength":
            good = not isinstance(value, str) or len(value) >= rule
        elif word == "required":
            good = not isinstance(value, dict) or all(name in value for name in rule)
        elif word == "properties":
            good = not isinstance(value, dict) or all(accepts(s, value[n]) for n, s in rule.items() if n in value)
        elif word == "items":
            good = not isinstance(value, list) or all(accepts(rule, v) for v in value)
        elif word == "allOf":
            good = all(accepts(s, value) for s in rule)
        elif word == "anyOf":
            good = any(accepts(s, value) for s in rule)
        elif word == "if":
            good = accepts(schema.get("then", {}), value) if accepts(rule, value) else accepts(schema.get("else", {}), value)
        elif word in ("then", "else"):
            good = True
        else:
            sys.exit("Bail out! the test does not know the keyword " + word)
        if not good:
            return False
    return True


SCHEMA = json.loads(read("docs/generic.schema.json"))


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def states(bodies):
    script = ["SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS erp_webhook;"]
    for body in bodies:
        script.append("SELECT r.kind || ' ' || r.state FROM erp_webhook.provider p, erp_webhook.read_body(p.reading, erp_webhook.provider_events(p.provider),"
                      " '{}', '{\"webhook-id\": \"m\"}', convert_to(%s, 'UTF8')) r WHERE p.provider = 'generic';" % quoted(body))
    return psql("\n".join(script))


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip().rstrip(";")


# 1. every SQL block of the guide is executed
tested = squeeze(read("sql/adding_a_provider.sql"))
for i, block in enumerate(re.findall(r"```sql\n(.*?)```", read("docs/adding-a-provider.md"), re.S), 1):
    ok(squeeze(block) in tested, "adding-a-provider.md: block %d is in sql/adding_a_provider.sql" % i, block[:80])

# 2. the schema and the reading agree
good = SCHEMA["examples"]
for body, state in zip(good, states([json.dumps(b) for b in good])):
    ok(accepts(SCHEMA, body) and state.split()[1] in ("applied", "no_effect") and state.split()[0] == body["type"],
       "schema and reading take %s %s" % (body["type"], body["data"].get("id", body["data"].get("subscription_id"))), state)

samples = [json.loads(l) for l in read("test/data/events.jsonl").splitlines()]
samples = [(s["name"], s["body"]) for s in samples if s["provider"] == "generic"]
for (name, body), state in zip(samples, states([b for _, b in samples])):
    ok(accepts(SCHEMA, json.loads(body)) == (state.split()[1] != "quarantined"), "schema and reading agree on the sample %s" % name, state)

base = {"type": "payment.succeeded", "timestamp": "2025-10-09T09:00:00Z", "data": {"id": "p", "amount": "1.00", "currency": "EUR"}}
for name, change in [("no id", {"id": None}), ("no amount", {"amount": None}), ("no currency", {"currency": None}), ("a number", {"amount": 1.5}), ("a sign", {"amount": "+1"}),
                     ("an exponent", {"amount": "1e2"}), ("21 digits", {"amount": "9" * 21}), ("a bad fee", {"fee": "x"}), ("a bad currency", {"currency": "EURO!"})]:
    data = {k: v for k, v in {**base["data"], **change}.items() if v is not None}
    state = states([json.dumps({**base, "data": data})])[0]
    ok(not accepts(SCHEMA, {**base, "data": data}) and state.endswith("quarantined"), "schema and reading refuse " + name, state)

# 3. the table of mappings counts what is tested
def mapping_rows():
    bodies = {}
    for column, name in enumerate(("events.jsonl", "documented.jsonl")):
        for line in read("test/data/" + name).splitlines():
            bodies.setdefault(json.loads(line)["provider"], [0, 0])[column] += 1
    for file in sorted(os.listdir(os.path.join(ROOT, "providers"))):
        provider = json.loads(read("providers/" + file))
        families = sorted({row["kind"].split(".")[0] for row in provider.get("events", [])} - {"other"})
        samples, documented = bodies.get(file[:-5], [0, 0])
        yield "| `%s` | %s | %s | %s |" % (file[:-5], samples or "—", documented or "—", ", ".join(families) or "nothing")


COVERS = {"body": "the body", "none": "not the body", "crc32": "a CRC-32 of the body"}


def scheme_cells(page):
    """Provider → the cells of its row in the first table."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|$", page.split("\n## ", 1)[0], re.M)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def check_scheme_rows(page):
    cells, vectors = scheme_cells(page), {}
    for line in read("test/data/vectors.jsonl").splitlines():
        vectors[json.loads(line)["provider"]] = vectors.get(json.loads(line)["provider"], 0) + 1
    for file in sorted(os.listdir(os.path.join(ROOT, "providers"))):
        name, provider = file[:-5], json.loads(read("providers/" + file))
        covers = provider["scheme"].get("covers", "body")
        said = cells.get(name, ["", "", ""])
        counted = re.search(r"(\d+) vectors?", said[0])
        wanted = ["some fields" if isinstance(covers, list) else COVERS[covers], provider["trust"], vectors.get(name, 0)]
        ok([said[1], said[2], int(counted.group(1)) if counted else 0] == wanted, "providers.md: scheme of %s" % name, wanted, said)


page = read("docs/providers.md")
check_scheme_rows(page)
for row in mapping_rows():
    ok(row in page, "providers.md: mapping of %s" % row.split("`")[1], row)

print("1..%d" % len(checks))
