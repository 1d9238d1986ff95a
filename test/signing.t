#!/usr/bin/env python3
"""sign() and verify() agree for every provider of the catalogue, with keys made here: what sign() made is accepted, and is
refused when the body, the secret or the clock is another. Where the signature sits inside the body, sign() says so.

Needs a running server with the extension's files installed (PGHOST …, as test/run sets them), and openssl.
"""
import base64
import datetime
import json
import subprocess
import sys

DATABASE = "ewh_signing"
AT = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)).isoformat(" ", "seconds")   # after the certificates are made
BODY = json.dumps({"iyziEventType": "a", "paymentId": 1, "paymentConversationId": "c", "status": "S", "iyziPaymentId": 2,
                   "token": "t"})
SETTINGS = {"url": "https://erp.example/hooks/x?data.id=42", "webhook_id": "W1", "x_login": "L1", "public_key": "P1",
            "merchant_salt": "s", "expect_cn_suffix": ".paypal.com"}
INSIDE = {"adyen-item", "alipay", "braintree", "iyzico-callback", "mastercard-jwe", "nuvei", "paytr", "visa-mle"}
NEEDS_KEY_NAME = {"wechatpay", "worldline", "worldpay", "plaid"}
CERT_URL = "https://api.paypal.com/v1/notifications/certs/CERT-test"


def run(command, stdin=""):
    return subprocess.run(command, shell=True, input=stdin, capture_output=True, text=True, check=True).stdout


def pair(command):
    private = run(command + " | openssl pkcs8 -topk8 -nocrypt")
    return private, run("openssl pkey -pubout", private)


def quote(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def psql(script, database=DATABASE):
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database], input=script, capture_output=True, text=True)
    if done.returncode != 0:
        print("Bail out! " + done.stderr.strip().replace("\n", " | "))
        sys.exit(1)
    return done.stdout.splitlines()


def certificates():
    """A root, and a chain of one certificate for *.paypal.com with its private key."""
    return run("""set -e; d=$(mktemp -d); cd $d
      openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=root -addext basicConstraints=critical,CA:true 2>/dev/null
      openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=webhooks.paypal.com 2>/dev/null
      openssl x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out leaf.crt 2>/dev/null
      cat ca.crt; echo =; cat leaf.crt; echo =; cat leaf.key; rm -r $d""").split("\n=\n")


class Keys:
    def __init__(self):
        self.rsa = pair("openssl genrsa 2048 2>/dev/null")
        self.p256 = pair("openssl ecparam -name prime256v1 -genkey -noout")
        self.p521 = pair("openssl ecparam -name secp521r1 -genkey -noout")
        self.ed = pair("openssl genpkey -algorithm ed25519")
        self.root, self.leaf, self.leaf_key = certificates()

    def secrets(self, scheme):
        """[(secret, purpose)] that serve this scheme."""
        alg, key = scheme.get("alg", ""), scheme.get("key")
        if key == "x509-chain":
            return [(self.leaf, "verify"), (self.leaf_key, "sign")]
        if alg.startswith("rsa"):
            return [(self.rsa[1], "verify"), (self.rsa[0], "sign")]
        if alg.startswith("ecdsa"):
            return [(self.p256[1], "verify"), (self.p256[0], "sign")]
        if alg == "ed25519":
            return [(self.ed[1], "verify"), (self.ed[0], "sign")]
        if alg.startswith("jws"):
            private, public = {"ES256": self.p256, "ES512": self.p521, "PS256": self.rsa}[scheme["jws_algs"][0]]
            return [(public, "verify"), (private, "sign")]
        if key == "whsec":
            return [("whsec_" + base64.b64encode(b"k" * 32).decode(), "verify")]
        if key == "hex":
            return [("ab" * 32, "verify")]
        return [("user:shared-secret", "verify")]


def setup(provider, scheme, keys):
    settings = dict(SETTINGS, trust_root=keys.root) if scheme.get("key") == "x509-chain" else SETTINGS
    key_id = CERT_URL if provider == "paypal" else "key-1" if provider in NEEDS_KEY_NAME else None
    lines = [f"SELECT erp_webhook.add_source({quote(provider)}, {quote(provider)}, settings => {quote(json.dumps(settings))}) \\g /dev/null"]
    for secret, purpose in keys.secrets(scheme):
        lines.append(f"SELECT erp_webhook.add_secret({quote(provider)}, {quote(secret)}, '-infinity', key_id => {quote(key_id)}, "
                     f"purpose => {quote(purpose)}) \\g /dev/null")
    return "\n".join(lines)


def main():
    psql(f"DROP DATABASE IF EXISTS {DATABASE};\nCREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0;", "postgres")
    psql("""SET client_min_messages = warning;
CREATE EXTENSION erp_webhook;
-- Decryption is tested by the vectors: here only the signature counts.
UPDATE erp_webhook.provider SET scheme = scheme - 'decrypt' WHERE scheme ? 'alg';
CREATE FUNCTION try(source text, body bytea, at timestamptz) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  headers jsonb;
BEGIN
  headers := erp_webhook.sign(source, body, at, '{"X-Given": "kept"}');
  RETURN ARRAY[
    headers ->> 'X-Given',
    coalesce((erp_webhook.verify(source, headers, body, at => at)).reason, 'valid'),
    coalesce((erp_webhook.verify(source, headers, body || '\\x20', at => at)).reason, 'valid'),
    coalesce((erp_webhook.verify(source, headers, body, at => at + interval '1 hour')).reason, 'valid')];
EXCEPTION WHEN feature_not_supported THEN
  RETURN ARRAY[SQLSTATE];
END $$;""")
    schemes = [line.split("|", 1) for line in psql(
        "SELECT provider, erp_webhook.provider_scheme(provider) FROM erp_webhook.provider WHERE shipped ORDER BY provider COLLATE \"C\";")]
    keys = Keys()
    checks = []
    for provider, text in schemes:
        scheme = json.loads(text)
        if scheme.get("alg") == "none":
            continue
        psql(setup(provider, scheme, keys) if provider not in INSIDE else
             f"SELECT erp_webhook.add_source({quote(provider)}, {quote(provider)}) \\g /dev/null")
        got = psql(f"SELECT array_to_string(try({quote(provider)}, convert_to({quote(BODY)}, 'UTF8'), '{AT}'), ' ');")[0].split()
        if provider in INSIDE:
            checks.append((f"{provider}: signed inside the body, so sign() declines", got == ["0A000"], got))
            continue
        in_fields = scheme.get("covers") not in (None, "body", "crc32")
        checks.append((f"{provider}: sign() keeps what is given and verify() accepts", got[:2] == ["kept", "valid"], got))
        checks.append((f"{provider}: another body is {'not covered' if in_fields else 'refused'}",
                       got[2:3] == ["valid" if in_fields else "invalid"], got))
        if scheme.get("ts"):
            checks.append((f"{provider}: an hour later it is expired", got[3:4] == ["expired"], got))
    print(f"1..{len(checks)}")
    for number, (what, passed, got) in enumerate(checks, 1):
        print(f"{'ok' if passed else 'not ok'} {number} - {what}" + ("" if passed else f", got {got}"))
    psql(f"DROP DATABASE {DATABASE};", "postgres")
    sys.exit(0 if all(passed for _, passed, _ in checks) else 1)


main()
