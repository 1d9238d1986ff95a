#!/usr/bin/env python3
"""Faults in the middle of the work: kill -9 of the whole server, of one backend, of the ingress; a full disk; a connection to
the database cut at a random byte. Under load, with signed events. After each round:

  - every delivery that was answered 2xx is stored exactly once, and nothing is stored that was not sent;
  - nothing is half applied: audit() is empty, settling again posts nothing;
  - after all unknown deliveries are sent again, the books equal those of the same events without a fault.

  ROUNDS=n (default 5: each fault once)   SEED=s   EVENTS=n (per round, default 150)   FAULT=name (only this one)
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.tap import Tap                                                                # noqa: E402
from webhookd import ROOT, SECRET, Client, Daemon, Proxy, dsn_of, psql, request          # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS") or 5)
SEED = int(os.environ.get("SEED") or time.time())
EVENTS = int(os.environ.get("EVENTS") or 150)
FAULTS = ["server", "backend", "ingress", "cut", "disk"]
SENDERS = 8
DISK_MB = 700
DATABASE = "postgres"

BOOKS = """
SELECT 'invoice', number, total::numeric(20,2)::text, credited::numeric(20,2)::text, paid::numeric(20,2)::text, written_off::numeric(20,2)::text, i.state FROM erp_webhook.invoice i WHERE company_id = {c}
UNION ALL SELECT 'ledger', replace(ledger_account, '{s}', 'S'), currency, balance::numeric(20,2)::text, '', '', '' FROM erp_webhook.ledger_balance WHERE company_id = {c}
UNION ALL SELECT 'account', account_no, currency, balance::numeric(20,2)::text, state::text, '', '' FROM erp_webhook.account_balance WHERE company_id = {c}
UNION ALL SELECT 'payment', payment_ref, currency, captured::numeric(20,2)::text, refunded::numeric(20,2)::text, reversed::numeric(20,2)::text, '' FROM erp_webhook.payment WHERE company_id = {c}
UNION ALL SELECT 'exception', kind, coalesce(payment_ref, ''), coalesce(invoice_number, ''), coalesce(amount, 0)::numeric(20,2)::text, '', '' FROM erp_webhook.exceptions WHERE company_id = {c}
ORDER BY 1, 2, 3, 4, 5, 6, 7"""


class Cluster:
    """A server of our own, on a small file system where that is allowed, for it will be hurt."""

    def __init__(self):
        self.mount = tempfile.mkdtemp(prefix="ewh-crash.")
        self.directory = os.path.join(self.mount, "c")
        self.small = os.getuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "tmpfs", self.mount], capture_output=True).returncode == 0
        os.chmod(self.mount, 0o755)
        self.run("start", CLUSTER_CONF="fsync = on\\nrestart_after_crash = on\\ncheckpoint_timeout = 30s\\nmax_wal_size = 100MB")
        for name, value in re.findall(r"(\w+)=(\S+)", self.run("env")):
            os.environ[name] = value.replace(":$PATH", ":" + os.environ["PATH"])

    def run(self, verb, check=True, **environment):
        return subprocess.run([os.path.join(here, "cluster.sh"), verb, self.directory], check=check, text=True,
                              stdout=subprocess.PIPE, stderr=None if check else subprocess.DEVNULL,
                              env={**os.environ, **environment}).stdout

    def postmaster(self):
        with open(os.path.join(self.directory, "data", "postmaster.pid")) as f:
            return int(f.readline())

    def answers(self):
        return subprocess.run(["psql", "-XqAtc", "SELECT 1", "-d", DATABASE], capture_output=True).returncode == 0

    def bring_up(self):
        """Whatever happened, it serves afterwards."""
        for _ in range(60):
            if self.answers():
                return
            self.run("up", check=False)
            time.sleep(0.3)
        raise RuntimeError("the server does not come back")

    def fill(self, leave_mb):
        """Take all but so many MiB of the small file system."""
        free = os.statvfs(self.mount)
        count = free.f_bavail * free.f_frsize // 65536 - leave_mb * 16
        with open(os.path.join(self.mount, "ballast"), "ab") as ballast:
            try:
                for _ in range(max(0, count)):
                    ballast.write(b"\0" * 65536)
            except OSError:
                pass

    def empty(self):
        os.unlink(os.path.join(self.mount, "ballast"))

    def remove(self):
        self.run("stop", check=False)
        if self.small:
            subprocess.run(["umount", self.mount], check=False)
        shutil.rmtree(self.mount, ignore_errors=True)


class Round:
    """One company, its events, what became of each delivery."""

    def __init__(self, n, r):
        self.n, self.r = n, r
        self.events = self.invent()
        self.answered, self.unknown, self.lock = set(), [], threading.Lock()
        self.make_company(f"round{n}")
        self.make_company(f"twin{n}")

    def make_company(self, name):
        psql(f"""SELECT erp_webhook.add_company('{name}', 'EUR');
          SELECT erp_webhook.add_source('{name}', 'stripe', '{name}');
          SELECT erp_webhook.add_secret('{name}', '{SECRET}');
          INSERT INTO erp_webhook.account (company_id, account_no, name, currency)
            SELECT company_id, 'C-' || n, 'Customer', 'EUR' FROM erp_webhook.company, generate_series(1, 5) n WHERE name = '{name}';
          INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
            SELECT company_id, 'INV-' || (n + 0), account_id, 'EUR', 100, '2030-01-01'
            FROM erp_webhook.account a JOIN generate_series(1, 60) n ON account_no = 'C-' || (n % 5 + 1)
              JOIN erp_webhook.company c USING (company_id) WHERE c.name = '{name}';""", DATABASE)

    def invent(self):
        """Payments (whole, partial, too much, of unknown invoices), failures of some, refunds of others."""
        events, now = [], int(time.time()) - 5000
        for n in range(EVENTS):
            kind = self.r.choices(["pay", "refund", "fail"], [7, 2, 1])[0]
            ref = f"pi_{n if kind == 'pay' else self.r.randrange(n + 1)}"
            cents = self.r.choice([10000, 2500, 3333, 12000])
            intent = {"id": ref, "object": "payment_intent", "amount": cents, "amount_received": cents, "currency": "eur",
                      "customer": None, "invoice": None, "metadata": {"invoice_number": f"INV-{self.r.randrange(1, 65)}"}}
            if kind == "pay":
                what, body = "payment_intent.succeeded", {**intent, "status": "succeeded"}
            elif kind == "fail":
                what, body = "payment_intent.payment_failed", {**intent, "status": "requires_payment_method"}
            else:
                what, body = "refund.created", {"id": f"re_{n}", "object": "refund", "amount": 500, "currency": "eur",
                                                "payment_intent": ref, "charge": None, "status": "succeeded", "metadata": {}}
            events.append((f"evt_{self.n}_{n}", json.dumps({
                "id": f"evt_{self.n}_{n}", "object": "event", "api_version": "2024-06-20", "created": now + n, "livemode": True,
                "type": what, "data": {"object": body}}).encode()))
        return events

    def send(self, daemon, deliveries, path):
        """Deliver from several connections; what is not answered 200 is unknown."""
        waiting = list(deliveries)

        def sender():
            client = None
            while True:
                with self.lock:
                    if not waiting:
                        break
                    event = waiting.pop()
                status = None
                try:
                    client = client or Client(daemon.port)
                    answer = client.ask(request(event[1], path))
                    status = answer and answer.status
                except OSError:
                    pass
                if status is None:
                    client = None
                    time.sleep(0.05)
                with self.lock:
                    if status == 200:
                        self.answered.add(event[0])
                    else:
                        self.unknown.append((event, status))

        threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
        for t in threads:
            t.start()
        return threads

    def deliver_all(self, daemon, deliveries, path):
        """Until each is answered 200."""
        for _ in range(20):
            self.unknown = []
            for t in self.send(daemon, deliveries, path):
                t.join()
            if not self.unknown:
                return
            deliveries = [event for event, _ in self.unknown]
            time.sleep(0.5)
        raise RuntimeError(f"never answered 200: {self.unknown[:3]}")

    def books(self, name):
        company = psql(f"SELECT company_id FROM erp_webhook.company WHERE name = '{name}'", DATABASE)
        return psql(BOOKS.format(c=company, s=name), DATABASE)


def hurt(fault, cluster, daemon, r, proxy):
    """Do it; whatever needs a person to mend it is mended."""
    if fault == "server":
        os.kill(cluster.postmaster(), signal.SIGKILL)
        time.sleep(r.uniform(0, 0.5))
        cluster.bring_up()
    elif fault == "backend":
        pid = psql("SELECT pid FROM pg_stat_activity WHERE application_name = 'erp-webhookd' ORDER BY random() LIMIT 1", DATABASE)
        os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.5)
        cluster.bring_up()
    elif fault == "ingress":
        daemon.process.kill()
        daemon.process.wait()
        daemon.restart()
    elif fault == "cut":
        proxy.cut_after = r.randrange(2_000, 60_000)
        for pair in list(proxy.pairs):
            proxy.drop(pair)
        time.sleep(1.5)
        proxy.cut_after = None
        for pair in list(proxy.pairs):
            proxy.drop(pair)
    elif fault == "disk":
        cluster.fill(0)
        time.sleep(1.5)
        cluster.empty()
        cluster.bring_up()


def play(tap, n, fault, cluster, proxy):
    """One round."""
    r = random.Random(f"{SEED}.{n}")
    play = Round(n, r)
    daemon = Daemon(dsn=dsn_of(DATABASE, "127.0.0.1", proxy.port))
    if fault == "disk":
        cluster.fill(24)
    try:
        deliveries = play.events + r.sample(play.events, len(play.events) // 5)
        r.shuffle(deliveries)
        threads = play.send(daemon, deliveries, f"/hooks/round{n}")
        time.sleep(r.uniform(0.02, 0.2))
        hurt(fault, cluster, daemon, r, proxy)
        for t in threads:
            t.join()
        cluster.bring_up()
        tap.diag(f"{fault}: {daemon.metric('batches_failed_total'):.0f} batches failed, "
                 f"{daemon.metric('requests_retried_total'):.0f} requests were sent again")
        check(tap, play, daemon, n, fault)
    except Exception:
        tap.diag(daemon.log_text()[-3000:])
        raise
    finally:
        daemon.stop()


def check(tap, play, daemon, n, fault):
    answered, unknown = set(play.answered), play.unknown
    said = sorted({str(status) for _, status in unknown})
    name = f"round {n}, {fault}"
    there = psql(f"""SELECT e.external_id FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id)
        WHERE s.name = 'round{n}'""", DATABASE).split()
    tap.ok(answered <= set(there), f"{name}: {len(answered)} answered 200, all are stored; {len(unknown)} unknown {said}")
    tap.ok(len(there) == len(set(there)) and set(there) <= {e[0] for e in play.events}, f"{name}: each once, and nothing else")
    tap.ok(set(said) <= {"503", "None"}, f"{name}: our trouble is never the sender's fault")
    broken = psql("SELECT law, breaches, example FROM erp_webhook.audit()", DATABASE)
    if broken:
        print("# " + broken.replace("\n", "\n# "))
    tap.ok(not broken, f"{name}: audit() is empty")
    tap.ok(psql(f"SELECT erp_webhook.settle_again('round{n}')", DATABASE) == "0", f"{name}: settling again posts nothing")
    play.deliver_all(daemon, [event for event, _ in unknown], f"/hooks/round{n}")
    play.deliver_all(daemon, play.events, f"/hooks/twin{n}")
    hurt_books, whole_books = play.books(f"round{n}"), play.books(f"twin{n}")
    if not tap.ok(hurt_books == whole_books and hurt_books.count("\n") > 60, f"{name}: the books of the same events without a fault"):
        tap.diag("\n".join(sorted(set(hurt_books.split("\n")) ^ set(whole_books.split("\n"))))[:2000])


def main():
    tap = Tap()
    tap.diag(f"SEED={SEED} ROUNDS={ROUNDS} EVENTS={EVENTS}")
    cluster, proxy = Cluster(), None
    try:
        psql("CREATE EXTENSION erp_webhook", DATABASE)
        proxy = Proxy()
        if not cluster.small:
            tap.diag("no full disk: that needs root and mount")
        for n in range(1, ROUNDS + 1):
            fault = os.environ.get("FAULT") or FAULTS[(n - 1) % len(FAULTS)]
            if fault == "disk" and not cluster.small:
                fault = "server"
            play(tap, n, fault, cluster, proxy)
    finally:
        if proxy:
            proxy.close()
        cluster.remove()
    tap.done()


if __name__ == "__main__":
    main()
