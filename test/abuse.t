#!/usr/bin/env python3
"""The ingress under abuse, with good traffic meanwhile: slow clients, idle clients, clients that leave, floods of forged
requests, large bodies that never end. Good traffic is a quarter of the load, loses nothing and keeps its p99 under a second;
what is rejected leaves no trace in the database; the ingress stays under 256 MiB.

  BAD=n      forged requests (default 20000; `make abuse` sends a million)
"""
import json
import os
import resource
import subprocess
import sys
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.tap import Tap                                                                              # noqa: E402
from webhookd import (ROOT, SECRET, Certificate, Client, Daemon, drop_database, make_database, payment, psql, request,  # noqa: E402
                      stripe_setup)

BAD = int(os.environ.get("BAD") or 20_000)
GOOD = BAD // 4
IDLE = 2000
DATABASE = "abuse_test"
LOAD = os.path.join(ROOT, "bench", "build", "load")
INVOICES = 2000

# The bench's load client pays invoices named like this.
SETUP = stripe_setup(10) + f"""
  INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
    SELECT company_id, 'B-' || lpad(n::text, 8, '0'), account_id, 'EUR', 1000000, '2030-01-01'
    FROM erp_webhook.account, generate_series(1, {INVOICES}) n WHERE account_no = 'C-1';"""


def load(port, first, count, connections, *more):
    return subprocess.Popen([LOAD, str(port), SECRET, str(connections), str(first), str(count), str(INVOICES), *more],
                            stdout=subprocess.PIPE, text=True)


def told(process):
    return json.loads(process.communicate()[0])


def state():
    """What a rejected request must not change: rows, transaction ids, WAL."""
    rows, xid, wal = psql("""SELECT (SELECT count(*) FROM erp_webhook.delivery) + (SELECT count(*) FROM erp_webhook.event),
        pg_snapshot_xmax(pg_current_snapshot()), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')""", DATABASE).split("|")
    return int(rows), int(xid), int(wal)


class Slow:
    """Clients who send a byte now and then and never finish."""

    def __init__(self, port, count, beginning, drop):
        self.clients, self.drop, self.running = [], drop, True
        for _ in range(count):
            client = Client(port)
            client.send(beginning)
            self.clients.append(client)
        self.thread = threading.Thread(target=self.trickle)
        self.thread.start()

    def trickle(self):
        while self.running:
            for client in self.clients:
                try:
                    client.send(self.drop)
                except OSError:
                    pass
            time.sleep(0.2)

    def answers(self):
        """How they were sent away."""
        self.running = False
        self.thread.join()
        statuses = {}
        for client in self.clients:
            try:
                answer = client.answer()
            except OSError:
                answer = None
            status = answer.status if answer else "closed"
            statuses[status] = statuses.get(status, 0) + 1
            client.close()
        return statuses


def leave_early(port):
    """Go at every stage, politely and rudely."""
    whole = request(payment(1))
    for cut in (0, 1, 10, 40, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, len(whole) - 1, len(whole)):
        for rude in (False, True):
            for _ in range(10):
                client = Client(port)
                client.send(whole[:cut])
                client.reset() if rude else client.close()
    return True


def check_forged_only(tap, daemon):
    before = state()
    done = told(load(daemon.port, 1, BAD, 24, "forged"))
    after = state()
    tap.ok(done["statuses"] == {"401": BAD} and done["lost"] == 0, f"{BAD} forged requests: {done['statuses']}, "
           f"{done['per_second']:.0f}/s, p99 {done['p99_ms']} ms")
    tap.ok(after[0] == before[0], "they write no row")
    # The server's own housekeeping (autovacuum) takes a few.
    tap.ok(after[1] - before[1] < 100, f"and take no transaction id ({after[1] - before[1]} by all)")
    tap.ok(after[2] - before[2] < 1 << 20, f"WAL meanwhile: {after[2] - before[2]} bytes")


def check_all_at_once(tap, daemon):
    idle = [Client(daemon.port) for _ in range(IDLE)]
    tap.ok(daemon.metric("connections") >= IDLE, f"{IDLE} idle connections are held")
    heads = Slow(daemon.port, 100, b"POST /hooks/stripe HTTP/1.1\r\nHost: h\r\nX: ", b"a")
    bodies = Slow(daemon.port, 100, request(payment(2))[:-60], b"a")
    bad = load(daemon.port, 1, BAD, 24, "forged")
    good = load(daemon.port, 1_000_000, GOOD, 8)
    tap.ok(leave_early(daemon.port), "clients leave at every stage")
    good, bad = told(good), told(bad)
    tap.ok(good["statuses"] == {"200": GOOD} and good["lost"] == 0, f"good traffic: {good['statuses']}, {good['lost']} lost")
    tap.ok(good["p99_ms"] < 1000, f"good traffic: p99 {good['p99_ms']} ms at {good['per_second']:.0f}/s")
    tap.ok(bad["statuses"] == {"401": BAD}, f"forged meanwhile: {bad['statuses']} at {bad['per_second']:.0f}/s")
    there = psql("SELECT count(*) FROM erp_webhook.event WHERE external_id LIKE 'evt_1Q%'", DATABASE)
    tap.ok(int(there) == GOOD, "every good one is there, once")
    time.sleep(max(0, 2.5 - good["seconds"]))
    sent_away = heads.answers()
    tap.ok(set(sent_away) <= {408, "closed"} and 408 in sent_away, f"slow heads: {sent_away}")
    sent_away = bodies.answers()
    tap.ok(set(sent_away) <= {408, "closed"} and 408 in sent_away, f"slow bodies: {sent_away}")
    for client in idle:
        client.close()


def check_memory(tap, daemon):
    """Bodies that together would be far more than the ingress may hold."""
    head = b"POST /hooks/stripe HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
    clients = []
    for _ in range(400):
        client = Client(daemon.port)
        try:
            client.send(head + b"x" * 900_000)
        except OSError:
            pass
        clients.append(client)
    held = daemon.metric("request_memory_bytes")
    tap.ok(held <= 96 << 20, f"400 unfinished bodies of 900 kB: {held / (1 << 20):.0f} MiB held")
    statuses = {}
    for client in clients[-100:]:
        try:
            client.socket.settimeout(3)
            answer = client.answer()
            status = answer.status if answer else "closed"
        except OSError:
            status = "reset"
        statuses[status] = statuses.get(status, 0) + 1
    tap.ok(503 in statuses, f"the last ones are told to come later: {statuses}")
    for client in clients:
        client.reset()
    daemon.wait_until(lambda: daemon.metric("request_memory_bytes") < 1 << 20, 5)
    tap.ok(Client(daemon.port).ask(request(payment(3))).status == 200, "and when they are gone, good requests go on")


def check_crowd(tap):
    """More connections than allowed, over TLS: the longest idle one makes room, so the last comer is served."""
    certificate = Certificate()
    daemon = Daemon(DATABASE, options=["--tls-cert", certificate.cert, "--tls-key", certificate.key, "--max-connections", "300"])
    try:
        context = certificate.context()
        crowd = [Client(daemon.port, context) for _ in range(400)]
        tap.ok(crowd[-1].ask(request(payment(4))).status == 200, "the 400th of 300 connections is served")
        tap.ok(daemon.metric("connections_evicted_total") >= 100, "those idle longest made room")
        tap.ok(daemon.rss_mib() < 256, f"300 connections over TLS: {daemon.rss_mib():.0f} MiB")
        for client in crowd:
            client.close()
    finally:
        daemon.stop()


def main():
    tap = Tap()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE + 1000:
        print(f"1..0 # skip only {hard} descriptors allowed here")
        return
    subprocess.run(["make", "-s", "-C", os.path.join(ROOT, "bench"), "build/load"], check=True)
    make_database(DATABASE, SETUP)
    daemon = Daemon(DATABASE, options=["--head-timeout", "2000", "--body-timeout", "2000"])
    try:
        check_forged_only(tap, daemon)
        check_all_at_once(tap, daemon)
        check_memory(tap, daemon)
        tap.ok(daemon.rss_mib() < 256, f"the ingress never held more than {daemon.rss_mib():.0f} MiB")
        broken = psql("SELECT law, breaches, example FROM erp_webhook.audit()", DATABASE)
        if broken:
            print("# " + broken.replace("\n", "\n# "))
        tap.ok(not broken, "audit() is empty")
        check_crowd(tap)
    except Exception:
        tap.diag(daemon.log_text()[-3000:])
        raise
    finally:
        daemon.stop()
        drop_database(DATABASE)
    tap.done()


if __name__ == "__main__":
    main()
