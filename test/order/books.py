"""The books as SETTLEMENT.md makes them of facts: the reference that the extension is compared with.

Written from the law alone and in another language, so that two readings meet in the tests. Slow on purpose: it
computes everything from everything, in the words of the law, and never asks what was there before.
"""
from collections import defaultdict
from decimal import Decimal

from .objects import ZERO, excess_of_total, things
from .receipts import account_of, numbers, payments, receipts, references, settle
from .subscriptions import subscriptions


def books(company, facts):
    """Everything that "the same books" of DESIGN.md section 7 compares, as plain text values."""
    applied = unique(f for f in facts if f.state == "applied")
    found = things(applied)
    known = payments(found, applied)
    ordered, rest = receipts(company, found, known)
    settled = settle(company, ordered)
    subs = subscriptions(company, applied, known)
    ledger = defaultdict(lambda: ZERO)
    for entry in entries(company, found, settled):
        debit, credit, amount, currency = entry
        ledger[debit, currency] += amount
        ledger[credit, currency] -= amount
    balance, nobody = balances(company, found, ordered + rest, settled, known)
    check_receivable(ledger, balance, nobody)
    return {
        "ledger": {f"{a}@{c}": text(v) for (a, c), v in ledger.items() if v},
        "invoices": {n: {"paid": text(s.paid), "credited": text(s.credited), "written_off": text(s.written_off),
                         "due": text(s.due), "state": s.state} for n, s in settled.items()},
        "accounts": {f"{a}@{c}": text(v) for (a, c), v in balance.items() if v},
        "suspended": sorted({s.account for s in subs if s.suspended and s.account}),
        "payments": payment_view(ordered + rest),
        "payouts": payout_view(found),
        "subscriptions": {f"{s.source}/{s.ref}": [s.account, s.state] for s in subs},
        "exceptions": sorted(exceptions(company, facts, found, known, ordered, rest, subs)),
    }


def unique(facts):
    """A fact delivered twice is one fact."""
    return list({(f.source, f.external_id): f for f in facts}.values())


def text(amount):
    """Canonical decimal text: no trailing zeros, no exponent."""
    return format(amount.normalize(), "f") if amount else "0"


def entries(company, found, settled):
    """DESIGN 7, the table: (debit, credit, amount, currency) of everything that ought to be booked."""
    refunds = [t for t in found if t.family == "refund"]
    for t in found:
        clearing, bank = f"clearing:{t.source}", bank_of(company, t.source)
        if t.charge:
            yield "fees", clearing, *t.charge
        if not t.counts:
            continue
        if t.family == "payment":
            yield clearing, "receivable", t.amount, t.currency
        elif t.family in ("reversal", "refund", "withdrawn"):
            yield "receivable", clearing, t.amount, t.currency
        elif t.family == "total":
            yield "receivable", clearing, excess_of_total(t, refunds), t.currency
        elif t.family == "reinstated":
            yield clearing, "receivable", t.amount, t.currency
        elif t.family == "conversion":
            yield "exchange", clearing, t.amount, t.currency
            yield clearing, "exchange", t.assertion.to_amount, t.assertion.to_currency
        elif t.family == "payout":
            yield "in_transit", clearing, t.amount, t.currency
            if company.policy("payout_arrives", company.day(t.assertion.when)) == "on_paid":
                yield bank, "in_transit", t.amount, t.currency
        elif t.family == "credit":
            yield bank, "receivable", t.amount, t.currency
        elif t.family == "debit":
            yield "bank_unassigned" if debit_account(company, t) is None else "receivable", bank, t.amount, t.currency
    for s in settled.values():
        yield from invoice_entries(s)


def invoice_entries(s):
    """2.6, 2.7 and 2.8: issue, credit note, write-off."""
    i = s.invoice
    if i.void:
        return
    yield "receivable", "revenue", i.total - i.tax, i.currency
    yield "receivable", "tax", i.tax, i.currency
    yield "returns", "receivable", s.credited - s.credited_tax, i.currency
    yield "tax", "receivable", s.credited_tax, i.currency
    yield "write_off", "receivable", s.written_off, i.currency


def bank_of(company, source):
    """3.2: settings.bank gives bank:<name>; without it bank."""
    name = company.sources.get(source, {}).get("bank")
    return f"bank:{name}" if name else "bank"


def debit_account(company, thing):
    """3.2: a debit goes to receivable only if it names an invoice or a linked account."""
    return company.links.get((thing.source, thing.first("account_ref"))) or next(
        (company.invoices[n].account_no for f in thing.facts for n, _ in numbers(company, f) if n in company.invoices), None)


def balances(company, found, all_receipts, settled, known):
    """2.10: balance by (account, currency), and what belongs to nobody."""
    balance, nobody = defaultdict(lambda: ZERO), defaultdict(lambda: ZERO)

    def add(account, currency, amount):
        if account is None:
            nobody[currency] += amount
        else:
            balance[account, currency] += amount

    for s in settled.values():
        add(s.invoice.account_no, s.invoice.currency, s.due)
    for r in all_receipts:
        add(account_of(company, r.payment), r.currency, r.beyond - r.left)
        add(None, r.currency, -max(ZERO, r.reinstated - r.withdrawn))
    for t in found:
        if t.family == "debit" and t.counts and debit_account(company, t):
            add(debit_account(company, t), t.currency, t.amount)
    return balance, nobody


def check_receivable(ledger, balance, nobody):
    """2.10: ledger receivable = Σ balances + nobody's. The model checks itself."""
    total = defaultdict(lambda: ZERO)
    for (_, currency), amount in balance.items():
        total[currency] += amount
    for currency, amount in nobody.items():
        total[currency] += amount
    for currency in {c for _, c in ledger} | set(total):
        if total[currency] != ledger.get(("receivable", currency), ZERO):
            raise AssertionError(f"the model contradicts 2.10 in {currency}: {total[currency]} is not "
                                 f"{ledger.get(('receivable', currency), ZERO)}")


def payment_view(all_receipts):
    """Section 6, last paragraph: payments whose figures are all zero are not shown."""
    shown = {}
    for r in all_receipts:
        if r.payment.line:
            continue
        figures = {"captured": r.captured, "refunded": r.refunded, "disputed": max(ZERO, r.withdrawn - r.reinstated),
                   "reversed": r.reversed, "fee": r.charges}
        if any(figures.values()):
            shown[f"{r.payment.source}/{r.payment.ref}@{r.currency}"] = {k: text(v) for k, v in figures.items()}
    return shown


def payout_view(found):
    """1.5 and 3.1: the latest of paid and failed, else scheduled."""
    shown = {}
    for t in found:
        if t.family == "payout":
            state = "paid" if t.counts else "failed" if any(f.kind == "payout.failed" for f in t.facts) else "scheduled"
            shown[f"{t.source}/{t.ref}@{t.facts[0].currency}"] = state
    return shown


def exceptions(company, facts, found, known, ordered, rest, subs):
    """Section 6, as a set of (kind, source, what it is about)."""
    out = {("quarantined", f.source, f.external_id) for f in facts if f.state == "quarantined"}
    out |= {("contradiction", t.source, t.ref) for t in found if t.contradicts}
    out |= {("unattributed", s.source, s.ref) for s in subs if s.suspended and s.account is None}
    for r in ordered:
        out |= left_over(company, r)
        if r.captured > 0 and r.taken_back > r.captured:
            out.add(("over_refunded", r.payment.source, r.payment.ref))
    for r in ordered + rest:
        if r.reinstated > r.withdrawn:
            out.add(("unattributed", r.payment.source, r.payment.ref))
    captured = {(r.payment.source, r.payment.ref, r.currency) for r in ordered}
    refunds = [t for t in found if t.family == "refund"]
    for t in found:
        if t.family == "total" and not excess_of_total(t, refunds):
            continue                                             # it says nothing that is not known
        if t.family in ("refund", "total", "reversal", "withdrawn", "reinstated") and t.counts:
            if not known[t.source, t.payment_ref].succeeded:
                out.add(("unattributed", t.source, t.payment_ref or t.ref))
            elif t.family in ("refund", "total") and (t.source, t.payment_ref, t.currency) not in captured:
                out.add(("currency_mismatch", t.source, t.payment_ref))
    return out


def left_over(company, r):
    """Strength is left over: why."""
    named = [company.invoices.get(n) for n, _ in references(company, r.payment)]
    if not r.left:
        return set()
    if any(i is not None and i.currency != r.currency for i in named):
        return {("currency_mismatch", r.payment.source, r.payment.ref)}
    if not named or None in named:
        return {("unallocated", r.payment.source, r.payment.ref)}
    return set()
