#!/usr/bin/env python3
"""What the ingress does when the database does not do what it should: a stand-in for ingest_batch() fails on demand,
by the name of the source, and a proxy takes the database away. No answer later than 4 s, never a 4xx for our own trouble."""
import os
import sys
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.tap import Tap                                                                   # noqa: E402
from webhookd import Client, Daemon, Proxy, ask, drop_database, dsn_of, make_database, psql, request   # noqa: E402

STAND_IN = """
CREATE SCHEMA erp_webhook;
CREATE TYPE erp_webhook.receipt AS (outcome text, http_status int, content_type text, response bytea, event_id bigint,
                                    events int, detail text);
CREATE TABLE kept (source text, headers jsonb, body bytea, method text, url text);
CREATE TABLE attempt (source text, n int);
CREATE SEQUENCE tries;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.source = 'at_commit' THEN RAISE EXCEPTION 'refused at COMMIT' USING errcode = '23514'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE FUNCTION erp_webhook.ingest_batch(sources text[], headers jsonb[], bodies bytea[], methods text[] DEFAULT NULL,
                                         urls text[] DEFAULT NULL)
RETURNS SETOF erp_webhook.receipt LANGUAGE plpgsql AS $$
DECLARE s text; r erp_webhook.receipt;
BEGIN
  FOR i IN 1 .. cardinality(sources) LOOP
    s := sources[i];
    r := ('accepted', 200, 'application/json', '{}'::bytea, i, 1, NULL);
    CASE
      WHEN s LIKE 'raise_%' THEN RAISE EXCEPTION 'as asked' USING errcode = substr(s, 7);
      WHEN s LIKE 'once_%' THEN
        IF nextval('tries') = 1 THEN RAISE EXCEPTION 'once' USING errcode = substr(s, 6); END IF;
      WHEN s = 'slow' THEN PERFORM pg_sleep(10);
      WHEN s = 'pause' THEN PERFORM pg_sleep(0.4);
      WHEN s = 'status_0' THEN r.http_status := 0;
      WHEN s = 'bad_header' THEN r.content_type := E'text/plain\\r\\nX-Evil: 1';
      WHEN s = 'killed' THEN
        IF nextval('tries') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1); END IF;
      WHEN s = 'short' THEN RETURN;
      ELSE NULL;
    END CASE;
    INSERT INTO kept VALUES (s, headers[i], bodies[i], methods[i], urls[i]);
    RETURN NEXT r;
  END LOOP;
END $$;"""


def timed(port, source, body=b"x"):
    began = time.time()
    answer = ask(port, request(body, f"/hooks/{source}", signed=False))
    return answer, time.time() - began


def together(calls):
    """Results of calls made at the same time."""
    results = [None] * len(calls)

    def run(n):
        results[n] = calls[n]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for t in threads:
        t.start()
        time.sleep(0.005)
    for t in threads:
        t.join()
    return results


def kept(database, source):
    return int(psql(f"SELECT count(*) FROM kept WHERE source = '{source}'", database))


def check_errors(tap, daemon, database):
    """Every class of error, for good and once."""
    wanted = {"22021": 400, "22P02": 400}
    states = ("22021", "22P02", "23514", "42883", "P0001", "40P01", "40001", "55P03", "53100", "57014", "58030", "XX000", "25006")
    results = together([lambda s=s: timed(daemon.port, f"raise_{s}") for s in states])
    for state, (answer, seconds) in zip(states, results):
        status = wanted.get(state, 503)
        tap.ok(answer.status == status and seconds < 4, f"error {state}: {status} ({seconds:.1f} s)")
        tap.ok((answer.headers.get("retry-after") is not None) == (status == 503), f"error {state}: Retry-After only with 503")
    daemon.wait_until(lambda: daemon.get("/readyz")[0] == 200)
    for state in ("40001", "40P01", "55P03", "53300", "57P01"):
        psql("ALTER SEQUENCE tries RESTART", database)
        answer, seconds = timed(daemon.port, f"once_{state}")
        tap.ok(answer.status == 200 and kept(database, f"once_{state}") == 1, f"error {state} once: tried again, {seconds:.2f} s")


def check_neighbours(tap, database):
    """What comes while a batch is in flight is the next batch; of that only the one at fault is refused."""
    daemon = Daemon(database, options=["--db-connections", "1"])
    try:
        for fault, status in (("raise_22021", 400), ("raise_P0001", 503), ("at_commit", 503)):
            psql("TRUNCATE kept", database)
            batches = daemon.metric("batch_size_count")
            sources = [f"good{n}" for n in range(20)]
            sources.insert(10, fault)
            results = together([lambda s=s: timed(daemon.port, s)[0].status for s in ["pause", *sources]])
            answers = dict(zip(sources, results[1:]))
            tap.ok(answers.pop(fault) == status, f"{fault} among twenty: {status}")
            tap.ok(set(answers.values()) == {200}, f"{fault} among twenty: the neighbours are answered 200")
            once = psql("SELECT count(*) = 20 AND count(DISTINCT source) = 20 FROM kept WHERE source LIKE 'good%'", database)
            tap.ok(once == "t", f"{fault} among twenty: each neighbour kept once")
            # The pause, all together, then each alone.
            tap.ok(daemon.metric("batch_size_count") - batches == 23, f"{fault} among twenty: they were one batch")
    finally:
        daemon.stop()


def check_odd_results(tap, daemon, database):
    answer, seconds = timed(daemon.port, "slow")
    tap.ok(answer.status == 503 and 2 < seconds < 4, f"a statement that takes too long: 503 after {seconds:.1f} s")
    answer, _ = timed(daemon.port, "status_0")
    tap.ok(answer.status == 503, "a receipt without a status: 503")
    answer, _ = timed(daemon.port, "bad_header")
    tap.ok(answer.status == 200 and "x-evil" not in answer.headers and "content-type" not in answer.headers,
           "a content type with a line end is left out")
    answer, _ = timed(daemon.port, "short")
    tap.ok(answer.status == 503, "fewer receipts than requests: 503")
    psql("ALTER SEQUENCE tries RESTART", database)
    answer, seconds = timed(daemon.port, "killed")
    tap.ok(answer.status == 200 and kept(database, "killed") == 1, f"backend terminated in the middle: tried again, {seconds:.2f} s")


def check_queue(tap, database):
    """A small queue refuses early, before it takes long."""
    daemon = Daemon(database, options=["--db-connections", "1", "--max-queue", "4", "--max-batch", "1"])
    try:
        results = together([lambda: timed(daemon.port, "slow")] * 20)
        early = [seconds for answer, seconds in results if answer.status == 503 and seconds < 0.5]
        tap.ok(len(early) >= 15, f"a full queue refuses at once: {len(early)} of 20 within 0.5 s")
        tap.ok(max(seconds for _, seconds in results) < 4, "and nobody waits 4 s")
    finally:
        daemon.stop()


def check_away(tap, database):
    """The database goes, hangs, and comes back."""
    proxy = Proxy()
    daemon = Daemon(dsn=dsn_of(database, "127.0.0.1", proxy.port))
    try:
        tap.ok(timed(daemon.port, "a")[0].status == 200, "through the proxy: 200")
        proxy.close()
        answer, seconds = timed(daemon.port, "away")
        tap.ok(answer.status == 503 and "retry-after" in answer.headers and seconds < 4, f"database gone: 503 after {seconds:.1f} s")
        time.sleep(2)
        answer, seconds = timed(daemon.port, "away")
        tap.ok(answer.status == 503 and seconds < 0.3, f"gone for longer: 503 at once ({seconds:.2f} s)")
        tap.ok(daemon.get("/readyz")[0] == 503 and daemon.get("/healthz")[0] == 200, "not ready, but alive")
        proxy.open()
        tap.ok(daemon.wait_until(lambda: timed(daemon.port, "back")[0].status == 200, 5), "back: 200 by itself")
        tap.ok(kept(database, "away") == 0, "what was answered 503 was not kept in secret")

        proxy.close()
        waiting = Client(daemon.port)
        waiting.send(request(b"x", "/hooks/restart", signed=False))
        time.sleep(0.7)
        proxy.open()
        answer = waiting.answer()
        tap.ok(answer.status == 200 and kept(database, "restart") == 1, "a restart of 0.7 s: who waited gets 200")

        proxy.silent = True
        answer, seconds = timed(daemon.port, "silent")
        tap.ok(answer.status == 503 and 3 < seconds < 4, f"a silent network: 503 after {seconds:.1f} s")
        proxy.silent = False
        tap.ok(daemon.wait_until(lambda: timed(daemon.port, "heard")[0].status == 200, 8), "heard again: 200 by itself")
    finally:
        daemon.stop()
        proxy.close()


def check_hosts(tap, database):
    """Several hosts in the dsn: one that refuses, one that swallows, and the right one."""
    proxy, silent = Proxy(), Proxy()
    silent.silent = True
    dsn = (f"host=127.0.0.1,127.0.0.1,127.0.0.1 port=1,{silent.port},{proxy.port} dbname={database} "
           f"user={os.environ.get('PGUSER', 'postgres')}")
    daemon = Daemon(dsn=dsn, wait_ready=False)
    try:
        tap.ok(daemon.wait_until(lambda: daemon.get("/readyz")[0] == 200, 8), "a dead and a silent host first: the third is found")
        tap.ok(timed(daemon.port, "failover")[0].status == 200, "and serves")
    finally:
        daemon.stop()
        silent.silent = False
        proxy.close()
        silent.close()


def main():
    tap = Tap()
    database = make_database("ingress_faults", STAND_IN)
    daemon = Daemon(database)
    try:
        check_errors(tap, daemon, database)
        check_neighbours(tap, database)
        check_odd_results(tap, daemon, database)
        check_queue(tap, database)
        check_away(tap, database)
        check_hosts(tap, database)
    except Exception:
        tap.diag(daemon.log_text()[-3000:])
        raise
    finally:
        daemon.stop()
        drop_database(database)
    tap.done()


if __name__ == "__main__":
    main()
