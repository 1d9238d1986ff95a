#!/usr/bin/env python3
"""The main job: signed events with duplicates, in random order, through the ingress from 32 connections end in the
same books as in order, one by one; and both in the books of the reference model.

  EVENTS=n (default 600; `make order10k` runs 10000)    SEED=s (default 1, with EVENTS the clock)    CONNECTIONS=n (default 32)
"""
import os
import random
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.ingress import Ingress, post_all                         # noqa: E402
from order.invent import bulk                                       # noqa: E402
from order.server import PREAMBLE, READ, differences, own_database, psql, read_back  # noqa: E402
from order.signed import SECRETS, SignedTrial                       # noqa: E402
from order.tap import Tap                                           # noqa: E402

EVENTS = int(os.environ.get("EVENTS") or 600)
SEED = int(os.environ.get("SEED") or (time.time() if os.environ.get("EVENTS") else 1))
CONNECTIONS = int(os.environ.get("CONNECTIONS") or 32)


def read(trial):
    """The books of a company that is there already."""
    return read_back([trial], psql("\n".join([PREAMBLE, *trial.find(), READ])))[0]


def fixture(trial):
    """Company, sources, invoices and links of a trial; what was not said is reported."""
    steps = [trial.other(trial.history.steps[n]) for n in range(trial.history.fixed)]
    psql("\n".join([PREAMBLE, *trial.setup(), *steps]), check=True)


def one_by_one(history):
    """The books when every event is given to ingest in its turn."""
    trial = SignedTrial(history, [[n] for n in range(history.fixed, len(history.steps))])
    fixture(trial)
    began = time.time()
    said = psql("\n".join([PREAMBLE, *trial.find(), *trial.batches()]))
    return read(trial), said, time.time() - began


def through_ingress(history, r):
    """The books when all events, a fifth of them twice or more, come shuffled from many connections."""
    trial = SignedTrial(history, [])
    fixture(trial)
    told = [d for n in range(history.fixed, len(history.steps)) for d in trial.deliveries(n)]
    told += r.sample(told, len(told) // 5) + r.sample(told, len(told) // 10)
    r.shuffle(told)
    sent = [(trial.source(source), headers, body.encode()) for source, headers, body in told]
    dsn = " ".join(f"{k}={os.environ[v]}" for k, v in (("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"),
                                                       ("dbname", "PGDATABASE")) if os.environ.get(v))
    ingress = Ingress(os.path.join(here, "..", "ingress", "erp-webhookd"), dsn)
    try:
        statuses, seconds = post_all(ingress.port, sent, SECRETS["generic"], CONNECTIONS)
    finally:
        ingress.stop()
    return read(trial), statuses, len(sent), seconds


def main():
    tap = Tap()
    own_database("main_job_t")
    history = bulk(SEED, EVENTS)
    told = len(history.steps) - history.fixed
    tap.diag(f"SEED={SEED} EVENTS={told} CONNECTIONS={CONNECTIONS}")
    wanted = history.books()

    ordered, said, seconds = one_by_one(history)
    tap.ok(not said.strip(), f"{told} events one by one, {seconds:.1f} s")
    tap.diag(said[:2000])
    lines = differences(wanted, ordered)
    tap.ok(not lines, "in order, one by one: the books of the reference model")
    tap.diag("\n".join(lines[:20]))

    shuffled, statuses, posts, seconds = through_ingress(history, random.Random(SEED))
    answered = sum(n for status, n in statuses.items() if status == 200)
    tap.ok(answered == posts, f"{posts} posts over {CONNECTIONS} connections, each answered 200, {seconds:.1f} s")
    tap.diag(statuses)
    lines = differences({k: ordered[k] for k in wanted}, shuffled)
    tap.ok(not lines, "through the ingress, shuffled, with duplicates: the same books")
    tap.diag("\n".join(lines[:20]))
    tap.done()


if __name__ == "__main__":
    main()
