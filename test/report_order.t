#!/usr/bin/env python3
"""Any order of events and statement imports ends in the same report and the same ledger.

Each round makes one company per permutation, plays the same facts into all of them in random order (some twice), and compares
reconciliation, cash, its proof and forecast, matches, lines and ledger as text. The first round plays the files and stories of
test/data/statements, the others invent theirs. REPORT_ORDER_SEED (1, so that the gate is the
same for all) makes another run, REPORT_ORDER_ROUNDS and REPORT_ORDER_PERMUTATIONS a longer one.
"""
import json
import os
import random
import subprocess
import sys

SEED = int(os.environ.get("REPORT_ORDER_SEED", "1"))
ROUNDS = int(os.environ.get("REPORT_ORDER_ROUNDS", "3"))
PERMUTATIONS = int(os.environ.get("REPORT_ORDER_PERMUTATIONS", "6"))
REPORT = """
SELECT 'rec', item, source, payout_ref, line_ref, currency, value_date, booked_on, provider_says, ledger_says, bank_says, state, difference, matched_by, equation
  FROM reconciliation('{c}', '2025-10-01', '2025-11-30') ORDER BY 2, 3, 4, 5, 6, 12;
SELECT 'ledger', ledger_account, b.currency, trim_scale(balance) FROM ledger_balance b JOIN company c USING (company_id) WHERE c.name = '{c}' ORDER BY 2, 3;
SELECT 'cash', p.* FROM cash_position('{c}') p; SELECT 'proof', p.* FROM cash_proof('{c}') p; SELECT 'roll', r.* FROM clearing_rollforward('{c}', '2025-10-01', '2025-10-31') r;
SELECT 'to come', i.* FROM forecast_items('{c}', 60) i; SELECT 'owed', a.* FROM receivables_proof('{c}') a;
SELECT 'line', l.object_ref, l.amount, l.reference, l.counterparty, l.end_to_end_id, l.value_date FROM bank_line l JOIN company c USING (company_id) WHERE c.name = '{c}' ORDER BY 2;
SELECT 'match', m.line_ref, m.payout_ref, m.currency, m.amount, m.shape FROM bank_match m JOIN company c USING (company_id) WHERE c.name = '{c}' ORDER BY 2, 3, 4;
SELECT 'again', settle_again('{c}');
"""


def psql(script):
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], input=script, text=True, capture_output=True)
    if done.returncode:
        print("Bail out! " + done.stderr.splitlines()[0] + f" (seed {SEED})")
        print("\n".join("# " + l for l in done.stderr.splitlines()), file=sys.stderr)
        sys.exit(1)
    return done.stdout


def quoted(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


class Invention:
    """A month of payouts, bank webhooks and bank files that overlap, repeat and contradict each other a little."""

    def __init__(self, rng):
        self.rng = rng
        self.ops = []
        self.lines = []
        self.events = 0
        for number in range(rng.randrange(3, 9)):
            self.payout(f"po_{number}X")
        for number in range(rng.randrange(1, 5)):
            self.bank_webhook(number)
        for number in range(rng.randrange(1, 4)):
            self.line(rng.choice([10, 20, 30]), rng.randrange(1, 29), rng.choice([None, "rent", "INV-1"]))
        self.files()

    def fact(self, source, kind, ref, amount, day, at, currency="EUR", bank_ref=None, id_=None):
        self.events += 1
        self.ops.append(
            "INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, amount, currency, value_date, bank_ref, end_to_end_id)"
            f" SELECT s.company_id, s.source_id, 'e{self.events}', {quoted(kind)}, 'applied', '2025-10-{at:02}T00:00:00Z', now(), {quoted(ref)}, {amount}, {quoted(currency)},"
            f" {quoted(f'2025-10-{day:02}' if day else None)}, {quoted(bank_ref)}, {quoted(id_)}"
            f" FROM source s JOIN company c USING (company_id) WHERE c.name = '{{c}}' AND s.name = {quoted(source)} ON CONFLICT DO NOTHING")

    def payout(self, ref):
        rng = self.rng
        source, amount, day = rng.choice(["shop", "card"]), rng.choice([10, 20, 30, 30, 45]), rng.randrange(3, 26)
        currency = rng.choice(["EUR", "EUR", "EUR", "CHF"])
        if rng.random() < 0.5:
            self.fact(source, "payout.scheduled", ref, amount, day, day - 2, currency)
        if rng.random() < 0.9:
            self.fact(source, "payout.paid", ref, amount, day, day - 1, currency)
        if rng.random() < 0.2:
            self.fact(source, "payout.failed", ref, amount, day, day, currency)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            self.line(amount + rng.choice([0, 0, 0, -1]), min(28, day + rng.randrange(0, 3)), rng.choice([None, None, f"PAYOUT {ref}"]), currency)

    def bank_webhook(self, number):
        rng = self.rng
        amount, day = rng.choice([10, 20, 30]), rng.randrange(2, 28)
        bank_ref, id_ = rng.choice([(None, None), (f"W{number}", None), (None, f"E2E{number}")])
        self.fact("bank", "bank.credit", f"bk{number}", amount, rng.choice([day, day, None]), day, bank_ref=bank_ref, id_=id_)
        if rng.random() < 0.7:
            self.line(amount, day, None, bank_ref=bank_ref, id_=id_)

    def line(self, amount, day, reference, currency="EUR", bank_ref=None, id_=None):
        self.lines.append((f"2025-10-{day:02}", f"{amount}.00", currency, reference or "", self.rng.choice(["", "PAYER"]),
                           bank_ref or self.rng.choice(["", f"K{len(self.lines)}"]), id_ or ""))

    def files(self):
        """Two files that overlap, and one that knows some entries less well."""
        self.lines.sort()
        cut = self.rng.randrange(len(self.lines) + 1) if self.lines else 0
        back = max(0, cut - 3)
        for part in (self.lines[:cut], self.lines[back:], [l[:3] + ("", l[4]) + l[5:] for l in self.lines[:2] if l[5]]):
            if part:
                text = "\\n".join(",".join(("X",) + l[:1] + l) for l in part)
                self.ops.append("SELECT count(import_statement('{c}', 'csv', convert_to(E'account,booking_date,value_date,amount,currency,reference,counterparty,bank_ref,end_to_end_id\\n"
                                + text.replace("'", "''") + "', 'UTF8')))")


class Truth:
    """The bank files of test/data/statements and the facts of the stories they name."""

    def __init__(self, rng):
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "statements")
        self.ops = []
        with open(os.path.join(folder, "statements.jsonl"), encoding="utf-8") as f:
            for said in map(json.loads, f):
                with open(os.path.join(folder, said["file"]), "rb") as content:
                    self.ops.append(f"SELECT count(import_statement('{{c}}', {quoted(said['format'])}, '\\x{content.read().hex()}'))")
        self.events = 0
        for fact in (("shop", "payment.succeeded", "p1", "150.00"), ("shop", "payment.succeeded", "p2", "99.99"), ("shop", "refund.succeeded", "r1", "20.00"),
                     ("shop", "payout.scheduled", "po_K1", "225.79", 13), ("shop", "payout.paid", "po_K1", "225.79", 13), ("card", "payment.succeeded", "pi_u3", "50.00"),
                     ("card", "payout.paid", "po_u3", "50.00", 12), ("card", "payout.failed", "po_u3", "50.00", 12), ("bank", "bank.credit", "bk1", "75.25")):
            Invention.fact(self, *fact[:4], fact[4] if len(fact) > 4 else None, 9 + (fact[1] == "payout.failed"))


def play(company, ops, policies):
    head = [f"INSERT INTO company (name, currency) VALUES ('{company}', 'EUR')",
            f"INSERT INTO source (company_id, name, provider) SELECT company_id, n, 'generic' FROM company, unnest('{{shop,card,bank}}'::text[]) n WHERE company.name = '{company}'"]
    head += [f"SELECT set_policy('{company}', '{policy}', '{value}')" for policy, value in policies]
    return ";\n".join(head + [op.replace("{c}", company) for op in ops]) + ";\n"


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    psql("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS erp_webhook;")
    prefix = "SET search_path = erp_webhook, public; SET client_min_messages = warning; SET erp_webhook.clock = '2025-12-01T00:00:00Z';\n"
    for round_ in range(ROUNDS + 1):
        invention = Invention(rng) if round_ else Truth(rng)
        policies = rng.choice([[], [("payout_arrives", "on_statement")], [("payout_arrives", "on_statement"), ("statement", "post")]])
        reports = []
        for permutation in range(PERMUTATIONS):
            company = f"order {SEED} {round_} {permutation}"
            ops = list(invention.ops)
            if permutation:
                rng.shuffle(ops)
                ops += rng.sample(ops, len(ops) // 4)
            psql(prefix + "\\o /dev/null\n" + play(company, ops, policies))
            reports.append(psql(prefix + REPORT.replace("{c}", company)))
        same = [r == reports[0] for r in reports] and all(r == reports[0] for r in reports)
        quiet = all("again|0" in r for r in reports)
        print(f"{'ok' if same else 'not ok'} {2 * round_ + 1} - {PERMUTATIONS} orders of {len(invention.ops)} facts and files, {policies or 'default policies'}: one report")
        if not same:
            other = next(r for r in reports if r != reports[0])
            for l in sorted(set(reports[0].splitlines()) ^ set(other.splitlines())):
                print(("# < " if l in reports[0].splitlines() else "# > ") + l)
        print(f"{'ok' if quiet else 'not ok'} {2 * round_ + 2} - settling again posts nothing")
    print(f"1..{2 * (ROUNDS + 1)}")


main()
