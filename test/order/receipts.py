"""SETTLEMENT.md section 2: receipts, what they pay, and what becomes of the invoices. One function a paragraph."""
import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from .facts import digits
from .objects import ZERO, excess_of_total

SPLIT = re.compile(r"[,;|\s]+")


@dataclass
class Payment:
    """All that is known of (source, payment_ref), whatever the currency: what it names, and whose it is."""
    source: str
    ref: str
    facts: list = field(default_factory=list)
    line: bool = False             # a bank credit

    def first(self, name):
        return next((getattr(f, name) for f in self.facts if getattr(f, name) is not None), None)

    @property
    def succeeded(self):
        return any(f.kind in ("payment.succeeded", "bank.credit") for f in self.facts)


@dataclass
class Receipt:
    """2.1: (source, payment_ref, currency) with its captures added up; a bank credit is one of its own."""
    payment: Payment
    currency: str
    time: tuple = None
    captured: Decimal = ZERO
    reversed: Decimal = ZERO
    refunded: Decimal = ZERO
    forgiven: Decimal = ZERO       # the refunds whose own day has the policy credit_note
    withdrawn: Decimal = ZERO
    reinstated: Decimal = ZERO
    charges: Decimal = ZERO
    left: Decimal = ZERO

    @property
    def order(self):
        return self.time, self.payment.source, self.payment.ref or ""

    @property
    def taken_back(self):
        return self.reversed + max(ZERO, self.withdrawn - self.reinstated) + self.refunded

    @property
    def strength(self):
        """2.2"""
        return max(ZERO, self.captured - self.taken_back)

    @property
    def beyond(self):
        """2.10: what was taken back beyond the receipt."""
        return max(ZERO, self.taken_back - self.captured)

    @property
    def unrefunded(self):
        """2.6: the strength it would have had nothing been refunded."""
        return max(ZERO, min(self.strength + self.forgiven, self.captured - self.reversed))


def payments(found, facts):
    """The payments that objects speak of, each with its facts in order; linking facts name the payment alone."""
    known, place = {}, {}
    for thing in found:
        if thing.family == "payment":
            place.update({(thing.source, f.external_id): thing.payment_ref for f in thing.facts})
    for f in sorted(facts, key=lambda f: f.order):
        ref = f.payment_ref if f.kind == "payment.linked" else place.get((f.source, f.external_id))
        if ref is not None:
            known.setdefault((f.source, ref), Payment(f.source, ref)).facts.append(f)
    for thing in found:
        if thing.family == "credit":
            known[thing.source, "line", thing.ref] = Payment(thing.source, thing.ref, thing.facts, True)
        elif thing.family in ("refund", "total", "reversal", "withdrawn", "reinstated"):
            known.setdefault((thing.source, thing.payment_ref), Payment(thing.source, thing.payment_ref))
    return known


def receipts(company, found, known):
    """2.1 and 2.2: every receipt with its figures, in the order of 2.1 (those that never succeeded stay out of the order)."""
    made = {}

    def receipt(thing):
        key = (thing.source, "line", thing.ref) if thing.family == "credit" else (thing.source, thing.payment_ref)
        return made.setdefault((key, thing.currency), Receipt(known[key], thing.currency))

    refunds = [t for t in found if t.family == "refund"]
    for thing in found:
        if not thing.ever:
            continue
        if thing.family in ("payment", "credit"):
            r = receipt(thing)
            r.captured += thing.amount
            r.reversed += ZERO if thing.counts else thing.amount
            first = min(f.when for f in thing.asserting)
            r.time = min(r.time or first, first)
        elif thing.family == "reversal":
            receipt(thing).reversed += thing.amount
        elif thing.family in ("refund", "total"):
            amount = excess_of_total(thing, refunds) if thing.family == "total" else thing.amount if thing.counts else ZERO
            r = receipt(thing)
            r.refunded += amount
            if company.policy("refund", company.day(thing.assertion.when)) == "credit_note":
                r.forgiven += amount
        elif thing.family in ("withdrawn", "reinstated"):
            r = receipt(thing)
            setattr(r, thing.family, getattr(r, thing.family) + thing.amount)
    add_charges(made, found, known)
    return sorted((r for r in made.values() if r.time), key=lambda r: r.order), [r for r in made.values() if not r.time]


def add_charges(made, found, known):
    """The fees that the payment view shows: those of the payment and of what takes it back, in their own currency."""
    for thing in found:
        if thing.charge and thing.family in ("payment", "refund", "total", "reversal", "withdrawn", "reinstated"):
            fee, currency = thing.charge
            key = (thing.source, thing.payment_ref)
            made.setdefault((key, currency), Receipt(known[key], currency)).charges += fee


def by_due_date(invoices):
    return sorted(invoices, key=lambda i: (i.due_on, i.number))


def references(company, payment):
    """2.5 and 1.2: what a payment names, first mention first, as (number, ceiling or None); unknown numbers included."""
    named = {}
    for f in payment.facts:
        for number, ceiling in numbers(company, f):
            named.setdefault(number, ceiling)
    if not named:                                            # 2.3: a receipt that names only a subscription
        sub = payment.first("subscription_ref")
        if sub is not None:
            named = {i.number: None for i in by_due_date(company.invoices.values()) if i.subscription_ref == sub}
    return list(named.items())


def numbers(company, fact):
    """2.5: what a fact names; the whole of a string if such an invoice exists, else its parts."""
    ceilings = fact.correlation_amounts or (None,) * len(fact.correlation)
    for text, ceiling in zip(fact.correlation, ceilings):
        whole = text in company.invoices
        for number in [text] if whole else filter(None, SPLIT.split(text)):
            yield number, ceiling


def account_of(company, payment):
    """2.10: the account of its link, else of the first of its references that exists, else nobody."""
    for name in ("account_ref", "subscription_ref"):
        account = company.links.get((payment.source, payment.first(name)))
        if account is not None:
            return account
    return next((company.invoices[n].account_no for n, _ in references(company, payment) if n in company.invoices), None)


def allocate(company, ordered, power):
    """2.3 and 2.4: the two passes. power(receipt) → what it can pay; returns paid by invoice, left by receipt."""
    room = {n: ZERO if i.void else i.total for n, i in company.invoices.items()}
    left = {id(r): power(r) for r in ordered}

    def pay(receipt, number, ceiling=None):
        if company.invoices[number].currency != receipt.currency:
            return
        amount = min(left[id(receipt)], room[number])
        if ceiling is not None:
            amount = min(amount, ceiling)
        left[id(receipt)] -= amount
        room[number] -= amount

    for r in ordered:
        for number, ceiling in references(company, r.payment):
            if number in company.invoices:
                pay(r, number, ceiling)
    for r in ordered:
        account = account_of(company, r.payment)
        if account is not None and company.policy("allocate", company.day(r.time)) == "due_date":
            for invoice in by_due_date(i for i in company.invoices.values() if i.account_no == account):
                pay(r, invoice.number)
    paid = {n: (ZERO if i.void else i.total) - room[n] for n, i in company.invoices.items()}
    return paid, left


@dataclass
class Settled:
    """An invoice as settlement leaves it."""
    invoice: object
    paid: Decimal
    credited: Decimal
    written_off: Decimal = ZERO

    @property
    def due(self):
        """2.8"""
        return ZERO if self.invoice.void else self.invoice.total - self.credited - self.paid - self.written_off

    @property
    def credited_tax(self):
        """2.7: cumulative, so that a full credit note is exact."""
        i = self.invoice
        if not i.total:
            return ZERO
        unit = Decimal(1).scaleb(-digits(i.currency))
        return (self.credited * i.tax / i.total).quantize(unit, ROUND_HALF_UP)

    @property
    def state(self):
        """2.9"""
        if self.invoice.void:
            return "void"
        if self.due > 0:
            return "open" if self.paid == 0 else "partial"
        return "credited" if self.paid == 0 and self.credited > 0 else "paid"


def settle(company, ordered):
    """2.6 and 2.8: every invoice; sets what is left of each receipt."""
    paid, left = allocate(company, ordered, lambda r: r.strength)
    without_refunds, _ = allocate(company, ordered, lambda r: r.unrefunded)
    for r in ordered:
        r.left = left[id(r)]
    settled = {}
    for number, invoice in company.invoices.items():
        s = settled[number] = Settled(invoice, paid[number], max(ZERO, without_refunds[number] - paid[number]))
        tolerance = Decimal(company.policy("tolerance", invoice.issued_on or invoice.due_on))
        if invoice.currency == company.currency and s.paid > 0 and 0 < s.due <= tolerance:
            s.written_off = s.due
    return settled
