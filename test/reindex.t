#!/usr/bin/env python3
"""Indexes that come and go beside payments: REINDEX CONCURRENTLY of the tables that ingest() writes past the executor, while it
does. No session is lost, every payment is settled, every index has every row.

  LASTS=s (default 6)
"""
import os
import subprocess
import sys
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.tap import Tap                                       # noqa: E402
from webhookd import make_database, psql                        # noqa: E402

LASTS = float(os.environ.get("LASTS") or 6)
SESSIONS = 3
EACH = int(LASTS * 4000)     # invoices of a session: more than it can pay
DATABASE = "reindex"
TABLES = ["event", "voucher", "entry", "allocation", "money_object"]

SETUP = """
CREATE EXTENSION erp_webhook;
CREATE EXTENSION amcheck;
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic';
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic';
SELECT erp_webhook.add_company('reindex', 'EUR');
SELECT erp_webhook.add_source('shop', 'token', 'reindex');
SELECT erp_webhook.add_secret('shop', 'the-token');
INSERT INTO erp_webhook.account (company_id, account_no, currency) SELECT company_id, 'C-1', 'EUR' FROM erp_webhook.company WHERE name = 'reindex';
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT company_id, 'R-' || n, account_id, 'EUR', 10, '2026-01-31' FROM erp_webhook.account, generate_series(1, {invoices}) n;
CREATE FUNCTION pay(first int, last int) RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FILTER (WHERE outcome = 'accepted') FROM erp_webhook.ingest_batch(array_fill('shop'::text, ARRAY[last - first + 1]),
    ARRAY(SELECT jsonb_build_object('webhook-id', 'p' || n, 'x-token', 'the-token') FROM generate_series(first, last) n),
    ARRAY(SELECT convert_to(jsonb_build_object('type', 'payment.succeeded', 'timestamp', '2026-01-05T10:00:00Z', 'data',
            jsonb_build_object('id', 'pay' || n, 'amount', '10.00', 'currency', 'EUR', 'invoice_number', 'R-' || n))::text, 'UTF8')
          FROM generate_series(first, last) n))
$$;
"""

SOUND = """
SELECT (SELECT count(*) FROM erp_webhook.event WHERE state = 'applied'), (SELECT count(*) FROM erp_webhook.voucher WHERE object = 'payment'),
       (SELECT count(*) FROM erp_webhook.allocation), (SELECT count(*) FROM erp_webhook.invoice WHERE state = 'paid'),
       (SELECT count(*) FROM erp_webhook.money_object)
"""
CHECKED = """
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam,
LATERAL (SELECT public.bt_index_check(i.indexrelid, true)) x
WHERE i.indrelid::regclass::text = ANY ('{erp_webhook.event,erp_webhook.voucher,erp_webhook.entry,erp_webhook.allocation,erp_webhook.money_object}')
  AND a.amname = 'btree' AND i.indisvalid
"""


def complaint(sql):
    """What the server says to a statement that has no result."""
    return subprocess.run(["psql", "-Xq", "-d", DATABASE, "-c", sql], text=True, capture_output=True).stderr


class Payer(threading.Thread):
    """One session that pays three invoices in one statement and one in the next."""

    def __init__(self, first):
        super().__init__()
        self.next, self.paid, self.trouble, self.end = first, 0, "", time.time() + LASTS

    def run(self):
        session = subprocess.Popen(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", DATABASE], text=True, bufsize=1,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while time.time() < self.end:
            size = 3 if self.next % 2 else 1
            try:
                session.stdin.write(f"SELECT pay({self.next}, {self.next + size - 1});\n")
                answer = session.stdout.readline()
            except BrokenPipeError:
                answer = ""
            if answer.strip() != str(size):
                break
            self.next += size
            self.paid += size
        early = time.time() < self.end
        said = session.communicate()[1]
        self.trouble = (said or "ended early") if early else ""


def main():
    tap = Tap()
    make_database(DATABASE, SETUP.replace("{invoices}", str(SESSIONS * EACH)))
    payers = [Payer(1 + i * EACH) for i in range(SESSIONS)]
    for payer in payers:
        payer.start()
    rounds, trouble = 0, ""
    while any(p.is_alive() for p in payers) and not trouble:
        trouble = "".join(complaint(f"REINDEX TABLE CONCURRENTLY erp_webhook.{table}") for table in TABLES)
        rounds += 1
    for payer in payers:
        payer.join()
    paid = sum(p.paid for p in payers)
    tap.ok(paid > 100 and rounds > 0, "payments beside REINDEX CONCURRENTLY")
    tap.diag(f"{paid} payments, {rounds} rounds")
    tap.diag(trouble + "".join(p.trouble for p in payers))
    tap.ok(not trouble, "REINDEX has nothing to complain of")
    tap.ok(not any(p.trouble for p in payers), "no session is lost, no payment refused")
    tap.ok(psql(SOUND, DATABASE) == "|".join([str(paid)] * 5), "each is settled")
    tap.ok(int(psql(CHECKED, DATABASE)) > 10, "every index has every row")
    psql(f"DROP DATABASE {DATABASE}", "postgres")
    tap.done()


main()
