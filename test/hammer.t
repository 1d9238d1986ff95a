#!/usr/bin/env python3
"""Thirty-two sessions hammer on five invoices: no deadlock, no error, and the books of the reference model.

  LASTS=seconds (default 8; `make hammer` 600)    SESSIONS=n (default 32)    SEED=s (default 1, with LASTS the clock)
"""
import os
import random
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.invent import busy                                       # noqa: E402
from order.orders import batched, legal, tied                            # noqa: E402
from order.server import Trial, differences, own_database, play_concurrently, psql  # noqa: E402
from order.tap import Tap                                           # noqa: E402

LENGTH = int(os.environ.get("LASTS") or 8)
SESSIONS = int(os.environ.get("SESSIONS") or 32)
SEED = int(os.environ.get("SEED") or (time.time() if os.environ.get("LASTS") else 1))
FACTS = 640                                                         # a round


def crossing(history, r):
    """Everything twice, in batches that name the same few invoices in crossing orders."""
    order = list(range(history.fixed, len(history.steps)))
    again = order[:]
    r.shuffle(order)
    r.shuffle(again)
    fixture = [[n] for n in legal(history, range(history.fixed))]
    return tied(history, fixture + [batch for half in (order, again) for batch in batched(half, r, [1, 2, 5])])


def main():
    tap, r, rounds, facts, wrong = Tap(), random.Random(SEED), 0, 0, []
    tap.diag(f"SEED={SEED} LASTS={LENGTH} SESSIONS={SESSIONS}")
    own_database("hammer_t")
    until = time.time() + LENGTH
    while time.time() < until and not wrong:
        history = busy(f"{SEED}.{rounds}", FACTS)
        trial = Trial(history, crossing(history, r))
        got = play_concurrently([trial], SESSIONS)[0]
        rounds, facts = rounds + 1, facts + len(history.facts())
        wrong = ([trial.problem] if trial.problem else []) + differences(history.books(), got)
    deadlocks = int(psql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
    tap.ok(not wrong, f"{SESSIONS} sessions, {rounds} rounds, {facts} facts each told twice, five invoices: sound books, no error")
    tap.diag("\n".join(wrong[:20]))
    tap.ok(deadlocks == 0, f"the server broke {deadlocks} deadlocks")
    tap.done()


if __name__ == "__main__":
    main()
