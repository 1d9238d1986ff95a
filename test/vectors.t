#!/usr/bin/env python3
"""Every signed request of test/data/vectors.jsonl, decided by verify() in SQL: one named check a line.

A line names a provider, its secrets, settings and clock; each gets a source of its own. The verdict must be the one
expected, and so must its reason ('either': both are defensible).

  EWH_VECTORS=file   decide these lines too: vectors that providers publish, which are theirs and so not in test/data
                     (default: ../shared/signatures/published.jsonl; skipped where there is no such file)
Needs a running server with the extension's files installed (PGHOST …, as test/run sets them).
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = "ewh_vectors"
PUBLISHED = os.environ.get("EWH_VECTORS") or os.path.join(HERE, "..", "..", "shared", "signatures", "published.jsonl")


def quote(text):
    return "NULL" if text is None else "'" + str(text).replace("'", "''") + "'"


def psql(script, database=None):
    run = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database or DATABASE], input=script,
                         capture_output=True, text=True)
    if run.returncode != 0:
        print("Bail out! " + run.stderr.strip().replace("\n", " | "))
        sys.exit(1)
    return run.stdout.splitlines()


def secrets_of(vector):
    """(secret, key_id, purpose) of each add_secret."""
    found = []
    for key_id, secret in (vector.get("keys") or {}).items():
        found.append((secret if isinstance(secret, str) else json.dumps(secret), key_id, "verify"))
    if not found:
        plain = vector.get("secrets") or [vector.get("public_key") or vector.get("secret")]
        found = [(secret, None, "verify") for secret in plain if secret]
    if vector.get("decrypt_key"):
        found.append((vector["decrypt_key"], None, "decrypt"))
    return found


def script_for(number, vector):
    source = f"v{number}"
    settings = dict(vector.get("config") or {}, url=vector["url"])
    lines = [f"SELECT erp_webhook.add_source({quote(source)}, {quote(vector['provider'])}, settings => "
             f"{quote(json.dumps(settings))}) \\g /dev/null"]
    for secret, key_id, purpose in secrets_of(vector):
        lines.append(f"SELECT erp_webhook.add_secret({quote(source)}, {quote(secret)}, valid_from => '-infinity', "
                     f"key_id => {quote(key_id)}, purpose => {quote(purpose)}) \\g /dev/null")
    lines.append(f"SELECT coalesce((v).reason, 'valid') || CASE WHEN (v).ok <> ((v).reason IS NULL) THEN ' but ok differs' "
                 f"ELSE '' END FROM (SELECT erp_webhook.verify({quote(source)}, {quote(json.dumps(vector['headers']))}, "
                 f"decode({quote(vector['body_b64'])}, 'base64'), {quote(vector['method'])}, {quote(vector['url'])}, "
                 f"to_timestamp({vector['now']})) AS v) q;")
    return "\n".join(lines)


def is_expected(vector, got):
    expected = vector["expect"]
    if expected == "either":
        return got in ("valid", "invalid", "malformed", "missing", "expired")
    if expected == "needs_key":
        return got == "no_secret"
    return got == expected


def load(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def main():
    vectors = load(os.path.join(HERE, "data", "vectors.jsonl"))
    published = load(PUBLISHED) if os.path.exists(PUBLISHED) else []
    vectors += published
    psql(f"DROP DATABASE IF EXISTS {DATABASE};\nCREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0;", "postgres")
    got = psql("SET client_min_messages = warning;\nCREATE EXTENSION erp_webhook;\n"
               + "\n".join(script_for(n, v) for n, v in enumerate(vectors)))
    print(f"1..{len(vectors) + (not published)}")
    if not published:
        print(f"ok {len(vectors) + 1} - published vectors # SKIP no {os.path.relpath(PUBLISHED)}")
    failed = 0
    for number, vector in enumerate(vectors):
        verdict = got[number] if number < len(got) else "nothing"
        passed = is_expected(vector, verdict)
        failed += not passed
        print(f"{'ok' if passed else 'not ok'} {number + 1} - {vector['provider']}: {vector['name']} is {vector['expect']}"
              + ("" if passed else f", got {verdict}"))
    psql(f"DROP DATABASE {DATABASE};", "postgres")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
