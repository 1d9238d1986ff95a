#!/usr/bin/env python3
"""The worker against subscribers that fail, peers that attack, and a server that is pulled from under it.

    test/worker.t [SEED]     the seed decides which delivery fails how
"""
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from order.tap import Tap                                            # noqa: E402
from worker.stage import ROLE, SECRETS, Stage                        # noqa: E402

LIMIT = 5               # seconds an attack may last
TRIES = 10              # Standard Webhooks: one at once and nine later
tap = Tap()


def subscribe(stage, name, path=None, kinds="{*}", secret=SECRETS[0]):
    url = stage.url + (path or f"/hook/{name}")
    stage.sql(f"SELECT erp_webhook.add_subscriber('{name}', '{url}', '{kinds}', '{secret}')")


def tell(stage, kind, count, objects=None):
    """Queue messages; the n-th of an object says n, so its order can be told from the bodies."""
    objects = objects or count
    stage.sql(f"SELECT erp_webhook.notify(1, '{kind}', 'invoice', '{kind}-' || i % {objects}, jsonb_build_object('object', i % {objects}, 'n', i / {objects}))"
              f" FROM generate_series(0, {count - 1}) i")


def states(stage, subscriber):
    return dict(stage.sql(f"SELECT state, count(*) FROM erp_webhook.outbox WHERE subscriber = '{subscriber}' GROUP BY 1"))


def settled(stage, *subscribers):
    names = ", ".join(f"'{s}'" for s in subscribers)
    return lambda: stage.value(f"SELECT count(*) FROM erp_webhook.outbox WHERE subscriber IN ({names}) AND state IN ('queued', 'sending')") == "0"


def last_error(stage, subscriber):
    """What the latest finished try came to."""
    return stage.value("SELECT coalesce(a.error, a.status::text) FROM erp_webhook.attempt a JOIN erp_webhook.subscriber s USING (company_id, subscriber_id)"
                       f" WHERE s.name = '{subscriber}' ORDER BY a.message_id DESC, a.try DESC LIMIT 1")


def without_preload(stage):
    """A stock server: CALL run_jobs() does a turn, in pieces, and only outside a transaction."""
    subscribe(stage, "stock")
    tell(stage, "stock.kind", 5)
    stage.sql("CALL erp_webhook.run_jobs()")
    tap.ok(states(stage, "stock") == {"delivered": "5"}, "run_jobs() delivers on a server that does not preload the library")
    tap.ok("25001" in (stage.sql("BEGIN; CALL erp_webhook.run_jobs()", fails=True) or "") or
           "2D000" in (stage.sql("BEGIN; CALL erp_webhook.run_jobs()", fails=True) or ""), "run_jobs() is refused inside a transaction block")
    stage.sql(f"SET ROLE {ROLE}; CALL erp_webhook.run_jobs()")
    denied = stage.sql(f"SET ROLE {ROLE}; SELECT * FROM erp_webhook.message", fails=True)
    tap.ok(denied and "42501" in denied, "the worker's role does turns and reads no table")


def rotation(stage):
    stage.control("secrets", {"old": SECRETS[0], "new": SECRETS[1]})
    subscribe(stage, "rotating", kinds="{rotation.*}")
    tell(stage, "rotation.before", 1)
    stage.sql("CALL erp_webhook.run_jobs()")
    stage.sql(f"SELECT erp_webhook.rotate_subscriber_secret('rotating', '{SECRETS[1]}')")
    tell(stage, "rotation.during", 1)
    stage.sql("CALL erp_webhook.run_jobs()")
    stage.sql("UPDATE erp_webhook.subscriber_secret SET valid = tstzrange(lower(valid), now()) WHERE upper(valid) > now()")
    tell(stage, "rotation.after", 1)
    stage.sql("CALL erp_webhook.run_jobs()")
    signed = [r["signed_by"] for r in stage.control("received")["rotating"]]
    tap.ok(signed == [["old"], ["old", "new"], ["new"]], f"one signature, two during rotation, then the new one alone: {signed}")
    stage.sql("SELECT erp_webhook.remove_subscriber('stock'), erp_webhook.remove_subscriber('rotating')")


def unopened(stage):
    """A secret that does not open (sealed under a key that is not here) keeps its own subscriber waiting and nobody else."""
    subscribe(stage, "sealed-elsewhere", kinds="{sealed.*}")
    subscribe(stage, "beside", kinds="{sealed.*}")
    stage.sql("UPDATE erp_webhook.subscriber_secret k SET key_name = 'elsewhere' FROM erp_webhook.subscriber s WHERE (s.company_id, s.subscriber_id) = (k.company_id, k.subscriber_id) AND s.name = 'sealed-elsewhere'")
    tell(stage, "sealed.kind", 1)
    stage.sql("SET erp_webhook.retry_scale = 1; CALL erp_webhook.run_jobs()")
    error = last_error(stage, "sealed-elsewhere")
    tap.ok(states(stage, "beside") == {"delivered": "1"} and states(stage, "sealed-elsewhere") == {"queued": "1"} and "sealed under key elsewhere" in error
           and "sealed-elsewhere" not in stage.control("received"), f"a secret that does not open stops its own messages alone, and they say why: {error}")
    stage.sql("SELECT erp_webhook.remove_subscriber('sealed-elsewhere'), erp_webhook.remove_subscriber('beside')")


def unanswered_name(stage):
    """A name server that does not answer costs its own message the time of one exchange; the thread that asks is left behind."""
    stage.hosts("peer.test 127.0.0.1", "hangs.test hangs")
    stage.sql(f"SELECT erp_webhook.add_subscriber('nameless', 'https://hangs.test:{stage.port}/hook/nameless', '{{nameless.*}}', '{SECRETS[0]}')")
    tell(stage, "nameless.kind", 1)
    started = time.time()
    stage.sql("SET erp_webhook.retry_scale = 1; SET erp_webhook.http_timeout = 1; CALL erp_webhook.run_jobs()")
    took = time.time() - started
    tap.ok(took < 20, f"a name that resolves after 40 s is waited for no longer than a second allows: {took:.1f} s, {last_error(stage, 'nameless')}")
    stage.sql("SELECT erp_webhook.remove_subscriber('nameless')")
    stage.hosts("peer.test 127.0.0.1")


def wait_law(stage):
    """The schedule as numbers: its waits, its jitter, what Retry-After may do to it."""
    rows = stage.sql("SET erp_webhook.retry_scale = 1; SELECT t, extract(epoch FROM min(w)), extract(epoch FROM max(w)) FROM generate_series(1, 10) t,"
                     " LATERAL (SELECT erp_webhook.retry_wait(t, NULL) w FROM generate_series(1, 50 + 0 * t)) x GROUP BY t ORDER BY t")
    nominal = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    within = all(0.9 * n <= float(r[1]) < float(r[2]) <= 1.1 * n for n, r in zip(nominal, rows))
    tap.ok(within and rows[9][1] == "", "nine waits, each scattered by a fifth around the specification's, then none")
    got = stage.sql("SET erp_webhook.retry_scale = 1; SELECT extract(epoch FROM erp_webhook.retry_wait(1, 7200))::int, extract(epoch FROM erp_webhook.retry_wait(1, 999999))::int,"
                    " erp_webhook.retry_wait(2, 0) > interval '4 min'")[0]
    tap.ok(got == ["7200", "86400", "t"], "Retry-After lengthens a wait, up to a day, and never shortens it")


def retry_after(stage):
    """Retry-After as it comes over the wire, in seconds and as a date."""
    expected = {"later": 7200, "laterdate": 7200, "laterfar": 86400, "laterpast": 5, "laterodd": 5}
    for name in expected:
        subscribe(stage, name, kinds="{later.*}")
    tell(stage, "later.kind", 1)
    stage.sql("SET erp_webhook.retry_scale = 1; CALL erp_webhook.run_jobs()")
    got = dict(stage.sql("SELECT s.name, extract(epoch FROM d.due_at - a.tried_at)::int FROM erp_webhook.dispatch d JOIN erp_webhook.subscriber s USING (company_id, subscriber_id)"
                         " JOIN erp_webhook.attempt a USING (company_id, subscriber_id, message_id) WHERE s.name LIKE 'later%'"))
    ok = set(got) == set(expected) and all(0.9 * e - 1 <= float(got[n]) <= 1.1 * e + 1 for n, e in expected.items())
    tap.ok(ok, f"Retry-After in seconds and as a date is heeded, up to a day; one that has passed, or is none, is not: {got}")
    stage.sql("SELECT erp_webhook.remove_subscriber(name) FROM erp_webhook.subscriber WHERE name LIKE 'later%'")


def inside(stage):
    """NOTIFY for who listens in the database: once per transaction and channel, and only when it commits."""
    stage.sql("SELECT erp_webhook.add_subscriber('inside', 'notify:books_changed', '{inside.*}'), erp_webhook.add_subscriber('other', 'notify:never', '{never.*}')")
    one = "erp_webhook.notify(1, 'inside.kind', 'x', i::text, '{}')"
    heard = stage.sql(f"LISTEN books_changed; LISTEN never; SELECT count({one}) FROM generate_series(1, 200) i; SELECT erp_webhook.notify(1, 'outside.kind', 'x', '1', '{{}}');"
                      f"BEGIN; SELECT count({one}) FROM generate_series(1, 5) i; ROLLBACK; SELECT count({one}) FROM generate_series(1, 5) i")
    heard = [line[0].split('"')[1:4:2] for line in heard if line[0].startswith("Asynchronous")]
    tap.ok(heard == [["books_changed", "1"]] * 2, f"a batch is one NOTIFY, with the company; a batch undone is none: {heard}")
    stage.sql("SELECT erp_webhook.remove_subscriber('inside'), erp_webhook.remove_subscriber('other')")


def faults(stage, seed):
    """1,000 messages: four in ten tries fail somehow, and what a subscriber got may be lost on the way back."""
    for name in ("faulty-1", "good"):
        subscribe(stage, name, kinds="{many.*}")
    subscribe(stage, "dead", kinds="{many.dead}")
    tell(stage, "many.orders", 990, objects=99)
    tell(stage, "many.dead", 10)
    before = stage.control("load")["connections"]
    stage.wait_for(settled(stage, "faulty-1", "good", "dead"), "every message delivered or dead")
    opened = stage.control("load")["connections"] - before
    received = stage.control("received")
    for name in ("faulty-1",):
        done = {r[0]: r[1] for r in stage.sql(f"SELECT 'msg_' || wire_id, state FROM erp_webhook.outbox WHERE subscriber = '{name}'")}
        got = received[name]
        ids = {r["id"] for r in got}
        ok = len(done) == 1000 and all(s == "dead" or i in ids for i, s in done.items()) and set(done.values()) <= {"delivered", "dead"} and ids <= set(done)
        tap.ok(ok, f"{name}: 1,000 messages end delivered or dead; seed {seed}, {len(got)} requests, {sum(s == 'dead' for s in done.values())} dead")
        tap.ok(all(len({r["body"] for r in got if r["id"] == i}) == 1 for i in list(ids)[:200]), f"{name}: every try of a message has its id and its bytes")
        tap.ok(all("old" in r["signed_by"] for r in got), f"{name}: every try is signed")
        tap.ok(in_order(got), f"{name}: the messages of each object arrive in their order")
    tap.ok(len({r["id"] for r in received["good"]}) == len(received["good"]) == 1000, "a subscriber that never fails gets each message once")
    requests, dropped = sum(len(r) for n, r in received.items() if n in ("faulty-1", "good", "dead")), int(0.12 * len(received["faulty-1"]))
    tap.ok(opened < dropped + 100, f"connections are used again: {opened} for {requests} requests, of which about {dropped} were dropped by the peer")
    tries = stage.sql("SELECT count(DISTINCT message_id), count(*), max(try) FROM erp_webhook.attempt a JOIN erp_webhook.subscriber s USING (company_id, subscriber_id) WHERE s.name = 'dead'")[0]
    tap.ok(tries == ["10", str(10 * TRIES), str(TRIES)] and states(stage, "dead") == {"dead": "10"}, "a dead subscriber's messages are dead letters after ten tries each")
    stage.sql("SELECT erp_webhook.remove_subscriber(name) FROM unnest('{faulty-1,dead}'::text[]) name")
    pid, before = stage.worker_pid(), memory(stage.worker_pid())
    tell(stage, "many.more", 3000)
    stage.wait_for(settled(stage, "good"), "3,000 more")
    tap.ok(stage.worker_pid() == pid and memory(pid) - before < 4 << 10, f"3,000 more leave the worker as large as it was: {memory(pid) - before} kB (bench/memory: 100,000)")


def in_order(got):
    """First arrivals of each object's messages: 0, 1, 2 …"""
    import json
    seen, next_of = set(), {}
    for r in got:
        if r["id"] in seen:
            continue
        seen.add(r["id"])
        body = json.loads(r["body"])
        key = (body["type"], body["data"]["object"])
        if body["data"]["n"] != next_of.get(key, 0):
            return False
        next_of[key] = body["data"]["n"] + 1
    return True


def isolation(stage):
    """Ten slow subscribers of forty messages each would fill every place; a quick one, asked last, is served before any of them answers."""
    stage.control("slow", 30)
    for n in range(10):
        subscribe(stage, f"slow-{n}", kinds="{slow.*}")
    tell(stage, "slow.kind", 40)
    stage.wait_for(lambda: int(stage.value("SELECT count(*) FROM erp_webhook.dispatch WHERE state = 'sending'")) > 50, "slow transfers")
    subscribe(stage, "quick", kinds="{quick.*}")
    tell(stage, "quick.kind", 40)
    started = time.time()
    stage.wait_for(settled(stage, "quick"), "the quick subscriber")
    took = time.time() - started
    answered = stage.value("SELECT count(*) FROM erp_webhook.attempt a JOIN erp_webhook.subscriber s USING (company_id, subscriber_id) WHERE s.name LIKE 'slow-%'")
    tap.ok(answered == "0", f"ten slow subscribers delay no other: 40 messages in {took:.1f} s, and none of theirs was answered yet")
    stage.control("slow", 3)
    stage.sql("SELECT erp_webhook.remove_subscriber(name) FROM erp_webhook.subscriber WHERE name LIKE 'slow-%' OR name = 'quick'")


def at_once(stage):
    """Hundreds of transfers at once: 30 subscribers of 16 messages, each answered after a second."""
    stage.sql("LOAD 'erp_webhook'; ALTER SYSTEM SET erp_webhook.max_transfers = 1000")
    stage.restart()
    stage.wait_for(stage.worker_pid, "the worker")
    for n in range(30):
        subscribe(stage, f"steady-{n}", kinds="{steady.*}")
    tell(stage, "steady.kind", 16)
    stage.wait_for(settled(stage, *(f"steady-{n}" for n in range(30))), "every steady subscriber")
    most = stage.control("load")["most"]
    delivered = stage.value("SELECT count(*) FROM erp_webhook.outbox WHERE subscriber LIKE 'steady-%' AND state = 'delivered' AND tries = 1")
    tap.ok(most >= 200 and delivered == "480", f"{most} transfers at once, {delivered} of 480 messages delivered by their first try")
    stage.sql("SELECT erp_webhook.remove_subscriber('steady-' || n) FROM generate_series(0, 29) n; ALTER SYSTEM RESET erp_webhook.max_transfers")
    stage.restart()
    stage.wait_for(stage.worker_pid, "the worker")


def gone(stage):
    subscribe(stage, "gone-1", kinds="{gone.*}")
    tell(stage, "gone.kind", 30)
    stage.wait_for(settled(stage, "gone-1"), "410")
    row = stage.sql("SELECT state, reason, dead FROM erp_webhook.subscriber_health WHERE subscriber = 'gone-1'")[0]
    tap.ok(row == ["disabled", "410 Gone", "30"], f"410 disables a subscriber, and its queue is dead letters: {row}")
    tap.ok(len(stage.control("received")["gone-1"]) <= 16, "after the 410 it is not asked again")
    stage.sql(f"UPDATE erp_webhook.subscriber SET url = '{stage.url}/hook/back' WHERE name = 'gone-1'; SELECT erp_webhook.enable_subscriber('gone-1')")
    message, wire = stage.sql("SELECT message_id, 'msg_' || wire_id FROM erp_webhook.outbox WHERE subscriber = 'gone-1' ORDER BY 1 LIMIT 1")[0]
    stage.sql(f"SELECT erp_webhook.resend({message})")
    stage.wait_for(settled(stage, "gone-1"), "resend")
    tap.ok([r["id"] for r in stage.control("received")["back"]] == [wire], "resend() sends a dead letter again, under its old id")
    stage.sql("SELECT erp_webhook.remove_subscriber('gone-1')")


# A hostile peer. Each name is a subscriber of one message; what its try came to must match.
HOSTILE = [
    ("an address of RFC 1918", "https://private.test:{port}/", "private"),
    ("the metadata address", "https://metadata.test:{port}/", "link-local"),
    ("loopback beside the listed port", "https://loopback.test:443/", "loopback"),
    ("this host by another name of it", "https://zero.test:443/", "this network"),
    ("an address of carrier-grade NAT", "https://cgnat.test:443/", "carrier-grade NAT"),
    ("a multicast address", "https://multicast.test:443/", "multicast"),
    ("a unique-local address", "https://ula.test:443/", "not global unicast"),
    ("a link-local address of IPv6", "https://local6.test:443/", "not global unicast"),
    ("a multicast address of IPv6", "https://multicast6.test:443/", "not global unicast"),
    ("a port that is on no list", "https://peer.test:{other}/", "allowed_ports"),
    ("plain http to a name that is loopback elsewhere", "http://loopback.test:443/", "plain http"),
    ("plain http to an address beyond", "http://cgnat.test:{port}/", "plain http"),
    ("loopback over IPv6", "https://six.test:443/", "not global unicast"),
    ("an IPv4 address mapped into IPv6", "https://mapped.test:443/", "not global unicast|private"),     # newer libcurl takes the IPv4 out of it
    ("an address translated by NAT64", "https://nat.test:443/", "not global unicast"),
    ("an address inside 6to4", "https://sixtofour.test:443/", "6to4"),
    ("an address in decimal", "https://2130706433:443/", "loopback"),
    ("an address in octal", "https://0177.0.0.1:443/", "loopback"),
    ("a redirect to the metadata address", "{url}/evil/redirect", "302"),
    ("a redirect to an allowed address", "{url}/evil/redirect-here", "307"),
    ("an endless body", "{url}/evil/endless", "too large"),
    ("endless headers", "{url}/evil/headers", "headers are too large"),
    ("a slow drip", "{url}/evil/drip", "timed out"),
    ("a malformed status line", "{url}/evil/malformed", ""),
    ("a negative length", "{url}/evil/negative", ""),
    ("a compressed bomb, kept as it is", "{url}/evil/bomb", "200"),
    ("a bomb in the transfer encoding, likewise", "{url}/evil/transfer-bomb", "200|Unsolicited Transfer-Encoding"),     # newer libcurl refuses it
    ("a certificate of another host", "https://wrong.test:{port}/hook/wrong", "certificate"),
]


def hostile(stage):
    stage.hosts("zero.test 0.0.0.0", "cgnat.test 100.64.0.1", "multicast.test 224.0.0.1", "ula.test fd00::1", "local6.test fe80::1", "multicast6.test ff02::1",
                "peer.test 127.0.0.1", "private.test 10.1.2.3", "metadata.test 169.254.169.254", "loopback.test 127.0.0.1", "six.test ::1",
                "mapped.test ::ffff:10.0.0.1", "nat.test 64:ff9b::a00:1", "sixtofour.test 2002:a00:1::", "wrong.test 127.0.0.1",
                "rebinding.test 127.0.0.1 169.254.169.254")
    stage.setting("erp_webhook.allowed_ports", f"443,{stage.port}")
    stage.wait_for(lambda: stage.value(f"SELECT erp_webhook.url_refused('https://x.test:{stage.port}/') IS NULL") == "t", "the setting")
    stage.setting("erp_webhook.http_timeout", str(LIMIT))
    stage.setting("erp_webhook.retry_scale", "1")       # one try each
    for i, (_, url, _) in enumerate(HOSTILE):
        stage.sql(f"SELECT erp_webhook.add_subscriber('evil-{i}', 'https://peer.test:{stage.port}/', '{{evil.*}}')")
    # Past the check of add_subscriber(), as if the settings had changed since.
    stage.sql("".join(f"UPDATE erp_webhook.subscriber SET url = '{url.format(port=stage.port, url=stage.url, other=stage.port ^ 1)}' WHERE name = 'evil-{i}';"
                      for i, (_, url, _) in enumerate(HOSTILE)))
    pid, before = stage.worker_pid(), memory(stage.worker_pid())
    tell(stage, "evil.kind", 1)
    stage.wait_for(lambda: stage.value("SELECT count(DISTINCT subscriber_id) FROM erp_webhook.attempt a JOIN erp_webhook.subscriber s USING (company_id, subscriber_id) WHERE s.name LIKE 'evil-%'") == str(len(HOSTILE)), "every attack")
    for i, (what, _, expected) in enumerate(HOSTILE):
        came_to = last_error(stage, f"evil-{i}")
        delivered = states(stage, f"evil-{i}") == {"delivered": "1"}
        tap.ok(re.search(expected, came_to) and delivered == ("200" in expected and came_to == "200"), f"{what}: {came_to}")
    tap.ok(stage.worker_pid() == pid and memory(pid) - before < 20 << 10, f"the worker lives and has not grown: {memory(pid) - before} kB")
    reached = stage.control("received")
    tap.ok("reached-by-redirect" not in reached and "wrong" not in reached, "nothing reached what it must not reach")
    tap.ok(not any(c["authorization"] for c in stage.control("calls")), "no password of a .netrc was sent, no proxy of the environment was asked")
    ms = int(stage.value("SELECT max(ms) FROM erp_webhook.attempt a JOIN erp_webhook.subscriber s USING (company_id, subscriber_id) WHERE s.name LIKE 'evil-%'"))
    tap.ok(ms < 2000 * LIMIT, f"no attack took longer than the limit of {LIMIT} s: {ms} ms")
    stage.setting("erp_webhook.http_timeout", "30")
    stage.sql("SELECT erp_webhook.remove_subscriber('evil-' || i) FROM generate_series(0, %d) i" % (len(HOSTILE) - 1))


def rebinding(stage):
    """The resolver says an allowed address first and the metadata address after: in one session, two turns."""
    stage.setting("erp_webhook.databases", "")
    stage.wait_for(lambda: not stage.worker_pid(), "the worker's end")
    stage.sql(f"SELECT erp_webhook.add_subscriber('rebinding', 'https://rebinding.test:{stage.port}/hook/rebinding', '{{rebinding.*}}')")
    turn = "SELECT erp_webhook.notify(1, 'rebinding.kind', 'x', clock_timestamp()::text, '{}'); CALL erp_webhook.run_jobs();"
    stage.sql(turn + turn)
    got = stage.sql("SELECT state, coalesce(last_error, '') FROM erp_webhook.outbox WHERE subscriber = 'rebinding' ORDER BY message_id")
    tap.ok(got == [["delivered", ""], ["queued", "link-local"]], f"a resolver that changes its answer gains nothing: {got}")
    got = stage.sql("SET erp_webhook.ca_file = '/etc/ssl/certs/ca-certificates.crt';"
                    "UPDATE erp_webhook.dispatch SET due_at = now(); UPDATE erp_webhook.subscriber SET url = '%s/hook/issuer' WHERE name = 'rebinding'; CALL erp_webhook.run_jobs();"
                    "SELECT last_error FROM erp_webhook.outbox WHERE subscriber = 'rebinding' ORDER BY message_id DESC LIMIT 1" % stage.url)
    tap.ok("certificate" in got[-1][0], f"a certificate of an unknown issuer is refused: {got[-1][0]}")
    stage.sql("SELECT erp_webhook.remove_subscriber('rebinding')")
    stage.setting("erp_webhook.databases", stage.db)
    stage.wait_for(stage.worker_pid, "the worker")


def memory(pid):
    """Resident kB that are the process's own."""
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("RssAnon")).split()[1])


def in_transit(stage, name):
    stage.control("slow", 30)
    stage.setting("erp_webhook.http_timeout", "60")
    subscribe(stage, f"slow-{name}", kinds="{%s.*}" % name)
    tell(stage, f"{name}.kind", 1)
    seen = stage.wait_for(lambda: stage.control("received").get(f"slow-{name}"), "the transfer")
    assert seen and states(stage, f"slow-{name}") == {"sending": "1"}


def lifecycle(stage):
    in_transit(stage, "term")
    pid, started = stage.worker_pid(), time.time()
    os.kill(int(pid), signal.SIGTERM)
    stage.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the worker's end")
    took = time.time() - started
    tap.ok(took < 5, f"SIGTERM during a transfer of 30 s ends the worker at once: {took:.2f} s")
    stage.wait_for(lambda: stage.worker_pid() not in (None, pid), "another worker")
    stage.control("slow", 0)
    stage.sql("UPDATE erp_webhook.dispatch SET leased_until = now() WHERE state = 'sending'")     # as if the lease had run out
    stage.wait_for(settled(stage, "slow-term"), "the lease")
    tap.ok(len(stage.control("received")["slow-term"]) == 2, "what it was sending is sent again when its lease is over")

    in_transit(stage, "stop")
    started = time.time()
    stage.restart()
    tap.ok(time.time() - started < 15, f"a fast shutdown during a transfer is fast: {time.time() - started:.1f} s with the start")
    stage.wait_for(stage.worker_pid, "the worker")
    stage.control("slow", 0)
    stage.sql("SELECT erp_webhook.remove_subscriber('slow-stop')")


def databases(stage):
    """SIGHUP, a second database, a dropped extension, a dropped database, a crash."""
    stage.sql("CREATE DATABASE second TEMPLATE template0")
    stage.setting("erp_webhook.databases", f"{stage.db}, second, missing")
    stage.wait_for(lambda: stage.worker_pid("second"), "a worker for the second database")
    tap.ok(stage.worker_pid(), "erp_webhook.databases is followed at SIGHUP; a database without the extension, or none at all, does no harm")
    first = stage.worker_pid()
    stage.sql("CREATE EXTENSION erp_webhook; SELECT erp_webhook.add_company('default', 'EUR'); DROP EXTENSION erp_webhook; CREATE EXTENSION erp_webhook;"
              "SELECT erp_webhook.grant_worker('%s'), erp_webhook.add_company('default', 'EUR')" % ROLE, db="second")
    stage.sql(f"SELECT erp_webhook.add_subscriber('second', '{stage.url}/hook/second'); SELECT erp_webhook.notify(1, 'a.b', 'x', '1', '{{}}')", db="second")
    stage.wait_for(lambda: stage.control("received").get("second"), "the second database")
    tap.ok(True, "an extension dropped and made again is served again")
    stage.sql("DROP DATABASE second WITH (FORCE)")
    time.sleep(0.2)
    tap.ok(stage.worker_pid() == first, "a dropped database ends its worker and no other")

    victim = subprocess.Popen([stage.psql_path, "-XAtq", "-c", "SELECT pg_sleep(60)"], env=stage.env, stderr=subprocess.DEVNULL)
    pid = stage.wait_for(lambda: stage.value("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND backend_type = 'client backend'"), "a victim")
    os.kill(int(pid), signal.SIGKILL)
    victim.wait()
    stage.wait_for(lambda: stage.worker_pid() not in (None, first), "the worker after a crash")
    subscribe(stage, "after-crash", kinds="{crash.*}")
    tell(stage, "crash.kind", 3)
    stage.wait_for(settled(stage, "after-crash"), "delivery after the crash")
    tap.ok(True, "after the crash of a backend the worker is back and delivers")
    tap.ok("terminated by signal 11" not in stage.log() and "PANIC" not in stage.log(), "nothing of ours crashed")


def standby(stage):
    """A standby has no worker; the one that is promoted gets it, with the queue as it was."""
    ours = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'erp_webhook%'"
    stage.start_standby()
    try:
        tap.ok(stage.value("SELECT pg_is_in_recovery()", PGPORT="5433") == "t" and stage.value(ours, PGPORT="5433") == "0" and stage.worker_pid(), "the worker runs on the primary, and nothing of it on a standby")
        stage.setting("erp_webhook.databases", "")
        stage.wait_for(lambda: not stage.worker_pid(), "the worker's end")
        subscribe(stage, "promoted", kinds="{promoted.*}")
        tell(stage, "promoted.kind", 5)
        lsn = stage.value("SELECT pg_current_wal_lsn()")
        stage.wait_for(lambda: stage.value(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'", PGPORT="5433") == "t", "replication")
        stage.sql("SELECT pg_promote()", PGPORT="5433")
        stage.wait_for(lambda: stage.value("SELECT count(*) FROM erp_webhook.dispatch WHERE state = 'delivered' AND message_id IN (SELECT message_id FROM erp_webhook.message WHERE kind = 'promoted.kind')", PGPORT="5433") == "5", "the promoted server's worker")
        tap.ok(len(stage.control("received")["promoted"]) == 5, "after promotion the worker is there and delivers what was queued")
    finally:
        stage.stop_standby()


def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "20261123"
    stage = Stage(seed)
    try:
        stage.sql(f"CREATE ROLE {ROLE} LOGIN; CREATE EXTENSION erp_webhook; SELECT erp_webhook.grant_worker('{ROLE}'), erp_webhook.add_company('default', 'EUR')")
        without_preload(stage)
        rotation(stage)
        unopened(stage)
        unanswered_name(stage)
        wait_law(stage)
        retry_after(stage)
        inside(stage)
        stage.preload()
        faults(stage, seed)
        isolation(stage)
        at_once(stage)
        gone(stage)
        hostile(stage)
        rebinding(stage)
        lifecycle(stage)
        databases(stage)
        standby(stage)
    except Exception as problem:
        tap.ok(False, f"stopped: {problem}")
        tap.diag(stage.log()[-3000:])
    finally:
        stage.close()
    tap.done()


if __name__ == "__main__":
    main()
