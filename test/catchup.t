#!/usr/bin/env python3
"""What the worker reads at providers: missed events pulled, doubtful ones confirmed, keys fetched.

    test/catchup.t [SEED]     the seed decides which webhooks of the day are lost
"""
import base64
import hashlib
import hmac
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from order.tap import Tap                                            # noqa: E402
from worker.objects import OBJECTS                                   # noqa: E402
from worker.stage import ROLE, Stage                                 # noqa: E402

DAY = 1760000400
tap = Tap()


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def jobs(stage):
    """One turn at the real schedule: what is put off stays put off."""
    stage.sql("SET erp_webhook.retry_scale = 1; CALL erp_webhook.run_jobs()")


def source(stage, name, provider, api, company="default", key=True, **settings):
    settings = json.dumps(dict(settings, api=f"{stage.url}{api}"))
    stage.sql(f"SELECT erp_webhook.add_source('{name}', '{provider}', '{company}', {quote(settings)})")
    if key:
        stage.sql(f"SELECT erp_webhook.add_secret('{name}', 'the-api-key-of-{name}', key_id => 'client', purpose => 'api')")


def invoice(stage, company, number, total):
    stage.sql(f"INSERT INTO erp_webhook.account (company_id, account_no, name, currency) SELECT company_id, 'C-1', 'C-1', 'EUR' FROM erp_webhook.company WHERE name = '{company}' ON CONFLICT DO NOTHING;"
              f"INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) SELECT c.company_id, '{number}', a.account_id, 'EUR', {total}, '2025-11-01'"
              f" FROM erp_webhook.company c JOIN erp_webhook.account a USING (company_id) WHERE c.name = '{company}'")


def receipt(stage, source, body, headers):
    return stage.sql(f"SELECT outcome, http_status, events FROM erp_webhook.ingest('{source}', {quote(json.dumps(headers))}, convert_to({quote(body)}, 'UTF8'))")[0]


# Catch-up.

def stripe_event(n, kind, made, thing):
    return {"id": f"evt_{n}", "object": "event", "api_version": "2024-06-20", "created": made, "type": kind, "livemode": True, "data": {"object": thing}}


def stripe_day(rng, payments):
    """A day of a shop: payments for invoices, some refunded, one payout."""
    events = []
    for n in range(payments):
        made, amount = DAY + n * 60, rng.randrange(100, 99999)
        events.append(stripe_event(f"p{n}", "payment_intent.succeeded", made, {
            "id": f"pi_{n}", "object": "payment_intent", "amount": amount, "amount_received": amount, "currency": "eur", "metadata": {"invoice_number": f"INV-{n}"}}))
        if rng.random() < 0.2:
            events.append(stripe_event(f"r{n}", "refund.updated", made + 600, {
                "id": f"re_{n}", "object": "refund", "amount": amount // 2, "currency": "eur", "payment_intent": f"pi_{n}", "status": "succeeded"}))
    events.append(stripe_event("payout", "payout.paid", DAY + 86000, {"id": "po_1", "object": "payout", "amount": 12345, "currency": "eur", "arrival_date": DAY + 172800}))
    return events


def deliver(stage, name, secret, events):
    """The webhooks of these events, signed as Stripe does, in one batch."""
    headers, bodies = [], []
    for event in events:
        body, at = json.dumps(event), int(time.time())
        mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        headers.append(quote(json.dumps({"stripe-signature": f"t={at},v1={mac}"})) + "::jsonb")
        bodies.append(f"convert_to({quote(body)}, 'UTF8')")
    got = stage.sql(f"SELECT outcome, count(*) FROM erp_webhook.ingest_batch(array_fill('{name}'::text, ARRAY[{len(events)}]), ARRAY[{','.join(headers)}], ARRAY[{','.join(bodies)}]) GROUP BY 1")
    assert got == [["accepted", str(len(events))]], got


def books(stage, company):
    """All that must be equal, with the source's own name taken out."""
    where = f"WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = '{company}')"
    return (stage.sql(f"SELECT regexp_replace(ledger_account, ':.*', ''), currency, balance FROM erp_webhook.ledger_balance {where} ORDER BY 1, 2"),
            stage.sql(f"SELECT number, paid, credited, state FROM erp_webhook.invoice {where} ORDER BY 1"),
            stage.sql(f"SELECT payment_ref, captured, refunded FROM erp_webhook.payment {where} ORDER BY 1"),
            stage.sql(f"SELECT payout_ref, amount, state FROM erp_webhook.payout {where} ORDER BY 1"))


def catch_up(stage, seed):
    rng = random.Random(seed)
    day = stripe_day(rng, 150)
    share = rng.uniform(0.01, 0.30)
    hidden = {e["id"] for e in day if rng.random() < share} or {day[0]["id"]}
    stage.control("events", day)
    for company in ("whole", "holes"):
        stage.sql(f"SELECT erp_webhook.add_company('{company}', 'EUR')")
        for n in range(150):
            invoice(stage, company, f"INV-{n}", 500) if n < 20 else None
        source(stage, f"stripe-{company}", "stripe", "/stripe", company, pull=False)
        stage.sql(f"SELECT erp_webhook.add_secret('stripe-{company}', 'whsec_stripe_{company}_secret')")
    deliver(stage, "stripe-whole", "whsec_stripe_whole_secret", day)
    deliver(stage, "stripe-holes", "whsec_stripe_holes_secret", [e for e in day if e["id"] not in hidden])
    tap.ok(books(stage, "whole") != books(stage, "holes"), f"{len(hidden)} of {len(day)} webhooks of a day are lost (seed {seed}), and the books show it")
    stage.sql(f"SELECT erp_webhook.pull('stripe-holes', to_timestamp({DAY}))")
    jobs(stage)
    tap.ok(books(stage, "whole") == books(stage, "holes"), "one pull later the books equal the full day's")
    state = stage.sql("SELECT pulled, found, error FROM erp_webhook.pull_state WHERE source = 'stripe-holes'")[0]
    tap.ok(state == [str(len(day)), str(len(hidden)), ""], f"what only pulling brought is counted: {state}")
    origins = dict(stage.sql("SELECT e.origin, count(*) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'stripe-holes' GROUP BY 1"))
    tap.ok(origins == {"push": str(len(day) - len(hidden)), "pull": str(len(hidden))}, f"and marked: {origins}")
    pages = [c["path"] for c in stage.control("calls") if c["path"].startswith("/stripe/v1/events")]
    tap.ok(len(pages) >= 2 and all(c["authorization"] == "Bearer the-api-key-of-stripe-holes" for c in stage.control("calls") if c["path"].startswith("/stripe")),
           f"{len(pages)} pages, each asked for with the API key")

    stage.sql(f"SELECT erp_webhook.pull('stripe-holes', to_timestamp({DAY}))")
    jobs(stage)
    tap.ok(stage.value("SELECT found FROM erp_webhook.pull_state WHERE source = 'stripe-holes'") == str(len(hidden)), "pulling again finds nothing new")
    altered = json.loads(json.dumps(day))
    altered[0]["data"]["object"]["amount_received"] = 1
    stage.control("events", altered)
    before = books(stage, "holes")
    stage.sql(f"SELECT erp_webhook.pull('stripe-holes', to_timestamp({DAY}))")
    jobs(stage)
    tap.ok(books(stage, "holes") == before and stage.value("SELECT count(*) FROM erp_webhook.event_conflict") == "1", "a known event that now says another amount changes no books and is kept as a conflict")
    tap.ok(stage.value("SELECT erp_webhook.settle_again('holes')") == "0", "and settling again finds nothing to post")


def pull_failures(stage):
    source(stage, "stripe-loop", "stripe", "/loop", pull=False)
    stage.sql(f"SELECT erp_webhook.pull('stripe-loop', to_timestamp({DAY}))")
    jobs(stage)
    state = stage.sql("SELECT error, pages_into_run FROM erp_webhook.pull_state WHERE source = 'stripe-loop'")[0]
    tap.ok("loops" in state[0] and state[1] == "0", f"a list that loops ends the run and says so: {state[0]}")

    stage.control("objects/mollie/v2/payments", {"_embedded": {"payments": [{"id": "tr_9", "status": "open", "mode": "live", "amount": {"value": "1.00", "currency": "EUR"}, "createdAt": "2025-10-09T09:00:00+00:00"}]},
                                                 "_links": {"next": {"href": "https://evil.test/v2/payments?from=tr_8"}}})
    source(stage, "mollie-away", "mollie", "/objects/mollie", pull=False)
    stage.sql("SELECT erp_webhook.pull('mollie-away', '2025-01-01')")
    jobs(stage)
    state = stage.sql("SELECT error, pulled FROM erp_webhook.pull_state WHERE source = 'mollie-away' AND stream = 'payments'")[0]
    tap.ok("elsewhere" in state[0] and state[1] == "0", f"a next page on another host is not followed, and the cursor stays: {state[0]}")

    stage.control("objects/broken/v1/events", {"$text": "<html>"})
    source(stage, "stripe-broken", "stripe", "/objects/broken", pull=False)
    stage.sql("SELECT erp_webhook.pull('stripe-broken')")
    jobs(stage)
    tap.ok(stage.value("SELECT error FROM erp_webhook.pull_state WHERE source = 'stripe-broken'") == "not a page", "an answer that is no page is an error, tried again later")
    # An error of our own database's: the page is not kept, the cursor stays, the error shows, and later all is well.
    stage.control("events", stripe_day(random.Random(1), 3))
    source(stage, "stripe-ours", "stripe", "/stripe", pull=False)
    stage.sql(f"ALTER TABLE erp_webhook.delivery ADD CONSTRAINT closed CHECK (false) NOT VALID; SELECT erp_webhook.pull('stripe-ours', to_timestamp({DAY}))")
    jobs(stage)
    kept = "SELECT count(*) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'stripe-ours'"
    state = stage.sql("SELECT error, pulled, tries FROM erp_webhook.pull_state WHERE source = 'stripe-ours'")[0]
    tap.ok("closed" in state[0] and state[1:] == ["0", "1"] and stage.value(kept) == "0", f"a page that cannot be kept is not kept in part, and says why: {state}")
    stage.sql("ALTER TABLE erp_webhook.delivery DROP CONSTRAINT closed; UPDATE erp_webhook.pull_cursor SET next_at = now() WHERE tries = 1")
    jobs(stage)
    tap.ok(int(stage.value(kept)) >= 4 and stage.value("SELECT coalesce(error, '') FROM erp_webhook.pull_state WHERE source = 'stripe-ours'") == "", "and is kept when it can")
    denied = stage.sql("SELECT erp_webhook.add_source('adyen-1', 'adyen-body'); SELECT erp_webhook.pull('adyen-1')", fails=True)
    tap.ok("0A000" in denied, "a provider without a list says so")

    page = {"events": [{"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "create_time": "2025-10-09T09:00:03Z", "resource": {
        "id": "CAP1", "amount": {"currency_code": "EUR", "value": "12.00"}, "status": "COMPLETED", "invoice_id": "INV-PP"}}],
        "links": [{"rel": "next", "href": f"{stage.url}/objects/paypal/page2"}]}
    stage.control("objects/paypal/v1/oauth2/token", {"access_token": "tok-1", "expires_in": 3600})
    stage.control("objects/paypal/v1/notifications/webhooks-events", page)
    stage.control("objects/paypal/page2", {"events": [], "links": []})
    source(stage, "paypal-1", "paypal", "/objects/paypal", pull=False, webhook_id="WH")
    stage.sql("SELECT erp_webhook.pull('paypal-1', '2025-10-01')")
    jobs(stage)
    calls = [(c["path"].split("?")[0], c["authorization"]) for c in stage.control("calls") if c["path"].startswith("/objects/paypal")]
    basic = "Basic " + base64.b64encode(b"client:the-api-key-of-paypal-1").decode()
    tap.ok(calls == [("/objects/paypal/v1/oauth2/token", basic), ("/objects/paypal/v1/notifications/webhooks-events", "Bearer tok-1"), ("/objects/paypal/page2", "Bearer tok-1")],
           "an access token is got once and used for the pages that follow")
    tap.ok(stage.value("SELECT captured FROM erp_webhook.payment WHERE source = 'paypal-1'") == "12.00", "what the API itself says is settled, although its webhooks are not believed")


# Confirmation.

def mollie_payment(ref, refunded=None):
    made = {"resource": "payment", "id": ref, "mode": "live", "status": "paid", "amount": {"value": "75.00", "currency": "EUR"}, "paidAt": "2025-10-09T09:00:00+00:00",
            "createdAt": "2025-10-09T08:59:00+00:00", "metadata": {"invoice_number": "INV-M"}}
    if refunded:
        made["_embedded"] = {"refunds": [{"id": "re_1", "status": "refunded", "amount": {"value": refunded, "currency": "EUR"}, "createdAt": "2025-10-10T09:00:00+00:00"}]}
    return made


def confirm(stage):
    paid = "SELECT paid FROM erp_webhook.invoice WHERE number = 'INV-M'"
    invoice(stage, "default", "INV-M", 75)
    source(stage, "molly", "mollie-classic", "/objects/molly", key=False, pull=False)
    tap.ok(receipt(stage, "molly", "id=tr_1", {})[0] == "waiting", "an unsigned ping waits")
    jobs(stage)
    tap.ok(stage.value("SELECT why FROM erp_webhook.waiting_event WHERE source = 'molly'") == "no API key" and not stage.control("received").get("molly"),
           "without an API key it stays waiting, and says why")
    stage.control("objects/molly/v2/payments/tr_1", mollie_payment("tr_1"))
    stage.sql("SELECT erp_webhook.add_secret('molly', 'live_key', purpose => 'api')")
    jobs(stage)
    tap.ok(stage.value(paid) == "75.00", "with the key the object is read and the invoice is paid")
    rows = stage.sql("SELECT kind, state, origin FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'molly' ORDER BY event_id")
    tap.ok(rows == [["other", "no_effect", "push"], ["payment.succeeded", "applied", "fetch"]], f"the ping is confirmed, the money is of origin fetch: {rows}")
    for _ in range(3):
        receipt(stage, "molly", "id=tr_1", {})
        jobs(stage)
    tap.ok(stage.value(paid) == "75.00" and stage.value("SELECT count(*) FROM erp_webhook.voucher v JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'molly'") == "1",
           "the same ping again and again posts nothing more")
    stage.control("objects/molly/v2/payments/tr_1", mollie_payment("tr_1", refunded="25.00"))
    receipt(stage, "molly", "id=tr_1", {})
    jobs(stage)
    tap.ok(stage.value("SELECT refunded FROM erp_webhook.payment WHERE source = 'molly'") == "25.00", "the identical ping after a refund brings the refund")
    receipt(stage, "molly", "id=..%2F..%2Fsecret", {})
    jobs(stage)
    tap.ok(not any("secret" in c["path"] and "%2F" not in c["path"] for c in stage.control("calls")), "a reference cannot climb out of its place in the URL")


def contradiction(stage):
    source(stage, "flutter", "flutterwave-v3", "/objects/flutter", pull=False)
    stage.sql("SELECT erp_webhook.add_secret('flutter', 'verif-hash-of-flutter')")
    headers = {"verif-hash": "verif-hash-of-flutter"}

    def charge(ref, amount):
        return {"id": ref, "tx_ref": f"INV-F{ref}", "amount": amount, "currency": "NGN", "app_fee": 1, "status": "successful", "created_at": "2025-10-09T09:00:00.000Z"}

    def hook(ref, amount):
        return receipt(stage, "flutter", json.dumps({"event": "charge.completed", "data": charge(ref, amount)}), headers)

    def state(ref):
        return stage.sql(f"SELECT e.state, e.reason FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'flutter' AND e.object_ref = '{ref}' AND e.origin = 'push'")[0]

    stage.control("objects/flutter/v3/transactions/1/verify", {"status": "success", "data": charge(1, 100)})
    stage.control("objects/flutter/v3/transactions/2/verify", {"status": "success", "data": charge(2, 100)})
    stage.control("objects/flutter/v3/transactions/4/verify", {"$status": 401})
    outcomes = [hook(1, 100)[0], hook(2, 90000)[0], hook(3, 100)[0], hook(4, 100)[0]]
    jobs(stage)
    tap.ok(outcomes == ["waiting"] * 4 and state(1) == ["no_effect", "confirmed"], "a claim the provider bears out is settled")
    tap.ok(state(2) == ["quarantined", "contradiction"], f"another amount than the provider's is quarantined at once: {state(2)}")
    tap.ok(stage.value("SELECT payload ->> 'reason' FROM erp_webhook.message WHERE kind = 'event.quarantined'") == "contradiction", "and an alarm is queued")
    tap.ok(state(3)[0] == state(4)[0] == "waiting", "what the provider does not know, or refuses to say, waits")
    for _ in range(12):
        stage.sql("UPDATE erp_webhook.event SET retry_at = now() WHERE state = 'waiting'")
        jobs(stage)
    tap.ok(state(3) == ["quarantined", "contradiction"], "what it never knew is quarantined after the last attempt")
    tap.ok(state(4)[0] == "waiting" and "given up" in stage.value("SELECT why FROM erp_webhook.waiting_event WHERE source = 'flutter'"), "a refused API key leaves events waiting and visible")
    tap.ok(stage.value("SELECT sum(captured) FROM erp_webhook.payment WHERE source = 'flutter'") in ("100", "100.00"), "only confirmed money is in the books")


def objects(stage):
    """The rules of the catalogue over the providers' documented objects, without a network."""
    for n, (provider, rule, claim, answer, expected) in enumerate(OBJECTS):
        name = f"object-{n}"
        stage.sql(f"SELECT erp_webhook.add_source('{name}', '{provider}', settings => '{{\"url\": \"https://x.example/\"}}')")
        rows = stage.sql(f"SELECT e.kind, e.object_ref, e.payment_ref, e.amount, e.currency, array_to_string(e.correlation, ','), e.fee, e.state"
                         f" FROM erp_webhook.api_access a, jsonb_array_elements(a.rules -> 'objects') r,"
                         f" erp_webhook.read_object(a, r, {quote(json.dumps(claim))}, {quote(json.dumps(answer))}, 'fetch') e WHERE a.source = '{name}' AND r ->> 'rule' = '{rule}'")
        ok = rows == [[str(v) for v in row] for row in expected]
        tap.ok(ok, f"{provider}: {rule}" + ("" if ok else f": {rows}"))


# Keys.

def signed(stage, key, body):
    with open(stage.path("signed"), "wb") as f:
        f.write(body)
    mac = subprocess.run(["openssl", "dgst", "-sha256", "-sign", stage.path(key), stage.path("signed")], check=True, capture_output=True).stdout
    return base64.b64encode(mac).decode()


def keys(stage):
    for name in ("k1", "k2"):
        stage.openssl("genrsa", "-out", f"{name}.key", "2048")
        stage.openssl("rsa", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub")
    stage.sql("INSERT INTO erp_webhook.provider (provider, scheme, reading, \"fetch\") SELECT 'keyed',"
              " '{\"alg\": \"rsa-sha256\", \"key\": \"pem\", \"kid\": \"header:x-key-id\", \"sig\": {\"from\": \"header:x-signature\", \"enc\": \"base64\"}, \"msg\": \"{body}\"}',"
              " p.reading, '{\"keys\": {\"id\": \"header:x-key-id\", \"url\": \"/keys/{ref}\", \"form\": \"pem\"}}' FROM erp_webhook.provider p WHERE p.provider = 'generic';"
              "INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields) SELECT 'keyed', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic'")
    source(stage, "keyed", "keyed", "/objects/keyed", pull=False, key=False)
    with open(stage.path("k1.pub")) as f:
        stage.control("objects/keyed/keys/k1", {"$text": f.read()})

    def hook(ref, key, kid, body=None):
        said = json.dumps({"type": "payment.succeeded", "timestamp": "2025-10-09T09:00:00Z", "data": {"id": ref, "payment_id": ref, "amount": "10.00", "currency": "EUR"}})
        return receipt(stage, "keyed", body or said, {"webhook-id": f"msg_{ref}", "x-key-id": kid, "x-signature": signed(stage, key, said.encode())})

    money = "SELECT coalesce(sum(captured), 0) FROM erp_webhook.payment WHERE source = 'keyed'"
    tap.ok(hook("a", "k1.key", "k1")[0] == "waiting" and hook("b", "k2.key", "k1")[0] == "waiting" and stage.value(money) == "0", "deliveries under a key we do not have are kept without effect")
    jobs(stage)
    tap.ok(stage.value(money) == "10.00", "when the key comes, the genuine one is settled")
    tap.ok(stage.sql("SELECT state, coalesce(reason, '') FROM erp_webhook.unverified ORDER BY unverified_id") == [["accepted", ""], ["refused", "invalid"]], "and the forged one is refused")
    tap.ok(hook("c", "k1.key", "k1")[0] == "accepted" and hook("d", "k2.key", "k1")[:2] == ["rejected", "401"], "from then on the key serves at once")
    tap.ok(hook("e", "k1.key", "../k1")[0] in ("waiting", "rejected") and hook("f", "k1.key", "k\"1")[0] == "rejected", "a name that is no key's is rejected")
    jobs(stage)
    asked = {c["path"] for c in stage.control("calls") if "keyed" in c["path"]}
    tap.ok(asked <= {"/objects/keyed/keys/k1", "/objects/keyed/keys/..%2Fk1"}, f"only the pinned address was called: {asked}")
    # A key the provider denies: refused with a reason after some attempts; one it could not be asked for waits on.
    tap.ok(hook("g", "k1.key", "k9")[0] == hook("h", "k1.key", "k8")[0] == "waiting", "other keys are asked for")
    stage.control("objects/keyed/keys/k8", {"$status": 503})
    for _ in range(7):
        stage.sql("UPDATE erp_webhook.unverified SET retry_at = now() WHERE state = 'waiting'")
        jobs(stage)
    got = dict(stage.sql("SELECT key_id, state || ', ' || reason || ', ' || octet_length(body) FROM erp_webhook.unverified WHERE key_id IN ('k8', 'k9')"))
    tap.ok(got["k9"] == "refused, no key came: answered 404, no key in it, 0" and got["k8"].startswith("waiting, answered 503"), f"a key that is denied refuses what named it, one that cannot be had does not: {got}")
    stage.sql("INSERT INTO erp_webhook.unverified (company_id, source_id, key_id, method, headers, body, retry_at) SELECT company_id, source_id, 'x' || i, 'POST', '{}', '', 'infinity'"
              " FROM erp_webhook.source, generate_series(1, 999) i WHERE name = 'keyed'")
    tap.ok(hook("i", "k1.key", "k7")[:2] == ["rejected", "401"], "a thousand wait at most: more are rejected, and their senders come again")
    stage.sql("DELETE FROM erp_webhook.unverified WHERE key_id LIKE 'x%'")
    pins = [("https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270", "t"), ("https://api.paypal.com.evil.test/v1/notifications/certs/CERT", "f"),
            ("https://api.paypal.com/v1/notifications/certs/../../x", "f"), ("http://api.paypal.com/v1/notifications/certs/CERT", "f"), ("https://api.paypal.com@evil.test/v1/notifications/certs/CERT", "f")]
    got = [stage.value(f"SELECT erp_webhook.key_named(\"fetch\", {quote(json.dumps({'PAYPAL-CERT-URL': url}))}) IS NOT NULL FROM erp_webhook.provider WHERE provider = 'paypal'") for url, _ in pins]
    tap.ok(got == [want for _, want in pins], f"PayPal's certificates come from its own address only: {got}")


def key_sets(stage):
    """What an answer may bring: a set or one key by name, no more than the bound, used no longer than its time."""
    held = "SELECT key_id, key_id = 'k63' OR upper(valid) - now() BETWEEN interval '23 h' AND interval '25 h' FROM erp_webhook.fetched_key JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'sets' ORDER BY 1"
    source(stage, "sets", "truelayer", "", pull=False, key=False)

    def bring(form, answer, ref="k63"):
        rule = json.dumps({"form": form, "url": "/jwks", "lives": "24 hours"})
        return stage.sql(f"SELECT key_id FROM erp_webhook.keys_of({quote(rule)}, {quote(ref)}, convert_to({quote(answer)}, 'UTF8')) ORDER BY 1")
    jwk = {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}
    many = json.dumps({"keys": [dict(jwk, kid=f"k{n}") for n in range(200)]})
    tap.ok(len(bring("jwks", many)) == 64 and bring("jwk", json.dumps(dict(jwk, kid="k63"))) == [["k63"]] and bring("jwk", json.dumps(dict(jwk, kid="other"))) == [],
           "of a set no more than 64 keys are taken; where one is asked for by name, no other")
    tap.ok(bring("jwks", many + " " * 70000) == [] and bring("jwks", "<html>") == [] and bring("jwks", '{"keys": "x"}') == [] and bring("pem", "not a key") == [], "an answer too large, or that holds no key, brings none")
    stage.sql("INSERT INTO erp_webhook.fetch (company_id, source_id, purpose, rule, ref, state, lease) SELECT company_id, source_id, 'key', 'key', 'k63', 'fetching', 1 FROM erp_webhook.source WHERE name = 'sets'")
    stage.sql("INSERT INTO erp_webhook.fetched_key (company_id, source_id, key_id, key, fetched_at) SELECT company_id, source_id, 'old' || i, 'x', now() - interval '1 day' FROM erp_webhook.source, generate_series(1, 64) i WHERE name = 'sets'")
    stage.sql(f"SELECT erp_webhook.record_call(jsonb_build_object('what', 'key', 'company_id', company_id, 'source_id', source_id, 'ref', fetch_id, 'lease', 1, 'status', 200), convert_to({quote(many)}, 'UTF8'))"
              " FROM erp_webhook.fetch WHERE ref = 'k63'")
    rows = stage.sql(held)
    tap.ok(len(rows) == 64 and all(r[0].startswith("k") and r[1] == "t" for r in rows), "a source keeps 64 keys, the newest, each for a day")


def failed_events(stage):
    """An error of the ERP's own is retried with backoff and given up after a number of attempts."""
    source(stage, "shop", "generic", "/none", key=False)
    rows = stage.sql("SELECT retry_at IS NOT NULL FROM erp_webhook.event WHERE state = 'failed'")
    tap.ok(rows == [], "nothing has failed so far")
    stage.sql("INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, received_at, object_ref, payment_ref, amount, currency, attempts, sqlstate, error)"
              " SELECT company_id, source_id, 'late', 'payment.succeeded', 'failed', now(), 'p-late', 'p-late', 5, 'EUR', 1, 'P0001', 'the ERP was closed' FROM erp_webhook.source WHERE name = 'shop'")
    jobs(stage)
    late = stage.sql("SELECT e.state, e.attempts, coalesce(e.sqlstate, ''), coalesce(e.error, ''), coalesce(p.captured::numeric(9, 2)::text, 'none') FROM erp_webhook.event e"
                     " LEFT JOIN erp_webhook.payment p ON p.payment_ref = 'p-late' WHERE e.external_id = 'late'")
    tap.ok(late == [["applied", "1", "", "", "5.00"]], f"a failed event is settled when its reason has gone: {late}")

    # A rule of the ERP's own that raises.
    stage.sql("CREATE TABLE public.erp (closed boolean); INSERT INTO public.erp VALUES (true);"
              "CREATE FUNCTION public.closed(erp_webhook.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN IF (SELECT closed FROM public.erp) THEN RAISE 'the ERP is closed'; END IF; END $$;"
              "SELECT erp_webhook.on_event('refund.succeeded', 'public.closed(erp_webhook.event)')")
    stage.sql("SELECT erp_webhook.add_secret('shop', 'whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB')")
    said = "convert_to('{\"type\": \"refund.succeeded\", \"timestamp\": \"2025-10-09T09:00:00Z\", \"data\": {\"id\": \"r-1\", \"payment_id\": \"p-late\", \"amount\": \"1.00\", \"currency\": \"EUR\"}}', 'UTF8')"
    got = stage.sql(f"SELECT outcome, http_status FROM erp_webhook.ingest('shop', erp_webhook.sign('shop', {said}, headers => '{{\"webhook-id\": \"r-1\"}}'), {said})")
    tap.ok(got == [["failed", "200"]], f"an event whose settling raises is kept and answered with success: {got}")
    state = "SELECT state, attempts, error, extract(epoch FROM retry_at - now())::int FROM erp_webhook.event WHERE external_id = 'r-1'"
    waits = []
    for _ in range(14):
        jobs(stage)
        waits.append(int(stage.sql(state)[0][3]))
        stage.sql("UPDATE erp_webhook.event SET retry_at = now() WHERE external_id = 'r-1'")
    row = stage.sql(state)[0]
    tap.ok(row[:3] == ["failed", "12", "the ERP is closed"], f"it is tried twelve times and no more: {row}")
    grown = [b > 2 * a for a, b in zip(waits[:5], waits[1:6])]
    tap.ok(all(grown) and max(waits) <= 1.1 * 21600, f"each time after a longer wait, six hours at most: {waits}")
    tap.ok(stage.value("SELECT count(*) FROM erp_webhook.exceptions WHERE kind = 'failed'") == "1", "it stands in exceptions")
    stage.sql("UPDATE public.erp SET closed = false")
    tap.ok(stage.value("SELECT erp_webhook.retry_failed('default')") == "1" and stage.sql(state)[0][0] == "applied", "until a person has it tried again")


def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "20261123"
    stage = Stage(seed)
    try:
        stage.sql(f"CREATE ROLE {ROLE} LOGIN; CREATE EXTENSION erp_webhook; SELECT erp_webhook.grant_worker('{ROLE}'), erp_webhook.add_company('default', 'EUR')")
        for part in (lambda: catch_up(stage, seed), lambda: pull_failures(stage), lambda: confirm(stage), lambda: contradiction(stage), lambda: objects(stage), lambda: keys(stage), lambda: key_sets(stage), lambda: failed_events(stage)):
            part()
    except Exception as problem:
        tap.ok(False, f"stopped: {problem}")
        tap.diag(stage.log()[-3000:])
    finally:
        stage.close()
    tap.done()


if __name__ == "__main__":
    main()
