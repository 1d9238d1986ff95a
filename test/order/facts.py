"""What the model computes from: facts, and the company they meet. No rule of settlement lives here.

Amounts are decimal.Decimal made from text, times are aware datetimes, text compares as in collation C
(Python compares code points, UTF-8 keeps their order).
"""
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

DIGITS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}
UTC = timezone.utc


def digits(currency):
    """Decimal places of a currency."""
    return DIGITS.get(currency, 2)


def instant(text):
    """An aware datetime of an ISO text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text else None


@dataclass(frozen=True)
class Fact:
    """One canonical event: a row of erp_webhook.event."""
    source: str
    external_id: str
    kind: str
    object_ref: str = None
    payment_ref: str = None
    account_ref: str = None
    subscription_ref: str = None
    correlation: tuple = ()
    correlation_amounts: tuple = None
    amount: Decimal = None
    currency: str = None
    fee: Decimal = None
    fee_currency: str = None
    to_amount: Decimal = None
    to_currency: str = None
    occurred_at: str = None
    signed_at: str = None
    received_at: str = "2025-10-20T12:00:00Z"
    value_date: str = None
    attempt: str = None
    payout_ref: str = None
    state: str = "applied"
    reason: str = None

    @property
    def when(self):
        """SETTLEMENT 1.4: an undated fact takes its signed time, else received_at, and sorts after all dated ones."""
        return self.occurred_at is None, instant(self.occurred_at or self.signed_at or self.received_at)

    @property
    def second(self):
        """SETTLEMENT 1.4: decisions between states compare whole seconds."""
        undated, time = self.when
        return undated, time.replace(microsecond=0)

    @property
    def order(self):
        """SETTLEMENT 1.2: the order in which what facts mention is read."""
        return (*self.when, self.external_id)

    def to_json(self):
        """Only what is set, amounts as text."""
        out = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None or value == f.default:
                continue
            out[f.name] = plain(value)
        return out

    @classmethod
    def from_json(cls, row):
        row = dict(row)
        for name in ("amount", "fee", "to_amount"):
            if row.get(name) is not None:
                row[name] = Decimal(row[name])
        row["correlation"] = tuple(row.get("correlation") or ())
        if row.get("correlation_amounts") is not None:
            row["correlation_amounts"] = tuple(None if a is None else Decimal(a) for a in row["correlation_amounts"])
        return cls(**row)


def plain(value):
    """A value as JSON carries it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


@dataclass(frozen=True)
class Invoice:
    number: str
    account_no: str
    currency: str
    total: Decimal
    due_on: str
    tax: Decimal = Decimal(0)
    issued_on: str = None
    subscription_ref: str = None
    void: bool = False

    def to_json(self):
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) not in (None, False)}

    @classmethod
    def from_json(cls, row):
        row = {k: v for k, v in row.items() if v is not None}
        row["total"], row["tax"] = Decimal(row["total"]), Decimal(row.get("tax", "0"))
        return cls(**row)


@dataclass
class Company:
    """Everything that is not a fact of a provider: what the ERP and its people put there."""
    currency: str = "EUR"
    accounts: dict = field(default_factory=dict)        # account_no → currency
    sources: dict = field(default_factory=dict)         # name → settings
    invoices: dict = field(default_factory=dict)        # number → Invoice
    links: dict = field(default_factory=dict)           # (source, external_ref) → account_no
    policies: list = field(default_factory=list)        # (policy, value, valid_from or None)

    def policy(self, name, day):
        """SETTLEMENT 5.2: the first value holds from the beginning, a later one from its day."""
        rows = sorted(((since or "", value) for policy, value, since in self.policies if policy == name))
        if not rows:
            return DEFAULTS.get(name)
        held = [value for since, value in rows if since <= day]
        return held[-1] if held else rows[0][1]

    def day(self, when):
        """SETTLEMENT 5.1: the day of an instant in the company's time zone."""
        zone = next((value for policy, value, _ in self.policies if policy == "time_zone"), "UTC")
        return when[1].astimezone(ZoneInfo(zone)).date().isoformat()


DEFAULTS = {"refund": "credit_note", "allocate": "by_reference", "payout_arrives": "on_paid", "statement": "evidence",
            "suspend": "immediate", "tolerance": "0"}
