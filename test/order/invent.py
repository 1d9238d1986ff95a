"""Invented histories: what a business with unreliable providers might live through, made from a seeded generator.

Each maker adds steps to a history; which makers run is chance. Times come from a few days and often share a second, so
that the tie rules work for their living. Only what SETTLEMENT.md decides is invented.
"""
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from .facts import UTC, Fact, digits
from .history import History

START = datetime(2025, 10, 1, 9, 0, 0, tzinfo=UTC)
CURRENCIES = ["EUR", "EUR", "EUR", "USD", "JPY", "KWD"]


class Inventor:
    """The state of one invention: what exists, so that facts can name it. plain: only what a generic body can say, to the second."""

    def __init__(self, seed, plain=False):
        self.r = Random(seed)
        self.plain = plain
        self.count = 0
        self.home = self.r.choice(CURRENCIES)
        self.h = History(f"invented {seed}", self.home)
        self.numbers, self.payments, self.subs = [], [], []
        self.owned = None                                            # customer → its invoices, where each pays only its own
        self.moments = [START + timedelta(seconds=self.r.choice([0, 1, 60, 3600, 86400, 40 * 86400]) * k,
                                          milliseconds=self.r.choice([0] if plain else [0, 0, 250, 900])) for k in range(6)]
        self.moments += [datetime(2025, 10, 2, 13, tzinfo=UTC), datetime(2025, 10, 3, 2, tzinfo=UTC)]   # days of two zones

    def next(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def chance(self, p):
        return self.r.random() < p

    def time(self):
        return self.r.choice(self.moments).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def amount(self, currency):
        """Round sums meet each other; odd ones find rounding."""
        whole = self.r.choice([10, 20, 25, 40, 50, 60, 100]) if self.chance(0.7) else self.r.randint(1, 9999)
        cents = 0 if self.chance(0.6) else self.r.randint(0, 10 ** digits(currency) - 1)
        return Decimal(whole) + Decimal(cents).scaleb(-digits(currency))

    def currency_of(self, named):
        """Mostly that of an invoice named."""
        known = [s[1]["currency"] for s in self.h.steps if s[0] == "invoice" and s[1]["number"] in named.get("correlation", ())]
        return known[0] if known and self.chance(0.8) else self.currency()

    def near(self, named, currency):
        """Often about what the first invoice named is about."""
        total = next((Decimal(s[1]["total"]) for s in self.h.steps if s[0] == "invoice" and s[1]["currency"] == currency
                      and s[1]["number"] in named.get("correlation", ())), None)
        if total is None or self.chance(0.5):
            return self.amount(currency)
        return max(Decimal(1), total - self.r.choice([0, 0, 1, 5, -5]))

    def currency(self):
        return self.home if self.chance(0.85) else self.r.choice(CURRENCIES)

    def source(self):
        return self.r.choice(sorted(self.h.sources))

    def fact(self, source, kind, **said):
        """One fact in a delivery of its own, or in the last one of that source."""
        made = Fact(source=source, external_id=self.next("e"), kind=kind,
                    **{"occurred_at": self.time(), **{k: v for k, v in said.items() if v is not None}})
        if not self.plain and self.chance(0.08):                     # undated, with or without a signed time
            made = Fact(**{**made.__dict__, "occurred_at": None, "signed_at": self.time() if self.chance(0.5) else None,
                           "received_at": self.time()})
        last = self.h.steps[-1] if self.h.steps else [None]
        if not self.plain and last[0] == "facts" and last[1][0].source == source and self.chance(0.1):
            last[1].append(made)
        else:
            self.h.steps.append(["facts", [made]])
        return made


def invent(seed, plain=False):
    """One history."""
    i = Inventor(seed, plain)
    fixture(i)
    policies(i)
    early = i.chance(0.3)
    if early:
        links(i)
    for maker in i.r.choices(MAKERS, weights=WEIGHTS, k=i.r.randint(2, 7)):
        maker(i)
    if not early:
        links(i)
    return i.h


def bulk(seed, events):
    """A busy month: about so many events of many customers, each paying invoices of its own, told to two sources."""
    i = Inventor(seed, plain=True)
    customers = max(40, events // 25)
    i.moments = [START + timedelta(seconds=i.r.randint(0, 30 * 86400)) for _ in range(500)]
    i.h.accounts = [[f"C-{n}", i.home] for n in range(customers)]
    i.h.sources = {"alpha": ["generic", {}], "beta": ["generic", {"bank": "second"}]}
    i.subs = [i.next("sub") for _ in range(customers // 2)]
    i.owned = {}
    for _ in range(events // 3):
        invoice(i)
    links(i)
    i.h.fixed, told = len(i.h.steps), 0
    while told < events:
        i.r.choices(MAKERS[:-1], weights=WEIGHTS[:-1])[0](i)
        told = len(i.h.steps) - i.h.fixed
    return i.h


def busy(seed, events):
    """Many facts about five invoices of two customers: what sessions fight over."""
    i = Inventor(seed)
    i.h.accounts = [["C-0", i.home], ["C-1", i.home]]
    i.h.sources = {"alpha": ["generic", {}], "beta": ["generic", {}]}
    i.subs = [i.next("sub") for _ in range(3)]
    for _ in range(5):
        invoice(i)
    policies(i)
    i.h.fixed = len(i.h.steps)
    links(i)
    while len(i.h.steps) - i.h.fixed < events:
        i.r.choices(MAKERS[:-1], weights=WEIGHTS[:-1])[0](i)
    return i.h


def fixture(i):
    for n in range(i.r.randint(1, 3)):
        i.h.accounts.append([f"C-{n}", i.home])
    for name in i.r.sample(["alpha", "beta", "gamma-2"], i.r.randint(1, 2)):
        i.h.sources[name] = ["generic", {"bank": "second"} if i.chance(0.2) else {}]
    for _ in range(i.r.randint(1, 2)):
        i.subs.append(i.next("sub"))
    for _ in range(i.r.randint(1, 4)):
        invoice(i)


def invoice(i):
    number, currency = i.next("INV-"), i.currency()
    if i.chance(0.05):
        number = number + " " + i.next("B")                          # a number with a space: the whole string first
    total = i.amount(currency)
    row = {"number": number, "account_no": i.r.choice(i.h.accounts)[0], "currency": currency, "total": format(total, "f"),
           "due_on": i.r.choice(["2025-10-15", "2025-11-01", "2025-11-01", "2025-12-01"]), "issued_on": "2025-09-30"}
    if i.chance(0.3):
        row["tax"] = format((total * Decimal("0.19")).quantize(Decimal(1).scaleb(-digits(currency))), "f")
    if i.chance(0.3):
        row["subscription_ref"] = i.r.choice(i.subs) if i.owned is None else i.subs[int(row["account_no"][2:]) // 2]
    i.numbers.append(number)
    if i.owned is not None:
        i.owned.setdefault(row["account_no"], []).append(number)
    i.h.steps.append(["invoice", row])
    if i.chance(0.05):
        i.h.steps.append(["void", number])
    elif i.chance(0.08):                                             # corrected by hand
        changes = [{"due_on": "2025-10-20"}, {"account_no": i.r.choice(i.h.accounts)[0]}]
        if "tax" not in row:
            changes.append({"total": format(i.amount(currency), "f")})
        if i.subs and i.owned is None:
            changes.append({"subscription_ref": i.r.choice([*i.subs, None])})
        i.h.steps.append(["change", number, i.r.choice(changes)])


def policies(i):
    choices = {"refund": ["reopen", "credit_note"], "allocate": ["due_date", "by_reference"], "payout_arrives": ["on_statement"],
               "suspend": ["after:2", "after:3", "grace:1 day", "grace:1000 years", "immediate"], "tolerance": ["0.05", "5", "30"],
               "time_zone": ["Pacific/Auckland", "America/New_York"]}
    for name, values in choices.items():
        if i.chance(0.3):
            i.h.steps.append(["policy", name, i.r.choice(values), None])
            if name in ("refund", "allocate", "payout_arrives") and i.chance(0.3):
                i.h.steps.append(["policy", name, {"refund": i.r.choice(values), "allocate": i.r.choice(values),
                                                   "payout_arrives": "on_paid"}[name], "2025-10-03"])


def references(i):
    """What a payer names: nothing, a list, a string, an unknown number, with or without amounts."""
    if i.chance(0.2):
        return {}
    numbers = i.numbers if i.owned is None else i.r.choice(list(i.owned.values()))
    named = i.r.sample(numbers, min(len(numbers), i.r.choice([1, 1, 1, 2, 3])))
    if i.chance(0.15):
        named.insert(i.r.randint(0, len(named)), "INV-UNKNOWN")
    if i.plain:
        return {"correlation": tuple(named)}
    if len(named) > 1 and i.chance(0.3):
        return {"correlation": (i.r.choice([", ", " ", ";", "|", "; "]).join(named),)}
    if i.chance(0.2):
        return {"correlation": tuple(named), "correlation_amounts": tuple(i.amount(i.home) for _ in named)}
    return {"correlation": tuple(named)}


def payer(i):
    """Whose it is, beside the references."""
    return {"account_ref": i.r.choice(["cus_1", "cus_2"]) if i.chance(0.3) else None,
            "subscription_ref": i.r.choice(i.subs) if i.chance(0.25) else None}


def fee(i, currency):
    if not i.chance(0.3):
        return {}
    said = {"fee": Decimal(0) if i.chance(0.1) else i.amount(currency) / 10}
    other = i.r.choice(CURRENCIES) if not i.plain and i.chance(0.2) else None
    said["fee"] = said["fee"].quantize(Decimal(1).scaleb(-digits(other or currency)))
    return {**said, "fee_currency": other}


def payment(i):
    """A payment of one or several captures, which may fail late, come back, be told twice, or never succeed."""
    source, ref, named, who = i.source(), i.next("p"), references(i), payer(i)
    currency = i.currency_of(named)
    i.payments.append((source, ref, currency))
    captures = [ref] if i.chance(0.75) else [i.next("cap") for _ in range(i.r.randint(1, 3))]
    if len(captures) > 1:
        named.pop("correlation_amounts", None)
    for cap in captures:
        amount = i.near(named, currency)
        same = {"object_ref": cap, "payment_ref": ref, "amount": amount, "currency": currency}
        if i.chance(0.15):
            i.fact(source, "payment.pending", **same, **(named if i.chance(0.5) else {}))
        if i.chance(0.1):
            i.fact(source, "payment.failed", **same, **who)
            if i.chance(0.3):
                continue
        i.fact(source, "payment.succeeded", **same, **named, **who, **fee(i, currency))
        if i.chance(0.15):                                           # the same fact from another event type, fee adjusted
            i.fact(source, "payment.succeeded", **same, **fee(i, currency))
        if i.chance(0.06):                                           # one that says something else
            i.fact(source, "payment.succeeded", **{**same, "amount": i.amount(currency)})
        if cap != ref and not i.plain and i.chance(0.1):             # one that says another payment
            i.fact(source, "payment.succeeded", **{**same, "payment_ref": some_payment(i)[1]})
        if i.chance(0.15):
            i.fact(source, i.r.choice(["payment.reversed", "payment.failed"]), **same)
            if i.chance(0.3):
                i.fact(source, "payment.succeeded", **same)          # captured again
    if i.chance(0.1):
        i.fact(source, "payment.linked", object_ref=i.next("l"), payment_ref=ref, **references(i))
    if i.chance(0.1):
        i.fact(source, "payment.reversed", object_ref=i.next("rev"), payment_ref=ref, amount=i.amount(currency), currency=currency)


def some_payment(i):
    if not i.payments or i.chance(0.08):
        return i.source(), i.next("p-unknown"), i.currency()
    return i.r.choice(i.payments)


def refund(i):
    source, ref, currency = some_payment(i)
    if i.chance(0.06):
        currency = i.r.choice(CURRENCIES)
    same = {"object_ref": i.next("r"), "payment_ref": ref, "amount": i.amount(currency), "currency": currency}
    states = i.r.choice([["succeeded"], ["succeeded"], ["succeeded"], ["failed"], ["succeeded", "failed"],
                         ["succeeded", "succeeded"], ["succeeded", "failed", "succeeded"]])
    for n, state in enumerate(states):
        told = dict(same)
        if n and not i.plain and i.chance(0.15):                     # does not say of which payment, or says another
            told["payment_ref"] = None if i.chance(0.5) else some_payment(i)[1]
        i.fact(source, f"refund.{state}", **told, **(fee(i, currency) if state == "succeeded" else {}))


def cumulative_refund(i):
    source, ref, currency = some_payment(i)
    for _ in range(i.r.randint(1, 2)):
        i.fact(source, "refund.total", object_ref=ref, payment_ref=ref, amount=i.amount(currency), currency=currency)


def dispute(i):
    source, ref, currency = some_payment(i)
    same = {"object_ref": i.next("d"), "payment_ref": ref, "amount": i.amount(currency), "currency": currency}
    i.fact(source, "dispute.opened", **same)
    if i.chance(0.8):
        i.fact(source, "dispute.withdrawn", **same, **fee(i, currency))
    if i.chance(0.4):
        i.fact(source, "dispute.reinstated", **same)
    if i.chance(0.2):
        i.fact(source, "dispute.withdrawn", **{**same, "object_ref": i.next("e")})
    i.fact(source, "dispute.closed", **same)


def payout(i):
    source, currency = i.source(), i.currency()
    amount = i.amount(currency) * (-1 if i.chance(0.15) else 1)
    same = {"object_ref": i.next("po"), "amount": amount, "currency": currency}
    for state in i.r.choice([["scheduled"], ["paid"], ["scheduled", "paid"], ["paid", "failed"], ["failed", "paid"],
                             ["scheduled", "failed"]]):
        i.fact(source, f"payout.{state}", **same, value_date=i.r.choice([None, "2025-10-12"]),
               **(fee(i, currency) if state == "paid" else {}))


def bank(i):
    source, currency = i.source(), i.currency()
    kind = "credit" if i.chance(0.75) else "debit"
    # Far from every payout's day: a line that looks like a payout is matched with it, which is not the model's but report_order.t's.
    same = {"object_ref": i.next("bk"), "amount": i.amount(currency), "currency": currency, "value_date": "2025-08-10"}
    named = references(i) if kind == "credit" else {}
    i.fact(source, f"bank.{kind}", **same, **named, account_ref=i.r.choice(["cus_1", None, None]))
    if i.chance(0.2):
        i.fact(source, "bank.reversed", **same)


def conversion(i):
    if i.plain:
        return
    currency, other = i.currency(), i.r.choice(CURRENCIES)
    i.fact(i.source(), "conversion", object_ref=i.next("fx"), amount=i.amount(currency), currency=currency,
           to_amount=i.amount(other), to_currency=other)


def subscription(i):
    source, sub = i.source(), i.r.choice(i.subs)
    for attempt in i.r.choice([[1], [1, 1], [1, 2], [1, 2, 2], [1, 2, 3]]):
        i.fact(source, "subscription.payment_failed", object_ref=f"in_{sub}", subscription_ref=sub, amount=i.amount(i.home),
               currency=i.home, attempt=f"in_{sub}:{attempt}" if not i.plain and i.chance(0.7) else None, **references_of(i, sub))
    if i.chance(0.4):
        i.fact(source, "subscription.recovered", object_ref=sub, subscription_ref=sub)
    if i.chance(0.2):
        i.fact(source, "subscription.cancelled", object_ref=sub, subscription_ref=sub)


def references_of(i, sub):
    named = [s[1]["number"] for s in i.h.steps if s[0] == "invoice" and s[1].get("subscription_ref") == sub and " " not in s[1]["number"]]
    return {"correlation": tuple(named[:1])} if named and i.chance(0.5) else {}


def links(i):
    """Customers and subscriptions become known, before or after what names them."""
    for source in i.h.sources:
        for external in ["cus_1", "cus_2", *i.subs]:
            if i.chance(0.25):
                i.h.steps.append(["link", source, external, i.r.choice(i.h.accounts)[0]])


MAKERS = [payment, refund, cumulative_refund, dispute, payout, bank, conversion, subscription, invoice]
WEIGHTS = [8, 5, 1, 2, 2, 2, 1, 2, 2]
