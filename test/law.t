#!/usr/bin/env python3
"""Do the invented histories reach every rule? Each rule of the reference model is broken once, and some invented history
must then end in other books; a rule that may be broken unseen is not tested by `make order`.

  HISTORIES=n (default 1500)    SEED=s (default 1)
"""
import importlib
import os
import shutil
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from order.invent import invent                                     # noqa: E402
from order.tap import Tap                                           # noqa: E402

HISTORIES = int(os.environ.get("HISTORIES") or 1500)
SEED = os.environ.get("SEED") or "1"

# paragraph of SETTLEMENT.md, what is broken, file, the words of the model, the words instead
BREAKS = [
    ("1.2", "references by arrival of ids alone", "receipts", "sorted(facts, key=lambda f: f.order)", "sorted(facts, key=lambda f: f.external_id)"),
    ("1.3", "the amount of the first fact", "objects", "last = max(f.when for f in facts)", "last = min(f.when for f in facts)"),
    ("1.3", "ties by the largest id", "objects", "return min((f for f in facts if f.when == last)", "return max((f for f in facts if f.when == last)"),
    ("1.4", "states by fractions of a second", "facts", "return undated, time.replace(microsecond=0)", "return undated, time"),
    ("1.4", "undated facts first", "facts", "return self.occurred_at is None, instant", "return self.occurred_at is not None, instant"),
    ("1.4", "undated facts never signed", "facts", "self.occurred_at or self.signed_at or", "self.occurred_at or"),
    ("1.5", "a tie of payments fails", "objects", 'SUCCESS_WINS_TIES = ("payment",', "SUCCESS_WINS_TIES = ("),
    ("1.5", "a tie of refunds succeeds", "objects", 'SUCCESS_WINS_TIES = ("payment",', 'SUCCESS_WINS_TIES = ("payment", "refund",'),
    ("1.5", "a tie of payouts succeeds", "objects", 'SUCCESS_WINS_TIES = ("payment",', 'SUCCESS_WINS_TIES = ("payment", "payout",'),
    ("1.5", "every reversal is its own", "objects", '"payment" if (f.source, f.object_ref) in paid else "reversal"', '"reversal"'),
    ("1.6", "a failed refund is not known", "objects", "for r in refunds if r.ever", "for r in refunds if r.counts"),
    ("1.6", "below zero", "objects", "return max(ZERO, total.amount - known)", "return total.amount - known"),
    ("1.7", "the fee goes when the object does", "objects", "if said is None or not self.ever:", "if said is None or not self.counts:"),
    ("1.7", "a fee of nought is no fee", "objects", "if f.fee is not None]", "if f.fee]"),
    ("1.7", "the fee in the amount's currency", "objects", "said.fee_currency or said.currency", "said.currency"),
    ("1.8", "conversions one way", "books", "yield clearing, \"exchange\", t.assertion.to_amount", "yield clearing, \"exchange\", t.amount"),
    ("2.1", "receipts by reference alone", "receipts", "return self.time, self.payment.source, self.payment.ref or \"\"", "return self.payment.source, self.payment.ref or \"\""),
    ("2.1", "the latest success", "receipts", "r.time = min(r.time or first, first)", "r.time = max(r.time or first, first)"),
    ("2.2", "refunds weaken nothing", "receipts", "self.reinstated) + self.refunded", "self.reinstated)"),
    ("2.2", "reinstated beyond withdrawn strengthens", "receipts", "self.reversed + max(ZERO, self.withdrawn - self.reinstated)", "self.reversed + (self.withdrawn - self.reinstated)"),
    ("2.3", "ceilings ignored", "receipts", "if ceiling is not None:", "if False:"),
    ("2.3", "currencies mixed", "receipts", "if company.invoices[number].currency != receipt.currency:", "if False:"),
    ("2.3", "a subscription names nothing", "receipts", "        if sub is not None:\n", "        if False:\n"),
    ("2.4", "no second pass", "receipts", '== "due_date":', '== "never":'),
    ("2.4", "by number alone", "receipts", "key=lambda i: (i.due_on, i.number)", "key=lambda i: i.number"),
    ("2.5", "no whole string first", "receipts", "whole = text in company.invoices", "whole = False"),
    ("2.5", "strings are not split", "receipts", "whole = text in company.invoices", "whole = True"),
    ("2.6", "reopen is ignored", "receipts", '== "credit_note":', '!= "never":'),
    ("2.6", "what was reversed is credited", "receipts", "min(self.strength + self.forgiven, self.captured - self.reversed)", "self.strength + self.forgiven"),
    ("2.7", "tax rounded down", "receipts", "ROUND_HALF_UP)", "'ROUND_DOWN')"),
    ("2.7", "tax not credited", "receipts", "(self.credited * i.tax / i.total)", "(self.credited * 0 / i.total)"),
    ("2.8", "unpaid ones are written off too", "receipts", "s.paid > 0 and 0 < s.due", "0 < s.due"),
    ("2.8", "in every currency", "receipts", "invoice.currency == company.currency and s.paid", "s.paid"),
    ("2.10", "no links", "receipts", "        if account is not None:\n            return account\n", ""),
    ("2.10", "the last reference", "receipts", "for n, _ in references(company, payment) if n in", "for n, _ in references(company, payment)[::-1] if n in"),
    ("3.1", "payouts always arrive", "books", '== "on_paid":', '!= "never":'),
    ("3.2", "one bank", "books", 'return f"bank:{name}" if name else "bank"', 'return "bank"'),
    ("3.2", "debits to receivable", "books", 'yield "bank_unassigned" if debit_account(company, t) is None else "receivable"', 'yield "receivable"'),
    ("4", "a tie of subscriptions fails", "subscriptions", "good is None or f.second > good", "good is None or f.second >= good"),
    ("4", "attempts uncounted", "subscriptions", "len({f.attempt or f.second for f in bad})", "len(bad)"),
    ("4", "suspend at once", "subscriptions", 'if policy == "after":', "if False:"),
    ("4", "no grace", "subscriptions", 'if policy == "grace":', "if False:"),
    ("4", "payments of it restore nothing", "subscriptions", "if ours or named:", "if False:"),
    ("5.2", "a policy from its day only", "facts", "return held[-1] if held else rows[0][1]", "return rows[-1][1]"),
    ("5.2", "days in UTC", "facts", 'if policy == "time_zone"), "UTC")', 'if policy == "never"), "UTC")'),
    ("6", "contradictions unseen", "objects", "for f in self.asserting}) > 1", "for f in self.asserting}) > 9"),
    ("6", "over-refunds unseen", "books", "r.taken_back > r.captured:", "r.taken_back > 9 * r.captured:"),
    ("6", "unattributed unseen", "books", "if not known[t.source, t.payment_ref].succeeded:", "if False:"),
    ("6", "mismatch by refund unseen", "books", 'elif t.family in ("refund", "total") and', "elif False and"),
    ("6", "unallocated beside mismatch", "books", "if any(i is not None and i.currency != r.currency for i in named):", "if False:"),
]


def broken(number, file, old, new):
    """The model with one rule broken, as a package of its own."""
    name = f"broken{number}"
    home = tempfile.mkdtemp()
    shutil.copytree(os.path.join(here, "order"), os.path.join(home, name), ignore=shutil.ignore_patterns("__pycache__"))
    path = os.path.join(home, name, file + ".py")
    with open(path, encoding="utf-8") as source:
        text = source.read()
    if text.count(old) < 1:
        raise ValueError(f"{file}.py does not say {old!r}")
    with open(path, "w", encoding="utf-8") as source:
        source.write(text.replace(old, new))
    sys.path.insert(0, home)
    try:
        return importlib.import_module(name + ".history").History.from_json
    finally:
        sys.path.remove(home)
        shutil.rmtree(home)


def differs(read, told, wanted):
    """How many histories it took until the broken rule showed; None if it never did."""
    for n, (text, books) in enumerate(zip(told, wanted), 1):
        try:
            if read(text).books() != books:
                return n
        except AssertionError:                                      # the model's own check of 2.10 caught it
            return n
    return None


def main():
    tap = Tap()
    invented = [invent(f"{SEED}.{n}") for n in range(HISTORIES)]
    told, wanted = [h.to_json() for h in invented], [h.books() for h in invented]
    for number, (paragraph, what, file, old, new) in enumerate(BREAKS):
        n = differs(broken(number, file, old, new), told, wanted)
        tap.ok(n is not None, f"{paragraph}, {what}: " + (f"seen in history {n}" if n else f"unseen in {HISTORIES} histories"))
    tap.done()


if __name__ == "__main__":
    main()
