"""SETTLEMENT.md section 1: what the facts say of each object. One function a paragraph."""
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)

PAYMENT_KINDS = ("payment.pending", "payment.succeeded", "payment.failed")
FAMILY = {                         # kinds that always speak of an object of one family; payment.reversed depends (1.5)
    "payment.pending": "payment", "payment.succeeded": "payment", "payment.failed": "payment",
    "refund.succeeded": "refund", "refund.failed": "refund", "refund.total": "total",
    "dispute.withdrawn": "withdrawn", "dispute.reinstated": "reinstated",
    "payout.scheduled": "payout", "payout.paid": "payout", "payout.failed": "payout",
    "bank.credit": "credit", "bank.debit": "debit", "conversion": "conversion",
}
ASSERTS = {                        # 1.3: the kind that is booked, and so may assert the amount
    "payment": "payment.succeeded", "reversal": "payment.reversed", "refund": "refund.succeeded", "total": "refund.total",
    "withdrawn": "dispute.withdrawn", "reinstated": "dispute.reinstated", "payout": "payout.paid",
    "credit": "bank.credit", "debit": "bank.debit", "conversion": "conversion",
}
TAKES_BACK = {                     # 1.5: what undoes a success
    "payment": ("payment.failed", "payment.reversed"), "refund": ("refund.failed",), "payout": ("payout.failed",),
    "credit": ("bank.reversed",), "debit": ("bank.reversed",),
}
SUCCESS_WINS_TIES = ("payment", "credit", "debit")


@dataclass
class Thing:
    """An object of SETTLEMENT 1.1 with its facts in the order of 1.2."""
    source: str
    family: str
    ref: str
    facts: list

    def first(self, name):
        """1.2: the first known value of a field."""
        return next((getattr(f, name) for f in self.facts if getattr(f, name) is not None), None)

    @property
    def payment_ref(self):
        known = self.first("payment_ref")
        return self.ref if known is None and self.family == "payment" else known

    @property
    def asserting(self):
        return [f for f in self.facts if f.kind == ASSERTS[self.family]]

    @property
    def assertion(self):
        """1.3: amount and currency come together from the latest fact of the booked kind, ties by the smallest id."""
        return latest(self.asserting)

    @property
    def amount(self):
        return self.assertion.amount if self.assertion else ZERO

    @property
    def currency(self):
        return self.assertion.currency if self.assertion else None

    @property
    def ever(self):
        """It has succeeded once."""
        return bool(self.asserting)

    @property
    def counts(self):
        """1.5: the latest of success and what takes it back decides, in whole seconds."""
        if not self.ever:
            return False
        success = max(f.second for f in self.asserting)
        undone = [f.second for f in self.facts if f.kind in TAKES_BACK.get(self.family, ())]
        if not undone:
            return True
        return success >= max(undone) if self.family in SUCCESS_WINS_TIES else success > max(undone)

    @property
    def contradicts(self):
        """1.3: two facts of the booked kind that differ. A cumulative total is meant to grow."""
        return self.family != "total" and len({(f.amount, f.currency, f.to_amount, f.to_currency) for f in self.asserting}) > 1

    @property
    def charge(self):
        """1.7: (fee, currency) once the object has ever succeeded; the latest value; absent is not zero."""
        said = latest([f for f in self.facts if f.fee is not None])
        if said is None or not self.ever:
            return None
        return said.fee, said.fee_currency or said.currency or self.currency


def latest(facts):
    """The latest of some facts by time, ties by the smallest external_id."""
    if not facts:
        return None
    last = max(f.when for f in facts)
    return min((f for f in facts if f.when == last), key=lambda f: f.external_id)


def things(facts):
    """1.1 and 1.2: facts by object, in order, without regard to arrival."""
    paid = {(f.source, f.object_ref) for f in facts if f.kind in PAYMENT_KINDS}
    lines = {(f.source, f.object_ref): FAMILY[f.kind] for f in facts if f.kind in ("bank.credit", "bank.debit")}
    found = {}
    for f in sorted(facts, key=lambda f: f.order):
        family, ref = FAMILY.get(f.kind), f.object_ref
        if f.kind == "payment.reversed":
            family = "payment" if (f.source, f.object_ref) in paid else "reversal"
        elif f.kind == "bank.reversed":
            family = lines.get((f.source, f.object_ref))
        elif f.kind == "refund.total":
            ref = f.payment_ref                              # 1.6: cumulative per payment
        if family is None:
            continue
        key = (f.source, family, ref, f.currency if family == "payout" else None)
        found.setdefault(key, Thing(f.source, family, ref, [])).facts.append(f)
    return list(found.values())


def excess_of_total(total, refunds):
    """1.6: what the latest cumulative total exceeds every refund of that payment that ever succeeded."""
    known = sum((r.amount for r in refunds if r.ever and r.source == total.source
                 and r.payment_ref == total.ref and r.currency == total.currency), ZERO)
    return max(ZERO, total.amount - known)
