"""A history: a company's fixture and steps that may happen in any order. A story of stories.jsonl is one; invented ones too.

A step is ["facts", [fact …]] (one delivery), ["invoice", {…}], ["link", source, external_ref, account_no],
["policy", name, value, valid_from], ["void", number], ["change", number, {column: value}].
"""
import json
from dataclasses import dataclass, field, replace
from decimal import Decimal

from .books import books, text
from .facts import Company, Fact, Invoice


@dataclass
class History:
    name: str
    currency: str = "EUR"
    accounts: list = field(default_factory=list)       # [account_no, currency]
    sources: dict = field(default_factory=dict)        # name → [provider, settings]
    steps: list = field(default_factory=list)
    bodies: dict = field(default_factory=dict)         # step index → (source, headers, body), for the way through ingest
    expect: dict = None
    fixed: int = 0                                     # so many first steps are the fixture

    def company(self):
        """The company after all steps."""
        made = Company(self.currency, {no: cur for no, cur in self.accounts}, {s: set_ for s, (_, set_) in self.sources.items()})
        for step in self.steps:
            if step[0] == "invoice":
                made.invoices[step[1]["number"]] = Invoice.from_json(step[1])
            elif step[0] == "link":
                made.links[step[1], step[2]] = step[3]
            elif step[0] == "policy":
                made.policies.append(tuple(step[1:4]))
        for step in self.steps:
            if step[0] == "change":
                row = {**made.invoices[step[1]].to_json(), **step[2]}
                made.invoices[step[1]] = Invoice.from_json(row)
        for step in self.steps:
            if step[0] == "void":
                made.invoices[step[1]] = replace(made.invoices[step[1]], void=True)
        return made

    def facts(self):
        return [f for step in self.steps if step[0] == "facts" for f in step[1]]

    def books(self):
        return books(self.company(), self.facts())

    def to_json(self):
        """A reproducible case, one step a line."""
        rows = [["facts", [f.to_json() for f in s[1]]] if s[0] == "facts" else s for s in self.steps]
        lines = ",\n  ".join(json.dumps(r) for r in rows)
        return (f'{{"name": {json.dumps(self.name)}, "currency": "{self.currency}", "accounts": {json.dumps(self.accounts)},\n'
                f' "sources": {json.dumps(self.sources)},\n "steps": [\n  {lines}]}}')

    @classmethod
    def from_json(cls, source):
        row = json.loads(source)
        row["steps"] = [["facts", [Fact.from_json(f) for f in s[1]]] if s[0] == "facts" else s for s in row["steps"]]
        return cls(**row)


def stories(path):
    """The stories of stories.jsonl as histories."""
    with open(path, encoding="utf-8") as lines:
        return [story(json.loads(line)) for line in lines]


def story(row):
    fixture = row["fixture"]
    history = History(row["name"], fixture["currency"], [[a["account_no"], a["currency"]] for a in fixture["accounts"]],
                      expect=row["expect"])
    history.steps += [["invoice", i] for i in fixture.get("invoices", [])]
    history.steps += [["policy", k, v, None] for k, v in fixture.get("policy", {}).items()]
    history.fixed = len(history.steps)
    for d in row["deliveries"]:
        if d.get("action") == "issue_invoice":
            history.steps.append(["invoice", d["invoice"]])
            continue
        settings = fixture.get("source_settings", {})
        history.sources[d["provider"]] = [d["provider"], settings]
        history.bodies[len(history.steps)] = (d["provider"], d["headers"], d["body"])
        history.steps.append(["facts", [story_fact(d["provider"], f) for f in d["facts"]]])
    return history


def story_fact(source, f):
    """The short names of stories.jsonl."""
    state = "quarantined" if "bad" in f else "no_effect" if f["kind"] == "other" else "applied"
    return Fact.from_json({
        "source": source, "external_id": f["ext"], "kind": f["kind"], "object_ref": f.get("obj"), "payment_ref": f.get("pay"),
        "subscription_ref": f.get("sub"), "correlation": f.get("corr"), "amount": f.get("amt"), "currency": f.get("cur"),
        "fee": f.get("fee"), "occurred_at": f.get("at"), "state": state, "reason": f.get("bad"),
        "attempt": f["obj"] if f["kind"] == "subscription.payment_failed" else None})


def expected(history):
    """A story's expect in the words of books(): what is said there, nothing more."""
    e, home = history.expect, history.currency
    number = lambda v: text(Decimal(v))
    return {
        "ledger": {a if "@" in a else f"{a}@{home}": number(v) for a, v in e["ledger"].items()},
        "invoices": {n: {"paid": number(i["paid"]), "credited": number(i["credited"]), "state": i["state"]}
                     for n, i in e["invoices"].items()},
        "accounts": {f"{a}@{home}": number(v["balance"]) for a, v in e["accounts"].items()},
        "suspended": sorted(a for a, v in e["accounts"].items() if v["state"] == "suspended"),
        "payments": {f"{ref}@{p['currency']}": {k: number(v) for k, v in p.items() if k != "currency"}
                     for ref, p in e["payments"].items()},
        "payouts": e.get("payouts", {}),
        "exceptions": sorted((x["state"], x.get("payment_ref") or x.get("external_id")) for x in e["exceptions"]),
    }


def narrowed(result, wanted, home):
    """A result of books() or of the extension in the shape of expected(), to be compared with it."""
    rid = lambda ref: ref.split("/", 1)[1].split("@")[0]
    accounts = {a: "0" for a in wanted["accounts"]}
    accounts.update({a: v for a, v in result["accounts"].items() if a.endswith("@" + home)})
    return {
        "ledger": result["ledger"], "accounts": accounts, "suspended": result["suspended"],
        "invoices": {n: {k: i[k] for k in ("paid", "credited", "state")} for n, i in result["invoices"].items()},
        "payments": {ref: {k: v for k, v in p.items() if v != "0" or k in wanted["payments"].get(ref, {})}
                     for ref, p in result["payments"].items()},
        "payouts": {rid(ref): state for ref, state in result["payouts"].items()},
        "exceptions": sorted((kind, about) for kind, _, about in result["exceptions"]),
    }
