"""What the tests of the ingress share: a running erp-webhookd, raw sockets, Stripe's signature, a proxy that can be cut."""
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PROGRAM = os.environ.get("WEBHOOKD_PROGRAM") or os.path.join(ROOT, "ingress", "erp-webhookd")   # another build: sanitizers, mutants
SECRET = "whsec_test_of_the_ingress_0123456789"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def psql(sql, database, check=True):
    """Run SQL; its output, unaligned and without headers."""
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database], input=sql, text=True,
                          capture_output=True)
    if check and done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def make_database(name, setup=""):
    psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")
    psql(f"CREATE DATABASE {name}", "postgres")
    psql("SET client_min_messages = warning;" + setup, name)
    return name


def drop_database(name):
    psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres", check=False)


# A company with one Stripe source and open invoices INV-1 … INV-n of 100.00 each.
def stripe_setup(invoices=2000):
    return f"""
      CREATE EXTENSION erp_webhook;
      SELECT erp_webhook.add_company('Ingress', 'EUR');
      SELECT erp_webhook.add_source('stripe', 'stripe', 'Ingress');
      SELECT erp_webhook.add_secret('stripe', '{SECRET}');
      INSERT INTO erp_webhook.account (company_id, account_no, name, currency)
        SELECT company_id, 'C-1', 'Customer', 'EUR' FROM erp_webhook.company WHERE name = 'Ingress';
      INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
        SELECT company_id, 'INV-' || n, account_id, 'EUR', 100, '2030-01-01'
        FROM erp_webhook.account, generate_series(1, {invoices}) n WHERE account_no = 'C-1';"""


def payment(n, invoice=None, cents=10000):
    """A Stripe payment event, number n, for invoice INV-n."""
    now = int(time.time())
    return json.dumps({
        "id": f"evt_{n}", "object": "event", "api_version": "2024-06-20", "created": now, "livemode": True,
        "type": "payment_intent.succeeded", "data": {"object": {
            "id": f"pi_{n}", "object": "payment_intent", "amount": cents, "amount_received": cents, "currency": "eur",
            "customer": None, "status": "succeeded", "invoice": None,
            "metadata": {"invoice_number": invoice or f"INV-{n}"}}}}).encode()


def signature(body, secret=SECRET, at=None):
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def request(body, path="/hooks/stripe", method="POST", version="1.1", headers=(), signed=True, secret=SECRET):
    """The bytes of a request; headers are (name, value) pairs that come last."""
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost"]
    if signed:
        lines.append("Stripe-Signature: " + signature(body, secret))
    lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def read_answer(stream):
    """One response from a buffered stream; None if the connection closed before its first byte."""
    line = stream.readline()
    if not line:
        return None
    headers = {}
    while (field := stream.readline().strip()):
        name, value = field.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = stream.read(length)
    if len(body) < length:
        raise ConnectionError("answer cut short")
    return Answer(int(line.split()[1]), headers, body)


class Client:
    """A raw connection: send any bytes, read answers."""

    def __init__(self, port, tls=None, timeout=15):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.stream = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        return read_answer(self.stream)

    def ask(self, data):
        self.send(data)
        return self.answer()

    def closed(self):
        """True once the other side has closed."""
        try:
            return self.stream.read(1) == b""
        except OSError:
            return True

    def close(self):
        self.stream.close()
        self.socket.close()

    def reset(self):
        """Leave rudely: RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()


def ask(port, data, tls=None):
    """One request on a connection of its own."""
    client = Client(port, tls)
    try:
        return client.ask(data)
    finally:
        client.close()


class Daemon:
    """A running erp-webhookd on ephemeral ports."""

    def __init__(self, database=None, dsn=None, options=(), environment=None, wait_ready=True):
        self.port, self.admin = free_port(), free_port()
        self.log = tempfile.NamedTemporaryFile(prefix="webhookd-log-", delete=True)
        self.dsn = dsn or dsn_of(database)
        self.command = [PROGRAM, "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}", "--dsn", self.dsn,
                        *options]
        self.environment = {**os.environ, **(environment or {})}
        self.restart()
        if wait_ready:
            self.wait_until(lambda: self.get("/readyz")[0] == 200)

    def restart(self):
        """Start it, on the same ports as before."""
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=self.log, env=self.environment)

    def wait_until(self, true, seconds=15):
        end = time.time() + seconds
        while time.time() < end:
            if self.process.poll() is not None:
                raise RuntimeError("erp-webhookd ended: " + self.log_text())
            if true():
                return True
            time.sleep(0.05)
        return False

    def get(self, path):
        """(status, text) of the admin listener; status 0: not reachable."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name):
        """The sum of all series of a metric whose label set contains what is in name's braces."""
        text = self.get("/metrics")[1]
        return sum(float(value) for series, value in re.findall(r"^erp_webhookd_(\S+) (\S+)$", text, re.M) if series == name)

    def rss_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024

    def log_text(self):
        with open(self.log.name) as log:
            return log.read()

    def stop(self, how=signal.SIGTERM):
        """Ends it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def dsn_of(database, host=None, port=None):
    host, port = host or os.environ["PGHOST"], port or os.environ.get("PGPORT", "5432")
    return f"host={host} port={port} user={os.environ.get('PGUSER', 'postgres')} dbname={database}"


class Proxy:
    """A TCP port in front of the server's socket that can refuse, go silent, or cut after a number of bytes."""

    def __init__(self):
        self.port = free_port()
        self.target = os.path.join(os.environ["PGHOST"], ".s.PGSQL." + os.environ.get("PGPORT", "5432"))
        self.pairs, self.lock, self.listener = set(), threading.Lock(), None
        self.cut_after, self.silent = None, False
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
            except OSError:
                if listener.fileno() < 0:
                    return
                client.close()
                continue
            with self.lock:
                self.pairs.add((client, server))
            budget = [self.cut_after]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(one, other, (client, server), budget), daemon=True).start()

    def pump(self, one, other, pair, budget):
        try:
            while (data := one.recv(65536)):
                while self.silent:
                    time.sleep(0.05)
                if budget[0] is not None:
                    data, budget[0] = data[:budget[0]], budget[0] - len(data)
                other.sendall(data)
                if budget[0] is not None and budget[0] <= 0:
                    break
        except OSError:
            pass
        self.drop(pair)

    def drop(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def close(self):
        """Away: nobody listens, what was open is cut."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for pair in list(self.pairs):
            self.drop(pair)


class Certificate:
    """A self-signed certificate for localhost, in files of a directory of its own."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="webhookd-tls-")
        self.cert, self.key = (os.path.join(self.directory.name, name) for name in ("cert.pem", "key.pem"))
        self.renew()

    def renew(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.key, "-out", self.cert],
                       check=True, capture_output=True)

    def context(self):
        context = ssl.create_default_context(cafile=self.cert)
        context.check_hostname = True
        return context
