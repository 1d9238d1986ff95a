"""The HTTP way in: starts ingress/erp-webhookd on a free loopback port and posts signed deliveries over kept connections."""
import base64
import hashlib
import hmac
import http.client
import os
import queue
import socket
import subprocess
import threading
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Ingress:
    """A running erp-webhookd."""

    def __init__(self, program, dsn):
        self.port = free_port()
        self.log = open(os.environ.get("INGRESS_LOG", os.devnull), "ab")
        self.process = subprocess.Popen([program, "--listen", f"127.0.0.1:{self.port}", "--dsn", dsn],
                                        stdout=self.log, stderr=self.log)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"erp-webhookd ended with {self.process.returncode}")
                time.sleep(0.1)
        raise RuntimeError("erp-webhookd does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def standard_webhooks(secret, headers, body):
    """The headers of Standard Webhooks, signed now."""
    key, now = base64.b64decode(secret.removeprefix("whsec_")), str(int(time.time()))
    mac = hmac.new(key, f"{headers['webhook-id']}.{now}.".encode() + body, hashlib.sha256).digest()
    return {**headers, "webhook-timestamp": now, "webhook-signature": "v1," + base64.b64encode(mac).decode(),
            "content-type": "application/json"}


def post_all(port, deliveries, secret, connections):
    """Post (source, headers, body) from so many connections; (answers by status, seconds). 503 is sent again, as senders do."""
    waiting, statuses, lock = queue.SimpleQueue(), {}, threading.Lock()
    for d in deliveries:
        waiting.put(d)

    def sender():
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            try:
                source, headers, body = waiting.get_nowait()
            except queue.Empty:
                return conn.close()
            try:
                conn.request("POST", f"/hooks/{source}", body, standard_webhooks(secret, headers, body))
                answer = conn.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException) as lost:
                conn.close()
                status = type(lost).__name__
            with lock:
                statuses[status] = statuses.get(status, 0) + 1
            if status == 503 or isinstance(status, str):
                time.sleep(0.2)
                waiting.put((source, headers, body))

    began = time.time()
    senders = [threading.Thread(target=sender) for _ in range(connections)]
    for s in senders:
        s.start()
    for s in senders:
        s.join()
    return statuses, time.time() - began
