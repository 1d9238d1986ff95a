#!/usr/bin/env python3
"""Every story of test/data/stories.jsonl: the books it must end in, as the reference model computes them from its
facts, as the extension settles the same facts, and as it settles the signed bodies that ingest() is given.
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.history import expected, narrowed, stories               # noqa: E402
from order.orders import in_order                                   # noqa: E402
from order.server import Trial, differences, own_database, play     # noqa: E402
from order.signed import SignedTrial                                # noqa: E402
from order.tap import Tap                                           # noqa: E402


def compare(tap, history, got, way, problem=None):
    """One check: a story's expect, nothing more and nothing less, and sound books."""
    wanted = expected(history)
    if got is not None:
        shown = narrowed(got, wanted, history.currency)
        shown["audit"], shown["again"] = got.get("audit"), got.get("again")
    lines = differences(wanted, shown if got is not None else None) + ([problem] if problem else [])
    if not tap.ok(not lines, f"{history.name}: {way}"):
        tap.diag("\n".join(lines))


def main():
    tap = Tap()
    told = stories(os.path.join(here, "data", "stories.jsonl"))
    for history in told:
        compare(tap, history, history.books(), "the law")
    own_database("stories_t")
    for way, kind in (("facts", Trial), ("signed bodies", SignedTrial)):
        trials = [kind(h, in_order(h)) for h in told]
        for trial, got in zip(trials, play(trials)):
            compare(tap, trial.history, got, way, trial.problem)
    tap.done()


if __name__ == "__main__":
    main()
