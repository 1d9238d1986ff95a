#!/usr/bin/env python3
"""Seed corpora from the samples of test/data: corpus.py FOLDER."""
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
for text in (b"12345", b"-10.00", b"0.1000000000000000055", b"1e3", b"12345678901234567890.12", b"NaN", b"10,00"):
    put("amount", b"\2\2" + text)
    put("amount", b"\0\3" + text)
for text in (b"1760000400", b"2025-10-09T09:00:00.123456789Z", b"2025-10-09 17:00:00+08:00", b"20251009170000", b"2024-02-29"):
    put("moment", b"\0" + text)
    put("moment", b"\1" + text)
