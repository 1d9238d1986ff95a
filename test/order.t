#!/usr/bin/env python3
"""Order-free, proven: any order, duplication, batching and concurrency of the same steps ends in the same books,
those of the reference model in test/order/.

  HISTORIES=n   invented histories (default 20)      SEED=s   default: 1, so that the gate is the same for all; `make order`
                                                     takes the clock's. Printed either way.
  CASE=file     play one case as a failure printed it
"""
import os
import random
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order import orders                                             # noqa: E402
from order.history import History, stories                          # noqa: E402
from order.invent import invent                                     # noqa: E402
from order.server import Trial, own_database, play, play_concurrently  # noqa: E402
from order.shrink import judge, report, shrink                      # noqa: E402
from order.signed import SignedTrial                                # noqa: E402
from order.tap import Tap                                            # noqa: E402

HISTORIES = int(os.environ.get("HISTORIES") or 20)
SEED = int(os.environ.get("SEED") or (time.time() if os.environ.get("HISTORIES") else 1))
CHUNK = 100


def in_chunks(cases, player, kind):
    """Play (history, plan) cases some at a time; the failing trials with what is wrong."""
    for k in range(0, len(cases), CHUNK):
        trials = [kind(h, plan) for h, plan in cases[k:k + CHUNK]]
        for trial, got in zip(trials, player(trials)):
            lines = judge(trial, got)
            if lines:
                yield trial, lines


def check(tap, name, cases, player=play, kind=Trial):
    """One line of TAP for many cases; the first failures are shrunk and printed."""
    failed = list(in_chunks(cases, player, kind))
    tap.ok(not failed, f"{name}: {len(cases)} cases" + (f", {len(failed)} fail" if failed else ""))
    for trial, lines in failed[:int(os.environ.get("SHOW") or 2)]:
        tap.diag(f"{trial.history.name}: " + "\n".join(lines[:8]))
        tap.diag("the smallest such case:\n" + report(*shrink(trial.history, trial.plan, kind)))


def main():
    tap = Tap()
    r = random.Random(SEED)
    own_database("order_t")
    tap.diag(f"SEED={SEED} HISTORIES={HISTORIES}")
    if os.environ.get("CASE"):
        with open(os.environ["CASE"], encoding="utf-8") as case:
            history = History.from_json(case.read())
        check(tap, history.name, [(history, orders.in_order(history))] + [(history, orders.shuffled(history, r)) for _ in range(50)])
        return tap.done()

    told = stories(os.path.join(here, "data", "stories.jsonl"))
    check(tap, "every permutation of every story", [(h, plan) for h in told for plan in orders.every(h)])
    check(tap, "stories with duplicates, in batches",
          [(h, orders.shuffled(h, r, h.fixed)) for h in told for _ in range(2)])
    check(tap, "stories whose fixture comes late too", [(h, orders.shuffled(h, r)) for h in told])
    check(tap, "stories from four sessions at once", [(h, orders.shuffled(h, r, h.fixed)) for h in told],
          lambda trials: play_concurrently(trials, 4))
    check(tap, "stories as signed bodies in random order", [(h, orders.shuffled(h, r, h.fixed)) for h in told],
          kind=SignedTrial)

    invented = [invent(f"{SEED}.{n}") for n in range(HISTORIES)]
    check(tap, "invented histories as told", [(h, orders.in_order(h)) for h in invented])
    check(tap, "invented histories in random order", [(h, orders.shuffled(h, r)) for h in invented for _ in range(3)])
    check(tap, "invented histories from four sessions at once", [(h, orders.tied(h, orders.shuffled(h, r))) for h in invented],
          lambda trials: play_concurrently(trials, 4))
    plain = [invent(f"{SEED}.plain.{n}", plain=True) for n in range(HISTORIES // 3)]
    check(tap, "invented histories as signed bodies in random order", [(h, orders.shuffled(h, r)) for h in plain for _ in range(2)],
          kind=SignedTrial)
    tap.done()


if __name__ == "__main__":
    main()
