"""The same histories through the front door: real bodies, signed with the source's secret, given to ingest_batch()."""
import base64
import hashlib
import hmac
import json

from .server import Trial, literal

ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
SECRETS = {"standardwebhooks": "whsec_" + base64.b64encode(b"order and stories, one secret").decode(),
           "generic": "whsec_" + base64.b64encode(b"order and stories, one secret").decode(),
           "stripe": "whsec_order_and_stories_one_secret", "paddle": "pdl_ntfset_order_and_stories_one_secret",
           "adyen-item": ADYEN_KEY}
ADYEN_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "amount/value",
                "amount/currency", "eventCode", "success")
KEPT = "('accepted', 'duplicate', 'quarantined', 'no_effect')"


def sign_adyen(body):
    """Adyen signs each item inside the body."""
    message = json.loads(body)
    for item in message["notificationItems"]:
        item = item["NotificationRequestItem"]
        said = [str(dig(item, path)) for path in ADYEN_SIGNED]
        digest = hmac.new(bytes.fromhex(ADYEN_KEY), ":".join(said).encode(), hashlib.sha256).digest()
        item["additionalData"]["hmacSignature"] = base64.b64encode(digest).decode()
    return json.dumps(message, separators=(",", ":"))


def dig(item, path):
    for key in path.split("/"):
        item = item.get(key, "")
    return item


def generic_body(fact):
    """A fact as a shop of the company's own would send it: (headers, body)."""
    data = {"id": fact.object_ref, "payment_id": fact.payment_ref, "amount": None if fact.amount is None else format(fact.amount, "f"),
            "currency": fact.currency, "fee": None if fact.fee is None else format(fact.fee, "f"), "customer": fact.account_ref,
            "subscription_id": fact.subscription_ref, "value_date": fact.value_date,
            "invoice_numbers": list(fact.correlation) or None}
    body = {"type": fact.kind, "timestamp": fact.occurred_at, "data": {k: v for k, v in data.items() if v is not None}}
    return {"webhook-id": fact.external_id}, json.dumps(body, ensure_ascii=False)


class SignedTrial(Trial):
    """A trial whose facts go through ingest_batch(), one call a batch."""

    def setup(self):
        return super().setup() + [
            f"SELECT erp_webhook.add_secret('{self.source(s)}', {literal(SECRETS[provider])}) IS NULL AS done \\gset"
            for s, (provider, _) in sorted(self.history.sources.items())]

    def batches(self):
        for batch in self.plan:
            sent = [d for n in batch if self.history.steps[n][0] == "facts" for d in self.deliveries(n)]
            others = [self.other(self.history.steps[n]) for n in batch if self.history.steps[n][0] != "facts"]
            yield "\n".join(others + ([self.ingest(sent)] if sent else []))

    def deliveries(self, n):
        """(source, headers, body) of a step: the story's own, else one generic body a fact."""
        if n in self.history.bodies:
            source, headers, body = self.history.bodies[n]
            yield source, headers, sign_adyen(body) if source == "adyen-item" else body
        else:
            for f in self.history.steps[n][1]:
                yield f.source, *generic_body(f)

    def ingest(self, sent):
        """One ingest_batch; prints, and so reports, every receipt that is not one of the good outcomes."""
        rows = []
        for source, headers, body in sent:
            name, octets = self.source(source), f"'\\x{body.encode().hex()}'::bytea"
            given = literal(json.dumps(headers), "jsonb")
            signed = "adyen-item" == self.history.sources[source][0]
            rows.append((f"'{name}'", given if signed else f"erp_webhook.sign('{name}', {octets}, headers => {given})", octets))
        columns = [", ".join(row[k] for row in rows) for k in range(3)]
        return (f"SELECT outcome, detail FROM erp_webhook.ingest_batch(ARRAY[{columns[0]}]::text[], "
                f"ARRAY[{columns[1]}]::jsonb[], ARRAY[{columns[2]}]::bytea[]) WHERE outcome NOT IN {KEPT};")
