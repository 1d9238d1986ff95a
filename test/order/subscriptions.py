"""SETTLEMENT.md section 4: who is suspended."""
from dataclasses import dataclass
from datetime import datetime, timedelta

from .facts import UTC
from .receipts import by_due_date, numbers, references

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "year": 31557600}


@dataclass
class Subscription:
    source: str
    ref: str
    account: str
    suspended: bool
    state: str


def subscriptions(company, facts, known):
    """Every subscription that a fact names, with its state."""
    refs = {(f.source, f.subscription_ref) for f in facts if f.subscription_ref}
    return [subscription(company, source, ref, facts, known) for source, ref in sorted(refs)]


def subscription(company, source, ref, facts, known):
    """The latest of failure and success decides; tie: success."""
    good = max(successes(company, source, ref, facts, known), default=None)
    bad = [f for f in failures(source, ref, facts, known) if good is None or f.second > good]
    account = account_of_subscription(company, source, ref, facts, known)
    suspended = bool(bad) and must_suspend(company, bad)
    state = "cancelled" if cancelled(source, ref, facts) else "suspended" if suspended else "past_due" if bad else "active"
    return Subscription(source, ref, account, suspended, state)


def cancelled(source, ref, facts):
    """Cancelled until it recovers: a mere payment does not take it up again. The law is silent; this names a state only."""
    told = {kind: [f.second for f in facts if f.kind == "subscription." + kind and (f.source, f.subscription_ref) == (source, ref)]
            for kind in ("cancelled", "recovered")}
    return bool(told["cancelled"]) and max(told["cancelled"]) >= max(told["recovered"], default=(False, datetime.min.replace(tzinfo=UTC)))


def successes(company, source, ref, facts, known):
    """A payment of the subscription, a receipt naming one of its invoices, subscription.recovered."""
    for f in facts:
        if f.kind == "subscription.recovered" and (f.source, f.subscription_ref) == (source, ref):
            yield f.second
    for payment in known.values():
        ours = payment.source == source and payment.first("subscription_ref") == ref
        named = any(n in company.invoices and company.invoices[n].subscription_ref == ref
                    for n, _ in references(company, payment))
        if ours or named:
            yield from (f.second for f in payment.facts if f.kind in ("payment.succeeded", "bank.credit"))


def failures(source, ref, facts, known):
    """subscription.payment_failed, and payment.failed or reversed of a payment of it."""
    of_it = {p.ref for p in known.values() if p.source == source and p.first("subscription_ref") == ref}
    for f in facts:
        if f.source != source:
            continue
        if f.kind == "subscription.payment_failed" and f.subscription_ref == ref:
            yield f
        elif f.kind in ("payment.failed", "payment.reversed") and (f.payment_ref or f.object_ref) in of_it:
            yield f


def must_suspend(company, bad):
    """immediate, after:n attempts (by invoice and attempt, else by time), or grace:interval since the first."""
    first = min(bad, key=lambda f: f.second)
    policy, _, value = company.policy("suspend", company.day(max(f.when for f in bad))).partition(":")
    if policy == "after":
        return len({f.attempt or f.second for f in bad}) >= int(value)
    if policy == "grace":
        return first.when[1] + interval(value) <= datetime.now(UTC)
    return True


def interval(value):
    """The few intervals that the tests use."""
    number, unit = value.split()
    return timedelta(seconds=int(number) * UNITS[unit.rstrip("s")])


def account_of_subscription(company, source, ref, facts, known):
    """Its link, else the link of its customer, else its invoices, else the invoices its facts name. Where the law is
    silent: its customer is whom its facts or those of its payments name first, as 1.2 has it for one object."""
    ours = sorted((f for f in facts if f.source == source and f.subscription_ref == ref), key=lambda f: f.order)
    paid = [f for p in known.values() if p.source == source and p.first("subscription_ref") == ref for f in p.facts]
    customer = next((f.account_ref for f in sorted(ours + paid, key=lambda f: f.order) if f.account_ref), None)
    for external in (ref, customer):
        if (source, external) in company.links:
            return company.links[source, external]
    own = by_due_date(i for i in company.invoices.values() if i.subscription_ref == ref)
    named = [company.invoices[n] for f in ours for n, _ in numbers(company, f) if n in company.invoices]
    return next((i.account_no for i in [*own, *named]), None)
