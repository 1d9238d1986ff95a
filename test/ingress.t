#!/usr/bin/env python3
"""The ingress in front of the real extension, over real sockets: HTTP and HTTPS, every status, what is kept of a request,
metrics, certificates, socket activation, and a stop under load that loses no answer."""
import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.tap import Tap                                                                       # noqa: E402
from webhookd import (PROGRAM, Certificate, Client, Daemon, ask, drop_database, dsn_of, free_port, make_database,   # noqa: E402
                      payment, psql, request, signature, stripe_setup)

DATABASE = "ingress_test"


def curl(url, body, *options):
    """(status, body) as curl sees it."""
    done = subprocess.run(["curl", "-s", "-o", "-", "-w", "\n%{http_code}", "--data-binary", "@-",
                           "-H", "Stripe-Signature: " + signature(body), *options, url], input=body, capture_output=True)
    text, _, status = done.stdout.rpartition(b"\n")
    return int(status or 0), text


def kept(n):
    return psql(f"SELECT count(*) FROM erp_webhook.event WHERE external_id = 'evt_{n}'", DATABASE) == "1"


def check_main(tap, daemon):
    body = payment(1)
    status, _ = curl(f"http://127.0.0.1:{daemon.port}/hooks/stripe", body)
    tap.ok(status == 200 and kept(1), "curl over HTTP: 200, and the event is there")
    stored = psql("SELECT encode(body, 'base64') FROM erp_webhook.delivery", DATABASE)
    tap.ok(base64.b64decode(stored) == body, "the bytes kept are the bytes sent")
    paid = psql("SELECT paid FROM erp_webhook.invoice WHERE number = 'INV-1'", DATABASE)
    tap.ok(float(paid or 0) == 100, "and the invoice is paid")
    status, _ = curl(f"http://127.0.0.1:{daemon.port}/hooks/stripe", body)
    tap.ok(status == 200 and kept(1), "the same again: 200, and still one event")
    body = payment(2)
    status, _ = curl(f"http://127.0.0.1:{daemon.port}/hooks/stripe", body, "-H", "Transfer-Encoding: chunked")
    tap.ok(status == 200 and kept(2), "chunked: 200")
    body = payment(3)
    status, _ = curl(f"http://127.0.0.1:{daemon.port}/hooks/stripe", body, "-H", "Expect: 100-continue", "--expect100-timeout", "20")
    tap.ok(status == 200 and kept(3), "Expect: 100-continue: 200")
    status, _ = curl(f"http://127.0.0.1:{daemon.port}/hooks/stripe", payment(4), "-0")
    tap.ok(status == 200 and kept(4), "HTTP/1.0: 200")


def check_unproven(tap, daemon):
    """One answer for whatever is not proven, whether the source exists or not."""
    before = psql("SELECT count(*) FROM erp_webhook.event", DATABASE)
    body = payment(50)
    wrong = {
        "forged": request(body, secret="whsec_another_secret_altogether_123"),
        "unsigned": request(body, signed=False),
        "stale": request(body, signed=False, headers=[("Stripe-Signature", signature(body, at=1))]),
        "unknown source": request(body, "/hooks/nobody"),
        "signature twice": request(body, headers=[("Stripe-Signature", signature(body))]),
        "body altered": request(body).replace(b"10000", b"90000"),
    }
    answers = {name: ask(daemon.port, data) for name, data in wrong.items()}
    for name, answer in answers.items():
        tap.ok(answer.status == 401, f"{name}: {answer.status}")
    shown = {(a.status, a.body, tuple((k, v) for k, v in a.headers.items() if k != "date")) for a in answers.values()}
    tap.ok(len(shown) == 1, "and all are answered alike, to the byte")
    tap.ok(psql("SELECT count(*) FROM erp_webhook.event", DATABASE) == before, "nothing of it is kept")


def check_refusals(tap, daemon):
    """What HTTP itself makes us refuse; the parser's own table is ingress/check."""
    good, big = payment(60), b"x" * 200_000
    cases = [
        (404, "another path", request(good, "/nothing")),
        (400, "dotted path", request(good, "/hooks/../hooks/stripe")),
        (400, "encoded letter", request(good, "/hooks/%73tripe")),
        (400, "NUL in the source", request(good, "/hooks/a%00")),
        (400, "source not UTF-8", request(good, "/hooks/a%FF")),
        (400, "header not UTF-8", request(good).replace(b"localhost\r\n", b"localhost\r\nX: \xff\r\n")),
        (400, "header with NUL", request(good).replace(b"localhost\r\n", b"localhost\r\nX: a\0b\r\n")),
        (405, "PUT", request(good, method="PUT")),
        (405, "DELETE", request(good, method="DELETE")),
        (405, "lower-case post", request(good, method="post")),
        (405, "GET where no handshake is", request(b"", method="GET", signed=False)),
        (405, "GET of an unknown source", request(b"", "/hooks/nobody", method="GET", signed=False)),
        (413, "a long body", request(big)),
        (413, "a body said to be long", b"POST /hooks/stripe HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n"),
        (413, "a long chunked body", b"POST /hooks/stripe HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     + b"%x\r\n" % len(big) + big + b"\r\n0\r\n\r\n"),
        (431, "long headers", request(good, headers=[("X", "y" * 40_000)])),
        (431, "many headers", request(good, headers=[(f"X-{n}", "y") for n in range(200)])),
        (414, "a long target", request(good, "/hooks/" + "a" * 9_000)),
        (414, "an endless target", b"POST /hooks/" + b"a" * 50_000),
        (415, "Content-Encoding", request(good, headers=[("Content-Encoding", "gzip")])),
        (417, "another expectation", request(good, headers=[("Expect", "miracles")])),
        (400, "two lengths", request(good, headers=[("Content-Length", str(len(good)))])),
        (400, "length and chunked", request(good, headers=[("Transfer-Encoding", "chunked")])),
        (400, "a folded header", request(good).replace(b"localhost\r\n", b"localhost\r\nX: a\r\n b\r\n")),
        (400, "bare LF", request(good).replace(b"localhost\r\n", b"localhost\n")),
        (400, "another host in the target", request(good, "http://elsewhere/hooks/stripe")),
        (400, "rubbish", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        (505, "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]
    for status, name, data in cases:
        answer = ask(daemon.port, data)
        tap.ok(answer is not None and answer.status == status, f"{name}: {answer and answer.status}")
    client = Client(daemon.port)
    client.send(request(good, method="HEAD"))
    text = client.stream.read()
    tap.ok(text.startswith(b"HTTP/1.1 405 ") and text.endswith(b"\r\n\r\n"), "HEAD: 405, without a body")
    answer = ask(daemon.port, request(good, method="PUT"))
    tap.ok("POST" in answer.headers.get("allow", ""), "405 says what is allowed")
    tap.ok(not kept(60), "nothing of it is kept")


def check_connections(tap, daemon):
    """One connection, many requests."""
    client = Client(daemon.port)
    statuses = [client.ask(request(payment(n))).status for n in (70, 71)]
    statuses.append(client.ask(request(payment(72), secret="whsec_wrong_wrong_wrong_wrong")).status)
    statuses.append(client.ask(request(payment(73))).status)
    tap.ok(statuses == [200, 200, 401, 200], f"kept alive, also after a 401: {statuses}")
    client.send(request(payment(74)) + request(payment(75), "/hooks/nobody") + request(payment(76)))
    statuses = [client.answer().status for _ in range(3)]
    tap.ok(statuses == [200, 401, 200], f"pipelined: answered in order: {statuses}")
    answer = client.ask(request(payment(77), headers=[("Connection", "close")]))
    tap.ok(answer.status == 200 and client.closed(), "Connection: close is heeded")
    client = Client(daemon.port)
    client.send(request(payment(78)) + b"GET /x SMUGGLED\r\n\r\n" + request(payment(79)))
    statuses = [client.answer().status, client.answer().status]
    tap.ok(statuses == [200, 400] and client.closed() and not kept(79), "after something malformed nothing more is read")
    answer = ask(daemon.port, request(payment(80), "http://localhost/hooks/stripe"))
    tap.ok(answer.status == 200 and kept(80), "absolute form: 200")
    client = Client(daemon.port)
    for n, byte in enumerate(request(payment(81))):
        client.send(bytes([byte]))
    tap.ok(client.answer().status == 200 and kept(81), "byte by byte: 200")
    client = Client(daemon.port)
    client.send(request(payment(82)))
    client.socket.shutdown(socket.SHUT_WR)
    tap.ok(client.answer().status == 200, "a client that closes its side is still answered")
    client = Client(daemon.port)
    client.send(request(payment(83)))
    client.reset()
    tap.ok(daemon.wait_until(lambda: kept(83), 5), "one that hangs up after sending: the event is kept all the same")


def check_limits(tap):
    """Time limits, and the options from file and environment."""
    config = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"webhookd-{os.getpid()}.conf")
    with open(config, "w") as f:
        f.write("# a comment\nhead-timeout = 300\nmax-body = 5000\n")
    daemon = Daemon(DATABASE, options=["--config", config, "--public-url", "https://hooks.example.com/"],
                    environment={"ERP_WEBHOOKD_BODY_TIMEOUT": "400", "ERP_WEBHOOKD_MAX_BODY": "4000"})
    os.unlink(config)
    try:
        client = Client(daemon.port)
        client.send(b"POST /hooks/stripe HTTP/1.1\r\nHo")
        tap.ok(client.answer().status == 408, "half a head (limit from the file): 408")
        client = Client(daemon.port)
        client.send(request(payment(90))[:-10])
        tap.ok(client.answer().status == 408, "half a body (limit from the environment): 408")
        tap.ok(ask(daemon.port, request(b"x" * 4500)).status == 413, "the environment goes before the file")
        tap.ok(ask(daemon.port, request(payment(91))).status == 200, "with another public URL: 200")
        url = psql("SELECT url FROM erp_webhook.delivery ORDER BY delivery_id DESC LIMIT 1", DATABASE)
        tap.ok(url in ("https://hooks.example.com/hooks/stripe", ""), f"the public URL is what the database is told: {url}")
    finally:
        daemon.stop()
    wrong = [["--nonsense"], ["--listen", "127.0.0.1:1"], ["--dsn", "x", "--listen", "y", "--max-body", "many"],
             ["--dsn", "x", "--listen", "y", "--tls-cert", "only"]]
    codes = [subprocess.run([PROGRAM, *w], capture_output=True).returncode for w in wrong]
    tap.ok(codes == [2] * 4, f"mistakes in the options end with status 2: {codes}")
    told = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True)
    tap.ok(told.returncode == 0 and "--public-url" in told.stdout, "--help")
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.strip()
    tap.ok(re.fullmatch(r"erp-webhookd \d[\w.]*", version) is not None, f"--version: {version}")


def check_tls(tap):
    certificate = Certificate()
    daemon = Daemon(DATABASE, options=["--tls-cert", certificate.cert, "--tls-key", certificate.key])
    try:
        status, _ = curl(f"https://127.0.0.1:{daemon.port}/hooks/stripe", payment(100), "--cacert", certificate.cert)
        tap.ok(status == 200 and kept(100), "curl over HTTPS: 200")
        client = Client(daemon.port, certificate.context())
        statuses = [client.ask(request(payment(n))).status for n in (101, 102)]
        tap.ok(statuses == [200, 200], "kept alive over TLS")
        before = client.socket.getpeercert(True)
        old = certificate.context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        tap.ok(Client(daemon.port, old).socket.version() == "TLSv1.2", "TLS 1.2 is spoken")
        for options in (["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA"], ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"]):
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-brief", *options],
                                  input=b"", capture_output=True)
            tap.ok(done.returncode != 0, f"refused: {' '.join(options)}")
        certificate.renew()
        daemon.process.send_signal(signal.SIGHUP)
        tap.ok(daemon.wait_until(lambda: daemon.log_text().count("event=tls_loaded") == 2, 5), "SIGHUP reads the certificate again")
        after = Client(daemon.port, certificate.context()).socket.getpeercert(True)
        tap.ok(after != before, "new connections get it")
        tap.ok(client.ask(request(payment(103))).status == 200, "old connections go on")
        with open(certificate.cert, "w") as f:
            f.write("broken")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_until(lambda: "event=tls_failed" in daemon.log_text(), 5)
        tap.ok(client.ask(request(payment(104))).status == 200, "a broken certificate is not taken")
        plain = Client(daemon.port)
        plain.send(request(payment(105)))
        tap.ok(plain.closed() and not kept(105), "plain HTTP on the TLS port: closed")
        tap.ok(daemon.metric("certificate_expires_seconds") > time.time(), "metrics: when the certificate expires")
    finally:
        daemon.stop()


def check_metrics(tap, daemon):
    before = daemon.metric('requests_total{outcome="accepted"}')
    batches, requests = daemon.metric("batches_total"), daemon.metric("batch_size_sum")
    threads = [threading.Thread(target=lambda n=n: ask(daemon.port, request(payment(n)))) for n in range(200, 260)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.ok(daemon.metric('requests_total{outcome="accepted"}') == before + 60, "metrics: 60 more accepted")
    tap.ok(daemon.metric("request_seconds_count") >= 60, "metrics: latencies")
    tap.ok(daemon.metric("batches_total") - batches <= daemon.metric("batch_size_sum") - requests == 60, "metrics: batches and their sizes")
    tap.ok(daemon.metric("database_connections_ready") == 4, "metrics: connections to the database")
    tap.ok(daemon.get("/healthz") == (200, "ok\n") and daemon.get("/readyz")[0] == 200, "healthz, readyz")
    tap.ok(daemon.get("/hooks/stripe")[0] == 404, "no hooks on the admin listener")
    tap.ok(ask(daemon.port, request(b"", "/metrics", method="GET")).status == 404, "no metrics on the public one")
    status, page = daemon.get("/report?company=Ingress&from=2025-01-01&to=2030-12-31")
    tap.ok(status == 200 and "<html" in page and "Ingress" in page, f"the report page: {status}, {len(page)} characters")
    tap.ok(daemon.get("/report?company=Nobody")[0] == 400 and daemon.get("/report?company=Ingress&from=soon")[0] == 400,
           "no report of a company or a day that is none")
    check_report_database(tap)
    lines = daemon.log_text().splitlines()
    tap.ok(all(re.match(r"level=\w+ event=\w+ ", line) and len(line) < 1100 for line in lines), "every line of the log is an event")
    tap.ok("whsec" not in daemon.log_text() and "pi_" not in daemon.log_text(), "no secret and no body in the log")


def check_report_database(tap):
    """The report's own database may be a standby, and gives up when the page does."""
    psql("ALTER FUNCTION erp_webhook.report_html RENAME TO report_html_kept;"
         "CREATE FUNCTION erp_webhook.report_html(text, date, date) RETURNS text LANGUAGE sql"
         " AS $$SELECT current_setting('transaction_read_only') || ', ' || current_setting('statement_timeout')$$", DATABASE)
    reader = Daemon(DATABASE, options=["--report-dsn", dsn_of(DATABASE) + " options='-c default_transaction_read_only=on'"])
    page = reader.get("/report")
    reader.stop()
    tap.ok(page == (200, "on, 30s"), f"a report comes from a read-only server too, which knows its time limit: {page}")
    psql("DROP FUNCTION erp_webhook.report_html; ALTER FUNCTION erp_webhook.report_html_kept RENAME TO report_html", DATABASE)


def check_activation(tap):
    """systemd's way: the socket is there before the program and outlives it."""
    listener = socket.create_server(("127.0.0.1", free_port()))
    port = listener.getsockname()[1]

    def start():
        return subprocess.Popen(["sh", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --dsn "$1"', PROGRAM,
                                 dsn_of(DATABASE)], pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)

    early = Client(port)
    early.send(request(payment(300)))
    process = start()
    tap.ok(early.answer().status == 200, "a request sent before the program started is served")
    process.terminate()
    process.wait(15)
    late = Client(port)
    late.send(request(payment(301)))
    process = start()
    tap.ok(late.answer().status == 200, "and one sent while it was restarted")
    process.terminate()
    process.wait(15)
    listener.close()


def check_stop(tap):
    """SIGTERM under load: whoever was accepted is answered; what was answered is there; the rest is refused clearly."""
    daemon = Daemon(DATABASE)
    answered, unanswered, refused = [], [], []
    stop = time.time() + 10

    def sender(k):
        n = 1000 + k
        client = Client(daemon.port)
        while time.time() < stop:
            n += 16
            time.sleep(0.02 * (k % 2))
            try:
                answer = client.ask(request(payment(n)))
            except OSError:
                answer = None
            if answer is None:
                unanswered.append(n)
            else:
                (answered if answer.status == 200 else refused).append(n)
            if answer is None or answer.headers.get("connection") == "close":
                try:
                    client = Client(daemon.port)
                except ConnectionRefusedError:
                    return

    threads = [threading.Thread(target=sender, args=(k,)) for k in range(16)]
    for t in threads:
        t.start()
    time.sleep(0.7)
    began = time.time()
    code = daemon.stop()
    seconds = time.time() - began
    for t in threads:
        t.join()
    tap.ok(code == 0 and seconds < 5, f"SIGTERM: ended with 0 after {seconds:.1f} s")
    tap.ok(len(answered) > 50 and not unanswered and not refused,
           f"{len(answered)} answered, {len(unanswered)} accepted but not answered, {len(refused)} refused")
    there = psql("SELECT external_id FROM erp_webhook.event", DATABASE).split()
    tap.ok(set(f"evt_{n}" for n in answered) <= set(there), "all that were answered are there")


def main():
    tap = Tap()
    make_database(DATABASE, stripe_setup())
    daemon = Daemon(DATABASE, options=["--max-body", "100000"])
    try:
        check_main(tap, daemon)
        check_unproven(tap, daemon)
        check_refusals(tap, daemon)
        check_connections(tap, daemon)
        check_metrics(tap, daemon)
        check_limits(tap)
        check_tls(tap)
        check_activation(tap)
        check_stop(tap)
        rows = psql("SELECT count(*) FROM erp_webhook.audit()", DATABASE)
        tap.ok(rows == "0", "audit() is empty")
    except Exception:
        tap.diag(daemon.log_text()[-3000:])
        raise
    finally:
        daemon.stop()
        drop_database(DATABASE)
    tap.done()


if __name__ == "__main__":
    main()
