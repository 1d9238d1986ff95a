#!/usr/bin/env python3
"""Certificate chains as PayPal's row demands them: up to the pinned root, by CAs only, valid at the time of the delivery,
for the expected name. Every chain signs a request rightly; what differs is who vouches for its key.

Needs a running server with the extension's files installed (PGHOST …, as test/run sets them), and openssl.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from order.tap import Tap                                            # noqa: E402

DATABASE = "ewh_certificates"
tap = Tap()
folder = tempfile.mkdtemp()


def run(*command):
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def make(name, subject, issuer=None, ca=False, days=3650, digest="sha256", bits=2048, san=None):
    """A certificate, its key beside it; its own issuer where none is given. Valid from now on."""
    with open(f"{folder}/{name}.ext", "w", encoding="ascii") as ext:
        ext.write(f"basicConstraints=critical,CA:{str(ca).upper()}\n" + (f"subjectAltName={san}\n" if san else ""))
    run("openssl", "req", "-newkey", f"rsa:{bits}", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
    signer = ["-signkey", f"{name}.key"] if issuer is None else ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial"]
    run("openssl", "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", "-days", str(days), f"-{digest}", "-extfile", f"{name}.ext", *signer)


def read(name):
    with open(f"{folder}/{name}", encoding="ascii") as f:
        return f.read()


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def psql(script, database=DATABASE):
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database], input=script, capture_output=True, text=True)
    if done.returncode != 0:
        print("Bail out! " + done.stderr.strip().replace("\n", " | "))
        sys.exit(1)
    return done.stdout.strip()


def verdict(chain, key, root="root", at=None, **settings):
    """What verify says of a request signed by `key`, if `chain` is the stored secret."""
    at = at or psql("SELECT now() + interval '1 minute'")
    secrets = json.dumps({"secrets": [{"secret": "".join(read(f"{c}.crt") for c in chain)}, {"secret": read(f"{key}.key"), "purpose": "sign"}]})
    known = json.dumps(dict({"webhook_id": "W1", "trust_root": read(f"{root}.crt")} if root else {"webhook_id": "W1"}, **settings))
    row = "erp_webhook.provider_scheme('paypal')"
    signed = f"erp_webhook.sign_with({row}, {quote(secrets)}, {quote(known)}, 'body', {quote(at)})"
    return psql(f"SELECT coalesce((erp_webhook.verify_with({row}, {quote(secrets)}, {quote(known)}, {signed}, 'body', at => {quote(at)})).reason, 'valid');")


make("root", "Root", ca=True)
make("other", "Root", ca=True)
make("middle", "Middle", "root", ca=True)
make("leaf", "webhooks.paypal.com", "middle")
make("direct", "webhooks.paypal.com", "root")
make("by_leaf", "webhooks.paypal.com", "direct")
make("evil", "webhooks.evilpaypal.com", "root")
make("suffix", "webhooks.paypal.com.evil.example", "root")
make("san", "nothing", "root", san="DNS:webhooks.paypal.com")
make("san_other", "webhooks.paypal.com", "root", san="DNS:webhooks.evil.example")
make("short", "webhooks.paypal.com", "root", days=1)
make("sha1", "webhooks.paypal.com", "root", digest="sha1")
make("self", "webhooks.paypal.com")

psql(f"DROP DATABASE IF EXISTS {DATABASE};\nCREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0;", "postgres")
psql("SET client_min_messages = warning;\nCREATE EXTENSION erp_webhook;")
later = psql("SELECT now() + interval '2 days'")
for name, got, wanted in [
        ("a chain over an intermediate", verdict(["leaf", "middle"], "leaf"), "valid"),
        ("signed by the root itself", verdict(["direct"], "direct"), "valid"),
        ("the root sent along", verdict(["leaf", "middle", "root"], "leaf"), "valid"),
        ("the intermediate is missing", verdict(["leaf"], "leaf"), "untrusted_cert"),
        ("a root of the same name that is not ours", verdict(["direct"], "direct", root="other"), "untrusted_cert"),
        ("no root is pinned", verdict(["direct"], "direct", root=None), "untrusted_cert"),
        ("its own root", verdict(["self"], "self"), "untrusted_cert"),
        ("issued by one that is no CA", verdict(["by_leaf", "direct"], "by_leaf"), "untrusted_cert"),
        ("a name that only ends alike", verdict(["evil"], "evil"), "untrusted_cert"),
        ("and by a setting without its dot", verdict(["evil"], "evil", expect_cn_suffix="paypal.com"), "untrusted_cert"),
        ("a setting without its dot", verdict(["direct"], "direct", expect_cn_suffix="paypal.com"), "valid"),
        ("a name that only begins alike", verdict(["suffix"], "suffix"), "untrusted_cert"),
        ("the name among the alternatives", verdict(["san"], "san"), "valid"),
        ("a common name that the alternatives do not repeat", verdict(["san_other"], "san_other"), "untrusted_cert"),
        ("valid when it was sent", verdict(["short"], "short", at=psql("SELECT now() + interval '1 hour'")), "valid"),
        ("expired when it was sent", verdict(["short"], "short", at=later), "untrusted_cert"),
        ("not yet valid", verdict(["direct"], "direct", at="2020-01-01 00:00:00+00"), "untrusted_cert"),
        ("signed with SHA-1", verdict(["sha1"], "sha1"), "untrusted_cert"),
        ("another key than the certificate's", verdict(["direct"], "leaf"), "invalid"),
        ("the certificates in the wrong order", verdict(["middle", "leaf"], "leaf"), "untrusted_cert")]:
    if not tap.ok(got == wanted, f"{name}: {wanted}"):
        tap.diag(f"got {got}")
psql(f"DROP DATABASE {DATABASE};", "postgres")
run("rm", "-r", folder)
tap.done()
