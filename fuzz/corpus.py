#!/usr/bin/env python3
"""Seed corpora from the samples of test/data: corpus.py FOLDER."""
import base64
import hashlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "test", "data")


def put(target, content):
    folder = os.path.join(sys.argv[1], target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, hashlib.sha1(content).hexdigest()), "wb") as f:
        f.write(content)


POINTERS = [b"/data/object/id", b"/events/*/links/payment", b"/resource/links/[rel=up]/href", b"/bt_payload", b"/a/b/0/@t"]
for name in ("events.jsonl", "documented.jsonl"):
    for i, line in enumerate(open(os.path.join(DATA, name), encoding="utf-8")):
        sample = json.loads(line)
        body = sample["body"].encode()
        kind = 0 if body[:1] in b"{[" else 1
        put("document", bytes([kind]) + POINTERS[i % len(POINTERS)] + b"\0" + body)
        if "decoded_xml" in sample:
            put("document", b"\2/notification/subject/transaction/id\0" + sample["decoded_xml"].encode())
for text in (b'{"a":"\\u0000"}', b'{"a":"\\ud83d"}', b'{"a":"\\ud83d\\ude00","a":"\\ude00"}', b'[[[[1e400,-0,true,null]]]]', b'{"\\u0061":{"b":[]}}'):
    put("document", b"\0/a\0" + text)
for pattern in (b"INV-{digits}", b"/captures/{word}", b"{}", b"a{}b", b"{word}", b"x{digits}x"):
    for text in (b'["INV-1, INV-22; INV-"]', b'["https://api.example/v2/captures/42-A_b?x=1"]', b'["aaab","x1x2x","\\u00e9"]', b'[{},[[]],{"a":1},null,""]'):
        put("expression", pattern + b"\0" + text)
for text in (b"12345", b"-10.00", b"0.1000000000000000055", b"1e3", b"12345678901234567890.12", b"NaN", b"10,00"):
    put("amount", b"\2\2" + text)
    put("amount", b"\0\3" + text)
for text in (b"1760000400", b"2025-10-09T09:00:00.123456789Z", b"2025-10-09 17:00:00+08:00", b"20251009170000", b"2024-02-29"):
    put("moment", b"\0" + text)
    put("moment", b"\1" + text)


# Requests signed by their providers: the headers, tokens and keys in them, whole.
RULES = {"raw": 0, "strip": 1, "stripe": 3, "mercadopago": 4, "standardwebhooks": 5, "braintree": 6, "recurly": 7, "worldpay": 8}
TEMPLATES = [b"{header:webhook-id}.{ts}.{body}", b"[id:{query:data.id};][request-id:{header:x-request-id?};]ts:{ts};",
             b"{url}{form_concat}", b"{form_sorted+sign_type}", b"{method} {path_slash}\n{signed_headers}{body}",
             b"{ts}.{sig:h}.{header_values:h}.{body}", b"{json:/a/0/b}{crc32}{sha256hex}{b64body}{secret|b64}", b"{config:x}|{path}"]
STAMPS = [b"1796083200", b"1796083200000", b"2026-11-30T23:59:58.120Z", b"2026-12-01T07:59:51+08:00", b"99999999999999999"]
for text in STAMPS:
    for unit in range(4):
        put("stamp", bytes([unit]) + text)
for i, line in enumerate(open(os.path.join(DATA, "vectors.jsonl"), encoding="utf-8")):
    vector = json.loads(line)
    body = base64.b64decode(vector["body_b64"])
    for name, value in vector["headers"].items():
        if "sig" in name.lower() or "plaid" in name.lower() or name.lower() == "authorization":
            rule = RULES.get(vector["provider"], 3 if "=" in value else 0)
            put("siglist", bytes([rule]) + value.encode())
            put("bytes", value.split("=")[-1].split(",")[-1].encode())
            if value.count(".") == 2:
                put("jose", bytes([1 if ".." in value else 0]) + value.encode())
    if vector["provider"].endswith(("jwe", "mle")):
        for token in json.loads(body).values():
            put("jose", bytes([3]) + token.encode())
    headers = "\n".join(f"{k.lower()}={v}" for k, v in vector["headers"].items() if isinstance(v, str)).encode()
    put("template", TEMPLATES[i % len(TEMPLATES)] + b"\0" + vector["url"].encode() + b"\0" + headers + b"\0" + body)
    for key in [vector.get("public_key"), vector.get("decrypt_key"), *(vector.get("keys") or {}).values()]:
        if key:
            put("key", (key if isinstance(key, str) else json.dumps(key)).encode())
put("key", b"whpk_lfdBWsIfGNCW6/0E+7F+FIBYvP1QyQw4iqlah0OprE8=")
