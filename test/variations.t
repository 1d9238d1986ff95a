#!/usr/bin/env python3
"""Every good request of test/data/vectors.jsonl, written another way: what HTTP leaves open is accepted, what could be read
in two ways is refused, and whatever comes, verify() answers and does not raise. One check a vector."""
import base64
import importlib.machinery
import importlib.util
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
loader = importlib.machinery.SourceFileLoader("vectors", os.path.join(HERE, "vectors.t"))
sys.dont_write_bytecode = True
vectors = importlib.util.module_from_spec(importlib.util.spec_from_loader("vectors", loader))
loader.exec_module(vectors)
vectors.DATABASE = "ewh_variations"
quote = vectors.quote

ACCEPTED, REFUSED, ANSWERED = "accepted", "refused", "answered"
TRY = """
CREATE FUNCTION try(source text, headers jsonb, body bytea, method text, url text, at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v record;
BEGIN
  v := erp_webhook.verify(source, headers, body, method, url, at);
  RETURN CASE WHEN v.ok AND v.reason IS NULL THEN 'accepted' WHEN NOT v.ok AND v.reason <> '' THEN 'refused' ELSE 'nonsense' END;
EXCEPTION WHEN others THEN
  RETURN 'raised ' || SQLSTATE || ' ' || SQLERRM;
END $$;"""


def is_read(vector, name, schemes):
    """Does the provider's row read this header? Whatever its place, a row names headers as header:A|B, or lists them."""
    row = json.dumps(schemes[vector["provider"]]).lower()
    return any(name.lower() in part.split('"')[0].split("}")[0].split("|") for part in row.split("header:")[1:])


def of_header(vector, name, value):
    """The header of this name in forms that no sender sends."""
    rest = {k: v for k, v in vector["headers"].items() if k != name}
    yield "without %s" % name, rest
    yield "%s twice" % name, {**rest, name: [value, value]}
    yield "%s in two spellings" % name, {**rest, name.lower(): value, name.upper(): value}
    yield "%s empty" % name, {**rest, name: ""}
    yield "%s an empty list" % name, {**rest, name: []}
    for wrong in (None, 1, True, {"a": value}, [[value]], [None]):
        yield "%s as %s" % (name, json.dumps(wrong)[:12]), {**rest, name: wrong}


def variations(vector, schemes):
    """(what, expected, headers, body, method, url, at)"""
    headers, method, url, now = vector["headers"], vector["method"], vector["url"], "to_timestamp(%s)" % vector["now"]
    body = base64.b64decode(vector["body_b64"])
    scheme = schemes[vector["provider"]]
    yield "names in upper case", ACCEPTED, {k.upper(): v for k, v in headers.items()}, body, method, url, now
    yield "names in lower case", ACCEPTED, {k.lower(): v for k, v in headers.items()}, body, method, url, now
    yield "other headers", ACCEPTED, {**headers, "x-other": ["a", "b"], "X-Empty": ""}, body, method, url, now
    yield "the configured url", ACCEPTED, headers, body, method, None, now
    for name, value in headers.items():
        if not is_read(vector, name, schemes):
            continue
        for what, changed in of_header(vector, name, value):
            yield what, REFUSED, changed, body, method, url, now
        for what, text in (("long", value + "A" * 200000), ("of commas", "," * 20000), ("with a line end", value + "\r\n"), ("not ASCII", value + "\u00e9")):
            yield "%s %s" % (name, what), ANSWERED, {**headers, name: text}, body, method, url, now
    yield "no body", REFUSED, headers, None, method, url, now
    yield "no clock", REFUSED, headers, body, method, url, "NULL"
    for at in ("'infinity'", "'-infinity'", now + " + interval '1 year'", now + " - interval '1 year'"):
        yield "at " + at, REFUSED if scheme.get("ts") else ANSWERED, headers, body, method, url, at
    for wrong in ([], "x", 1, None):
        yield "headers %s" % json.dumps(wrong), REFUSED, wrong, body, method, url, now
    for other in (b"", body[:-1], b"[" * 100000, bytes(range(256)), b"\xef\xbb\xbf" + body):
        yield "another body", ANSWERED, headers, other, method, url, now
    for other in ("post", "", None, "\u00e9"):
        yield "method %s" % other, ANSWERED, headers, body, other, url, now
    for other in ("", "?", "/", "://", "https://[::1", url + "#x", url + "?a=%zz", url.replace("://", "://u:p@"), url + "?data.id=1&data.id=2"):
        yield "url %s" % other, ANSWERED, headers, body, method, other, now


def main():
    good = [v for v in vectors.load(os.path.join(HERE, "data", "vectors.jsonl")) if v["expect"] == "valid"]
    vectors.psql("DROP DATABASE IF EXISTS ewh_variations;\nCREATE DATABASE ewh_variations ENCODING 'UTF8' TEMPLATE template0;", "postgres")
    lines = vectors.psql("SET client_min_messages = warning;\nCREATE EXTENSION erp_webhook;\n" + TRY +
                         "\nSELECT json_object_agg(provider, erp_webhook.provider_scheme(provider)) FROM erp_webhook.provider;")
    schemes = json.loads(lines[0])
    print("1..%d" % len(good))
    failed = 0
    for number, vector in enumerate(good):
        setup = vectors.script_for(number, vector).rsplit("\n", 1)[0]
        tried = list(variations(vector, schemes))
        script = [setup] + ["SELECT try('v%d', %s, %s, %s, %s, %s);" % (
            number, quote(json.dumps(headers)), "NULL" if body is None else "'\\x%s'" % body.hex(), quote(method), quote(url), at)
            for _, _, headers, body, method, url, at in tried]
        got = vectors.psql("SET client_min_messages = error;\n" + "\n".join(script))
        wrong = [(what, answer) for (what, expected, *_), answer in zip(tried, got)
                 if answer not in ((ACCEPTED, REFUSED) if expected == ANSWERED else (expected,))]
        failed += bool(wrong)
        print("%s %d - %s: %s in %d other forms" % ("not ok" if wrong else "ok", number + 1, vector["provider"], vector["name"], len(tried)))
        for what in wrong:
            print("#   %s: %s" % what)
    vectors.psql("DROP DATABASE ewh_variations;", "postgres")
    sys.exit(1 if failed else 0)


main()
