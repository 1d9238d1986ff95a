#!/usr/bin/env python3
"""Catch-up of every provider that has a list, page by page over the network; its schedule; what cuts it short.

    test/lists.t [SEED]     the seed decides when the worker is killed
"""
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from order.tap import Tap                                            # noqa: E402
from worker.lists import LISTS                                       # noqa: E402
from worker.stage import ROLE, Stage                                 # noqa: E402

DAY = 1760000400
tap = Tap()


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def jobs(stage):
    stage.sql("SET erp_webhook.retry_scale = 1; CALL erp_webhook.run_jobs()")


def source(stage, name, provider, api, **settings):
    stage.sql(f"SELECT erp_webhook.add_source('{name}', '{provider}', settings => {quote(json.dumps(dict(settings, api=stage.url + api)))}),"
              f" erp_webhook.add_secret('{name}', 'key-of-{name}', key_id => 'client', purpose => 'api')")


def called(stage, api):
    return [c["path"][len(api):] for c in stage.control("calls") if c["path"].startswith(api + "/")]


def facts(stage, name):
    rows = stage.sql("SELECT e.kind, e.object_ref, round(e.amount, 2) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id)"
                     f" WHERE s.name = '{name}' AND e.state = 'applied' ORDER BY e.kind, e.object_ref")
    return [tuple(row) for row in rows]


def every_list(stage):
    listed = {row[0] for row in stage.sql("SELECT provider FROM erp_webhook.provider WHERE \"fetch\" ? 'pull'")}
    tap.ok(listed == {row[0] for row in LISTS} | {"stripe"}, f"every provider with a list is pulled here, Stripe in catchup.t: {sorted(listed)}")
    for provider, settings, pages, expected, beyond in LISTS:
        name, api = f"list-{provider}", f"/objects/list-{provider}"
        for path, answer in pages.items():
            stage.control(f"{api[1:]}{path}", json.loads(json.dumps(answer).replace("{base}", stage.url + api)))
        source(stage, name, provider, api, pull=False, **settings)
        streams = int(stage.value(f"SELECT erp_webhook.pull('{name}', '2025-10-01')"))
        jobs(stage)
        got, asked = facts(stage, name), called(stage, api)
        state = stage.sql(f"SELECT count(*), count(done_at), count(error) FROM erp_webhook.pull_state WHERE source = '{name}'")[0]
        ok = got == expected and state == [str(streams), str(streams), "0"] and not any(word in path for word in beyond for path in asked)
        tap.ok(ok, f"{provider}: {streams} lists, {len(asked)} calls, {len(got)} facts" + ("" if ok else f": {got} {state} {asked}"))
        events = stage.value(f"SELECT count(*) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = '{name}'")
        stage.sql(f"SELECT erp_webhook.pull('{name}', '2025-10-01')")
        jobs(stage)
        again = stage.value(f"SELECT count(*) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = '{name}'")
        tap.ok(again == events and facts(stage, name) == expected, f"{provider}: known pages bring nothing new")


def schedule(stage):
    """A source with an API key is pulled by itself; without one, or with pull = false, it is not."""
    stage.control("events", [])
    source(stage, "by-itself", "stripe", "/stripe")
    source(stage, "by-hand", "stripe", "/stripe", pull=False)
    stage.sql(f"SELECT erp_webhook.add_source('no-key', 'stripe', settings => {quote(json.dumps({'api': stage.url + '/stripe'}))})")
    jobs(stage)
    got = stage.sql("SELECT source, done_at IS NOT NULL, next_at - done_at FROM erp_webhook.pull_state WHERE source IN ('by-itself', 'by-hand', 'no-key')")
    tap.ok(got == [["by-itself", "t", "00:10:00"]], f"a list is read by itself every ten minutes: {got}")
    jobs(stage)
    calls = len(called(stage, "/stripe"))
    stage.sql("UPDATE erp_webhook.pull_cursor SET next_at = now() WHERE next_at > now()")
    jobs(stage)
    tap.ok(calls == 1 and len(called(stage, "/stripe")) == 2, "not before its time, and again then")
    denied = stage.sql("SELECT erp_webhook.pull('no-key')", fails=True)
    tap.ok("55000" in denied and "add_secret_file" in denied, "pull() of a source without an API key says what is missing")


def hostile(stage):
    """A provider's API may be hostile, too: what it answers ends the call, never the worker."""
    stage.setting("erp_webhook.http_timeout", "5")
    for what, path, expected in (("an endless page", "/evil/endless", "too large"), ("a drip", "/evil/drip", "timed out"), ("a redirect", "/evil/redirect", "answered 302"),
                                 ("a bomb", "/evil/bomb", "not a page"), ("another host's certificate", None, "certificate")):
        name = "hostile-" + what.replace(" ", "-").replace("'", "")
        source(stage, name, "stripe", path or "", pull=False)
        stage.sql("UPDATE erp_webhook.provider SET \"fetch\" = jsonb_set(\"fetch\", '{pull,events,url}', '\"/\"') WHERE provider = 'stripe'")
        if path is None:
            stage.sql(f"UPDATE erp_webhook.source SET settings = settings || '{{\"api\": \"https://wrong.test:{stage.port}\"}}' WHERE name = '{name}'")
        stage.sql(f"SELECT erp_webhook.pull('{name}')")
        jobs(stage)
        error = stage.value(f"SELECT error FROM erp_webhook.pull_state WHERE source = '{name}'")
        tap.ok(expected in error, f"{what}: {error}")
    stage.setting("erp_webhook.http_timeout", "30")
    stage.sql("UPDATE erp_webhook.provider SET \"fetch\" = jsonb_set(\"fetch\", '{pull,events,url}', '\"/v1/events?limit=100&created%5Bgte%5D={since_s}\"') WHERE provider = 'stripe'")


def killed(stage, rng):
    """kill -9 of the worker in the middle of a pull, three times: each page's events are there once, with their cursor."""
    day = [{"id": f"evt_k{n}", "object": "event", "api_version": "2024-06-20", "created": DAY + n, "type": "payment_intent.succeeded", "livemode": True, "data": {"object": {
        "id": f"pi_k{n}", "object": "payment_intent", "amount": 100 + n, "amount_received": 100 + n, "currency": "eur", "metadata": {}}}} for n in range(950)]
    stage.control("events", day)
    stage.control("page_pause", 0.15)
    source(stage, "killed", "stripe", "/stripe", pull=False)
    stage.preload()
    stage.sql(f"SELECT erp_webhook.pull('killed', to_timestamp({DAY}))")
    state = "SELECT pulled, done_at IS NOT NULL FROM erp_webhook.pull_state WHERE source = 'killed'"
    stored = "SELECT count(*) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'killed'"
    seen = []
    for _ in range(3):
        pid = stage.wait_for(stage.worker_pid, "the worker")
        pulled = stage.value(state)
        stage.wait_for(lambda: stage.value(state) != pulled, "another page")
        time.sleep(rng.uniform(0, 0.3))
        os.kill(int(pid), signal.SIGKILL)
        stage.wait_for(lambda: stage.worker_pid() not in (None, pid), "the worker after kill -9")
        seen.append(stage.sql(f"SELECT ({stored}) = pulled, pulled FROM erp_webhook.pull_state WHERE source = 'killed'")[0])
        stage.sql("UPDATE erp_webhook.pull_cursor SET leased_until = now() WHERE leased_until IS NOT NULL")      # as if the lease had run out
    tap.ok(all(s[0] == "t" for s in seen) and int(seen[0][1]) < 950, f"after each kill -9 the cursor stands where the events end: {[s[1] for s in seen]} of 950")
    stage.wait_for(lambda: stage.sql(state) == [["950", "t"]], "the end of the list")
    total = stage.value("SELECT sum(captured) FROM erp_webhook.payment WHERE source = 'killed'")
    tap.ok(stage.value(stored) == "950" and float(total) * 100 == sum(100 + n for n in range(950)), f"and in the end each event is there once, and the money: {total}")
    tap.ok(stage.value("SELECT erp_webhook.settle_again('default')") == "0", "settling again finds nothing to post")


def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "20261123"
    stage = Stage(seed)
    try:
        stage.hosts("peer.test 127.0.0.1", "wrong.test 127.0.0.1")
        stage.sql(f"CREATE ROLE {ROLE} LOGIN; CREATE EXTENSION erp_webhook; SELECT erp_webhook.grant_worker('{ROLE}'), erp_webhook.add_company('default', 'EUR')")
        every_list(stage)
        schedule(stage)
        hostile(stage)
        killed(stage, random.Random(seed))
    except Exception as problem:
        tap.ok(False, f"stopped: {problem}")
        tap.diag(stage.log()[-3000:])
    finally:
        stage.close()
    tap.done()


if __name__ == "__main__":
    main()
