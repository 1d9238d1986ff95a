#!/usr/bin/env python3
"""The other side of the worker: an HTTPS peer that plays subscribers, a provider's API, and an attacker.

    peer.py CERT KEY PORTFILE SEED

Serves on a free port of 127.0.0.1 and writes it to PORTFILE. Everything that happens is decided by the path, the seed and
what the test has put under /control/, so a run can be repeated.

  POST /hook/<name>              a subscriber; its behaviour is the <name>'s first word (see SUBSCRIBERS)
  GET  /stripe/v1/events         an event list with paging, newest first; /loop/v1/events the same, but it never ends
  GET  /objects/…                an object put there by PUT /control/objects/…; 404 without one. One put under "path?words" answers
                                 where the query holds these words
  POST /token                    an access token (client credentials)
  any  /evil/<what>              what a hostile server answers (see EVIL)
  PUT  /control/<key>            set a value;  GET /control/<key>  read one: received, calls, load, secrets, events
"""
import base64, email.utils, gzip, hashlib, hmac, http.server, json, ssl, sys, threading, time, urllib.parse

lock = threading.Lock()
control = {"events": [], "secrets": {}, "objects": {}, "hidden": []}
received = {}    # subscriber -> list of {id, try, body, at, signatures valid}
tries = {}       # (subscriber, webhook-id) -> how often so far
calls = []       # every request: method, path, authorization
load = {"connections": 0, "now": 0, "most": 0}    # handshakes so far; requests of subscribers under way now, and at most


def fate(seed, *what):
    """A number in [0, 1) that depends on nothing but the seed and what it is about."""
    digest = hashlib.sha256(repr((seed,) + what).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def signature_secrets(headers, body):
    """Which of the known secrets signed this request, by the Standard Webhooks rule."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    good = []
    for name, secret in control["secrets"].items():
        mac = hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256).digest()
        if "v1," + base64.b64encode(mac).decode() in headers.get("webhook-signature", "").split(" "):
            good.append(name)
    return good


BOMB = gzip.compress(b"\0" * (50 << 20))

# Retry-After in its two forms, and a day that is not today's.
LATER = {"later": lambda: "7200", "laterdate": lambda: email.utils.formatdate(time.time() + 7200, usegmt=True), "laterfar": lambda: "99999999",
         "laterpast": lambda: "Wed, 21 Oct 2015 07:28:00 GMT", "laterodd": lambda: "soon"}


class Peer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drop(self):
        self.close_connection = True
        self.connection.close()

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError, OSError, ValueError):
            self.close_connection = True

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def do_POST(self):
        body, path = self.body(), urllib.parse.urlsplit(self.path).path
        with lock:
            calls.append({"method": "POST", "path": self.path, "authorization": self.headers.get("authorization"), "body": body.decode("latin-1")[:2000]})
        if path.startswith("/hook/"):
            with lock:
                load["now"] += 1
                load["most"] = max(load["most"], load["now"])
            try:
                self.hook(path[6:], body)
            finally:
                with lock:
                    load["now"] -= 1
        elif path == "/token":
            self.answer(200, {"access_token": "token-of-" + hashlib.sha256(body).hexdigest()[:8], "expires_in": 3600, "token_type": "bearer"})
        elif path.startswith("/evil/"):
            self.evil(path[6:].strip("/"))
        else:
            self.object(path)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/control/"):
            with lock:
                key = url.path[9:]
                return self.answer(200, {"received": received, "calls": calls, "load": load}.get(key, control.get(key)))
        with lock:
            calls.append({"method": "GET", "path": self.path, "authorization": self.headers.get("authorization")})
        if url.path in ("/stripe/v1/events", "/loop/v1/events"):
            self.events(dict(urllib.parse.parse_qsl(url.query)), loops=url.path.startswith("/loop"))
        elif url.path.startswith("/evil/"):
            self.evil(url.path[6:].strip("/"))
        else:
            self.object(url.path, url.query)

    def do_PUT(self):
        body, key = self.body(), self.path[9:]
        with lock:
            if key.startswith("objects/"):
                control["objects"]["/" + key] = json.loads(body)
            else:
                control[key] = json.loads(body)
        self.answer(204)

    # Subscribers.

    def hook(self, name, body):
        wire = self.headers.get("webhook-id")
        with lock:
            seen = received.setdefault(name, [])
            nth = tries[name, wire] = tries.get((name, wire), 0) + 1
            seen.append({"id": wire, "try": nth, "at": time.time(), "body": body.decode(), "signed_by": signature_secrets(self.headers, body),
                         "headers": {n: self.headers.get(n) for n in ("webhook-id", "webhook-timestamp", "webhook-signature")}})
        kind = name.split("-")[0]
        if kind == "gone":
            return self.answer(410)
        if kind == "dead":
            return self.answer(500)
        if kind == "slow":
            time.sleep(control.get("slow", 3))
            return self.answer(200)
        if kind == "steady":
            time.sleep(1)
        if kind in LATER:
            return self.answer(503, headers=[("retry-after", LATER[kind]())])
        if kind == "faulty":
            luck = fate(seed, name, wire, nth)
            if luck < 0.10:
                return self.answer(500)
            if luck < 0.16:
                return self.drop()
            if luck < 0.22:
                return self.answer(429, headers=[("retry-after", "1")])
            if luck < 0.27:
                return self.answer(302, headers=[("location", "https://169.254.169.254/")])
            if luck < 0.30:            # received and answered, but the answer is lost
                return self.drop()
        self.answer(200, b"ok")

    # A provider.

    def events(self, query, loops):
        with lock:
            listed = [e for e in control["events"] if e["created"] >= int(query.get("created[gte]", 0))]
        time.sleep(control.get("page_pause", 0))
        listed.sort(key=lambda e: (-e["created"], e["id"]))
        limit = min(int(query.get("limit", 10)), 100)
        start = 0
        if "starting_after" in query and not loops:
            start = next((i + 1 for i, e in enumerate(listed) if e["id"] == query["starting_after"]), 0)
        page = listed[start:start + limit]
        self.answer(200, {"object": "list", "data": page, "has_more": loops or start + limit < len(listed)})

    def object(self, path, query=""):
        with lock:
            found = next((value for key, value in control["objects"].items() if key.startswith(path + "?") and key.split("?", 1)[1] in query),
                         control["objects"].get(path))
        if found is None:
            return self.answer(404, {"error": "no such object"})
        if isinstance(found, dict) and "$status" in found:
            return self.answer(found["$status"], found.get("$body", {}))
        self.answer(200, found["$text"].encode() if isinstance(found, dict) and "$text" in found else found)

    # An attacker.

    def evil(self, what):
        if what == "redirect":
            self.answer(302, headers=[("location", "http://169.254.169.254/latest/meta-data/")])
        elif what == "redirect-here":
            self.answer(307, headers=[("location", "/hook/reached-by-redirect")])
        elif what == "endless":
            self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n", b"x" * 65536, 0)
        elif what == "drip":
            self.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x", 0.1)
        elif what == "headers":
            self.raw(b"HTTP/1.1 200 OK\r\n", b"x-filler: " + b"y" * 1000 + b"\r\n", 0)
        elif what == "malformed":
            self.raw(b"HTTP/9.9 yes\r\n: nothing\r\n\x00\x01\x02\r\n\r\n", b"", 0)
        elif what == "negative":
            self.raw(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", b"", 0)
        elif what == "bomb":
            self.answer(200, BOMB, [("content-encoding", "gzip")])
        elif what == "transfer-bomb":
            self.raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n" + b"%x\r\n" % len(BOMB) + BOMB + b"\r\n0\r\n\r\n", b"", 0)
        else:
            self.answer(404)

    def raw(self, head, piece, pause):
        self.wfile.write(head)
        self.wfile.flush()
        until = time.time() + 20
        while piece and time.time() < until:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(pause)
        self.drop()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def finish_request(self, request, address):
        try:
            request.settimeout(30)
            request = tls.wrap_socket(request, server_side=True)
            with lock:
                load["connections"] += 1
        except (ssl.SSLError, OSError):
            return
        super().finish_request(request, address)

    def handle_error(self, *args):
        pass


cert, key, portfile, seed = sys.argv[1:5]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert, key)
server = Server(("127.0.0.1", 0), Peer)
with open(portfile, "w") as f:
    f.write(str(server.server_port))
server.serve_forever()
