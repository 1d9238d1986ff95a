#!/usr/bin/env python3
"""A month of a company, sent and imported as it would be, and every figure of its reports computed a second time here.

Signed webhooks through ingest(), bank files in CAMT.053 and MT940 through import_statement(), decisions by hand; then clearing, bank,
receivable, ageing, payout equations and forecast are held against sums this program makes on its own, in exact decimals.
REPORT_KEEP=DIR keeps the page there; REPORT_MONTH_SEED repeats a run.
"""
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal as D

SEED = int(os.environ.get("REPORT_MONTH_SEED", "1"))
RNG = random.Random(SEED)
TODAY = date(2025, 10, 31)
COMPANY = "Noordzee Koffie B.V."
DATABASE = "ewh_month"
NAMES = ["Bakkerij Smit", "Café De Kade", "Hotel Zeezicht", "Müller & Söhne GmbH", "Boulangerie Écluse", "Kiosk Centraal",
         "O'Brien Roasters", "Strandpaviljoen 7", "Universiteit Leiden", "Acme Inc.", "Blue Door LLC", "Visser Catering"]
CENT = D("0.01")


def cents(x):
    return D(x).quantize(CENT, ROUND_HALF_UP)


def text(s):
    return "NULL" if s is None else "'" + str(s).replace("'", "''") + "'"


class Month:
    """What happens, day by day: SQL to make it so, and the sums it must come to."""

    def __init__(self):
        self.sql, self.events = [], 0
        self.moves = []                                         # (day, source, currency, kind, amount) of clearing
        self.invoices, self.opened = {}, []                     # number → (account, currency, total, due_on); (day, number, what it adds to its due)
        self.held = defaultdict(list)                           # (source, currency) → movements not yet paid out
        self.lines = defaultdict(list)                          # account → bank lines
        self.states, self.equations = {}, {}                    # payout → (state, amount, value date, currency, source); its equation
        self.disputed = defaultdict(D)

    def tell(self, source, kind, at, **data):
        self.events += 1
        body = json.dumps({"type": kind, "timestamp": at.isoformat() + "Z", "data": data})
        self.sql.append((at, f"SELECT pg_temp.send({text(source)}, 'evt_{self.events:04}', {text(body)}, {text(at.isoformat() + 'Z')})"))

    def moment(self, day):
        return datetime(day.year, day.month, day.day, RNG.randrange(8, 20), RNG.randrange(60), RNG.randrange(60))

    def pay(self, source, number, amount, day, share=True):
        account, currency, _, _ = self.invoices[number]
        ref, fee = f"pay_{self.events + 1:04}", cents(amount * D("0.014") + D("0.25"))
        payout = f"po_{source}_{next_payout(day):%m%d}" if share and source == "web" else None
        self.tell(source, "payment.succeeded", self.moment(day), id=ref, payment_id=ref, amount=str(amount), currency=currency, fee=str(fee),
                  invoice_number=number, payout_id=payout)
        self.move(day, source, currency, captured=amount, fees=-fee)
        self.held[source, currency].append((day, "gross", amount))
        self.held[source, currency].append((day, "fees", fee))
        self.opened.append((day, number, -amount))
        return ref, payout, day

    def take_back(self, source, kind, payment, amount, day, number, column, currency="EUR", fee=None):
        ref, payout, _ = payment
        payout = f"po_{source}_{next_payout(day):%m%d}" if payout else None
        self.tell(source, kind, self.moment(day), id=f"{kind.split('.')[0]}_{self.events + 1:04}", payment_id=ref, amount=str(amount), currency=currency,
                  fee=fee and str(fee), payout_id=payout)
        sign = D(1) if kind == "dispute.reinstated" else D(-1)
        self.move(day, source, currency, **{column: sign * amount, "fees": -(fee or D(0))})
        self.held[source, currency].append((day, column, -sign * amount))
        if fee:
            self.held[source, currency].append((day, "fees", fee))
        if column == "disputes":
            self.opened.append((day, number, -sign * amount))

    def move(self, day, source, currency, **amounts):
        self.moves += [(day, source, currency, kind, amount) for kind, amount in amounts.items()]

    def payout(self, source, currency, day, state="paid"):
        """Everything held at the end of the day before the payout's own; the bank has it a day later."""
        key = (source, currency)
        ref = f"po_{source}_{day:%m%d}"
        parts = defaultdict(D)
        for d, kind, amount in self.held[key]:
            if d < day:
                parts[kind] += amount
        self.held[key] = [h for h in self.held[key] if h[0] >= day]
        amount = parts["gross"] - parts["fees"] - parts["refunds"] - parts["disputes"]
        if amount == 0:
            return None
        value = workday(day + timedelta(1))
        at = datetime(day.year, day.month, day.day, 6, 30)
        self.tell(source, "payout.scheduled", at - timedelta(hours=5), id=ref, amount=str(amount), currency=currency, value_date=str(value))
        if state != "scheduled":
            self.tell(source, "payout.paid", at, id=ref, amount=str(amount), currency=currency, value_date=str(value))
            self.move(day, source, currency, payouts=-amount)
        if source == "web":
            self.equations[ref] = tuple(parts[k] for k in ("gross", "fees", "refunds", "disputes")) + (D(0), amount)
        return ref, amount, value

    def line(self, account, day, amount, who, reference, e2e=None, valued=None):
        self.lines[account].append((day, valued or day, cents(amount), who, reference, e2e, f"{account[-3:]}-{len(self.lines[account]) + 1:04}"))


def workday(day):
    while day.weekday() > 4:
        day += timedelta(1)
    return day


def next_payout(day):
    """Payouts are made on Tuesdays and Fridays, of everything up to the evening before."""
    day += timedelta(1)
    while day.weekday() not in (1, 4):
        day += timedelta(1)
    return day


def invent(month):
    """Three months of trade; October is the one reported on."""
    day, waiting = date(2025, 8, 1), []
    while day <= TODAY:
        for n, name in enumerate(NAMES, 1):
            usd = name.endswith(("Inc.", "LLC"))
            if RNG.random() < (0.04 if usd else 0.07) and day.weekday() < 5:
                bill(month, waiting, f"C{n:03}", "USD" if usd else "EUR", cents(RNG.randrange(2500, 240000) / D(100)), day)
        for due in [w for w in waiting if w[0] == day]:
            due[1](day)
        settle_up(month, day)
        day += timedelta(1)


def bill(month, waiting, account, currency, total, day):
    number = f"INV-{len(month.invoices) + 1:04}"
    month.invoices[number] = (account, currency, total, day + timedelta(14))
    month.opened.append((day, number, total))
    month.sql.append((datetime(day.year, day.month, day.day), "INSERT INTO invoice (company_id, number, account_id, currency, total, issued_on, due_on)"
                      f" SELECT company_id, '{number}', account_id, '{currency}', {total}, '{day}', '{day + timedelta(14)}' FROM account WHERE account_no = '{account}'"))
    way = "us" if currency == "USD" else RNG.choice(["web", "web", "web", "app", "bank", "never"])
    later = day + timedelta(RNG.randrange(2, 26))
    amount = total if RNG.random() < 0.9 else cents(total / 3)
    if way == "bank":
        waiting.append((workday(later), lambda d: transfer(month, number, amount, d)))
    elif way != "never":
        waiting.append((later, lambda d: collect(month, way, number, amount, d)))


def transfer(month, number, amount, day):
    account = month.invoices[number][0]
    month.line("NL02KADE0123456789", day, amount, NAMES[int(account[1:]) - 1], number)
    month.opened.append((day, number, -amount))


def collect(month, way, number, amount, day):
    payment = month.pay(way, number, amount, day)
    chance = RNG.random() if day + timedelta(2) <= TODAY else 1
    if way == "web" and chance < 0.08 and amount > 40:
        month.take_back(way, "refund.succeeded", payment, cents(amount / 4), day + timedelta(1), number, "refunds")
    elif way == "web" and chance < 0.16:
        month.take_back(way, "dispute.withdrawn", payment, amount, day + timedelta(1), number, "disputes", fee=D("15.00"))
        month.disputed[number] += amount
        if chance < 0.12:
            month.take_back(way, "dispute.reinstated", payment, amount, day + timedelta(2), number, "disputes")
            month.disputed[number] -= amount


SPECIAL = {("web", date(2025, 10, 14)): "under", ("app", date(2025, 10, 17)): "duplicate", ("web", date(2025, 10, 21)): "missing_at_bank",
           ("us", date(2025, 10, 10)): "failed"}


def settle_up(month, day):
    """The payouts of a day, and what the bank makes of them."""
    for source, currency, account in (("web", "EUR", "NL02KADE0123456789"), ("app", "EUR", "NL02KADE0123456789"), ("us", "USD", "US64SVBKUS6S330")):
        if day.weekday() != 4 and (day.weekday() != 1 or source != "web"):
            continue
        made = month.payout(source, currency, day)
        if not made:
            continue
        ref, amount, value = made
        special = SPECIAL.get((source, day))
        month.states[ref] = (special or ("in_transit" if value > TODAY else "matched"), amount, value, currency, source)
        if special == "missing_at_bank" or value > TODAY:
            continue
        shown = amount - D("1.50") if special == "under" else amount
        for _ in range(2 if special == "duplicate" else 1):
            month.line(account, value, shown, "PAYPROV PAYMENTS EUROPE", f"PAYOUT {ref}", ref)
        if special == "failed":
            back = value + timedelta(1)
            month.line(account, workday(back), -amount, "PAYPROV PAYMENTS EUROPE", f"RETURN {ref} ACCOUNT CLOSED", ref)
            month.tell(source, "payout.failed", month.moment(back), id=ref, amount=str(amount), currency=currency)
            month.move(back, source, currency, payouts=amount)
            month.held[source, currency].append((back, "gross", amount))
    if day.day == 1:
        month.line("NL02KADE0123456789", workday(day), D("-2400.00"), "Havenbedrijf", f"Rent {day:%B}")
    if (day + timedelta(1)).day == 1:
        month.line("NL02KADE0123456789", day, D("-12.50"), None, "Account fee")


def camt053(month, account, first, last, opening, name):
    inside = [l for l in month.lines[account] if first <= l[0] <= last]
    entries = "".join(
        f'<Ntry><Amt Ccy="EUR">{abs(amount)}</Amt><CdtDbtInd>{"CRDT" if amount > 0 else "DBIT"}</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>{day}</Dt></BookgDt>'
        f"<ValDt><Dt>{valued}</Dt></ValDt><AcctSvcrRef>{ref}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{e2e or 'NOTPROVIDED'}</EndToEndId></Refs><RltdPties>"
        + (f"<{'Dbtr' if amount > 0 else 'Cdtr'}><Nm>{who.replace('&', '&amp;')}</Nm></{'Dbtr' if amount > 0 else 'Cdtr'}>" if who else "")
        + f"</RltdPties><RmtInf><Ustrd>{words}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        for day, valued, amount, who, words, e2e, ref in inside)
    closing = opening + sum((l[2] for l in inside), D(0))
    balance = "".join(f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{abs(b)}</Amt><CdtDbtInd>{"CRDT" if b >= 0 else "DBIT"}</CdtDbtInd>'
                      f"<Dt><Dt>{day}</Dt></Dt></Bal>" for code, b, day in (("OPBD", opening, first), ("CLBD", closing, last)))
    return closing, ("camt.053", f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>{name}</Id>'
                     f"<CreDtTm>{last}T18:00:00</CreDtTm><Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy></Acct>{balance}{entries}</Stmt></BkToCstmrStmt></Document>")


def mt940(month, account, first, last, opening, name):
    def mark(amount):
        return "C" if amount >= 0 else "D"

    def comma(amount):
        return str(abs(amount)).replace(".", ",")
    inside = [l for l in month.lines[account] if first <= l[0] <= last]
    closing = opening + sum((l[2] for l in inside), D(0))
    said = "".join(f":61:{valued:%y%m%d}{day:%m%d}{mark(amount)}{comma(amount)}NTRF{e2e or 'NONREF'}//{ref}\r\n:86:/EREF/{e2e or ''}/NAME/{who or ''}/REMI/{words}/\r\n"
                   for day, valued, amount, who, words, e2e, ref in inside)
    return closing, ("mt940", f":20:{name}\r\n:25:{account}\r\n:28C:1/1\r\n:60F:{mark(opening)}{first:%y%m%d}USD{comma(opening)}\r\n{said}"
                     f":62F:{mark(closing)}{last:%y%m%d}USD{comma(closing)}\r\n")


MONTHS = [(date(2025, 8, 1), date(2025, 8, 31)), (date(2025, 9, 1), date(2025, 9, 30)), (date(2025, 10, 1), TODAY)]
EUR, USD = "NL02KADE0123456789", "US64SVBKUS6S330"


def statements(month):
    """A file a month and account, and one that overlaps two months; in any order. Also what the accounts come to."""
    files, closing = [], {EUR: D("25000.00"), USD: D("4000.00")}
    for n, (first, last) in enumerate(MONTHS, 1):
        for account, write in ((EUR, camt053), (USD, mt940)):
            closing[account], made = write(month, account, first, last, closing[account], f"{account[:2]}-{n}")
            files.append(made)
    files.append(camt053(month, EUR, date(2025, 9, 20), date(2025, 10, 10), D("0.00"), "overlap")[1])
    RNG.shuffle(files)
    return closing, [f"SELECT count(import_statement({text(COMPANY)}, '{kind}', convert_to({text(content)}, 'UTF8')))" for kind, content in files]


def psql(script, database=DATABASE):
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database], input=script, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"Bail out! {done.stderr}(seed {SEED})")
    return done.stdout


HEAD = "SET search_path = erp_webhook, public; SET client_min_messages = warning; SET timezone = 'America/New_York'; SET erp_webhook.clock = '2025-10-31T21:00:00Z';\n"


def rows(query):
    return [tuple(r.split("|")) for r in psql(HEAD + query + ";").splitlines()]


def play(month, files):
    psql("SET client_min_messages = warning;", "postgres")
    for command in (f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}"):
        psql(command, "postgres")
    month.sql.sort(key=lambda op: op[0])
    psql(rf"""SET client_min_messages = warning; CREATE EXTENSION erp_webhook; {HEAD}
\o /dev/null
SELECT add_company({text(COMPANY)}, 'EUR'), set_policy({text(COMPANY)}, 'statement', 'post'), set_policy({text(COMPANY)}, 'time_zone', 'Europe/Amsterdam');
SELECT add_source(s, 'generic', {text(COMPANY)}, j::jsonb), add_secret(s, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '2025-01-01')
FROM (VALUES ('web', '{{}}'), ('app', '{{}}'), ('us', '{{"bank": "dollars"}}')) v (s, j);
INSERT INTO bank_account SELECT company_id, '{USD}', 'dollars' FROM company;
INSERT INTO line_rule SELECT company_id, 1, 'account fee', 'bank_fees' FROM company;
INSERT INTO account (company_id, account_no, name, currency) SELECT company_id, 'C' || lpad(n::text, 3, '0'), a.name, CASE WHEN a.name ~ '(Inc.|LLC)$' THEN 'USD' ELSE 'EUR' END
FROM company c, unnest(ARRAY[{", ".join(map(text, NAMES))}]) WITH ORDINALITY a (name, n);
INSERT INTO planned_cash (company_id, due_on, amount, currency, what)
SELECT company_id, d::date, a, 'EUR', w FROM company, (VALUES ('2025-11-03', -2400.00, 'Rent November'), ('2025-11-25', -6150.00, 'Wages'), ('2025-11-30', -1875.40, 'VAT')) v (d, a, w);
CREATE FUNCTION pg_temp.send(source text, id text, body text, at timestamptz) RETURNS text LANGUAGE sql AS $$
  SELECT set_config('erp_webhook.clock', (at + interval '3 seconds')::text, false);
  SELECT (ingest(source, sign(source, convert_to(body, 'UTF8'), at, jsonb_build_object('webhook-id', id)), convert_to(body, 'UTF8'))).outcome $$;
{";SELECT sum_days();".join(";".join(sql for _, sql in month.sql[k::4]) for k in range(4))};
{HEAD}
{";".join(files)};
""")


CHECKS = []


def check(what, got, want):
    CHECKS.append(got == want)
    print(f"{'ok' if got == want else 'not ok'} {len(CHECKS)} - {what}")
    if got != want:
        print(f"# got  {got}\n# want {want}")


def expected_due(month, day):
    """What is open on a day: per invoice, and by account and age."""
    due = defaultdict(D)
    for d, number, amount in month.opened:
        if d <= day:
            due[number] += amount
    aged = defaultdict(lambda: [D(0)] * 5)
    for number, amount in due.items():
        account, currency, _, due_on = month.invoices[number]
        late = (day - due_on).days
        slot = 0 if late <= 0 else 1 if late <= 30 else 2 if late <= 60 else 3 if late <= 90 else 4
        aged[account, currency] = [a + (amount if n == slot else 0) for n, a in enumerate(aged[account, currency])]
    return due, {k: v for k, v in aged.items() if any(v)}


def main():
    print(f"# seed {SEED}")
    month = Month()
    invent(month)
    closing, files = statements(month)
    play(month, files)
    first = date(2025, 10, 1)
    keys = sorted({m[1:3] for m in month.moves})

    def moved(source, currency, kind=None, since=date.min, until=TODAY):
        return sum((a for d, s, c, k, a in month.moves if (s, c) == (source, currency) and kind in (None, k) and since <= d <= until), D(0))

    check("clearing: opening + what came and went = closing, per source and currency",
          [(r[0], r[1]) + tuple(map(D, r[2:])) for r in rows(f"SELECT source, currency, opening, captured, refunds, disputes, fees, payouts, closing FROM clearing_rollforward({text(COMPANY)}, '2025-10-01', '2025-10-31')")],
          [(s, c, moved(s, c, until=first - timedelta(1))) + tuple(moved(s, c, k, first) for k in ("captured", "refunds", "disputes", "fees", "payouts")) + (moved(s, c),) for s, c in keys])

    states = {r[0]: r[1] for r in rows(f"SELECT payout_ref, state FROM reconciliation({text(COMPANY)}, '2025-08-01', '2025-11-30') WHERE payout_ref IS NOT NULL")}
    check(f"the state of each of {len(month.states)} payouts", states, {ref: "matched" if s[0] == "failed" else s[0] for ref, s in month.states.items()})
    check("the queue of what needs somebody, oldest first", rows(f"SELECT payout_ref, state FROM exception_queue({text(COMPANY)}) WHERE payout_ref IS NOT NULL"),
          [(ref, s[0]) for ref, s in sorted(month.states.items(), key=lambda p: p[1][2]) if s[0] in ("under", "duplicate", "missing_at_bank")])
    equations = {r[0]: tuple(map(D, r[1:])) for r in rows(f"SELECT e.payout_ref, gross, fees, refunds, disputes, adjustments, payout FROM payout p, payout_equation({text(COMPANY)}, p.payout_ref) e WHERE itemised")}
    check(f"the equation of each of {len(month.equations)} itemised payouts", equations, month.equations)

    # A payout due is at the bank in the ledger, whatever the statement says; so are the lines that bring none.
    at_bank, held = defaultdict(D), defaultdict(D)
    for ref, (state, amount, value, currency, source) in month.states.items():
        if state != "failed":
            (at_bank if value <= TODAY else held)[currency] += amount
    for account, currency in ((EUR, "EUR"), (USD, "USD")):
        at_bank[currency] += sum((l[2] for l in month.lines[account] if not (l[5] or "").startswith("po_")), D(0))
    position = {(r[0], r[1]): (D(r[2]), r[3] and D(r[3])) for r in rows(f"SELECT ledger_account, currency, balance, bank_says FROM cash_position({text(COMPANY)}) WHERE kind IN ('bank', 'in_transit')")}
    rent = sum((l[2] for l in month.lines[EUR] if "Rent" in l[4]), D(0))
    check("the bank accounts, and what is in transit", position, {("bank", "EUR"): (at_bank["EUR"], closing[EUR]), ("bank:dollars", "USD"): (at_bank["USD"], closing[USD]),
          **{("in_transit", c): (a, "") for c, a in held.items() if a}})
    check("rent waits in bank_unassigned, the account's fee is where the rule says", rows("SELECT ledger_account, trim_scale(balance) FROM ledger_balance WHERE ledger_account IN ('bank_fees', 'bank_unassigned') ORDER BY 1"),
          [("bank_fees", "37.5"), ("bank_unassigned", f"{-rent:.0f}")])

    for day in (TODAY, date(2025, 9, 30), date(2025, 8, 31), date(2025, 10, 10)):
        due, aged = expected_due(month, day)
        got = {(r[0], r[1]): list(map(D, r[2:])) for r in rows(f"SELECT account_no, currency, not_due, days_1_30, days_31_60, days_61_90, over_90 FROM receivables_aging({text(COMPANY)}, '{day}') WHERE due <> 0")}
        check(f"ageing at {day}, per customer", got, aged)
    check("at every third day ageing + credit + nobody's = receivable in the ledger",
          rows(f"SELECT d::date, p.currency, p.difference FROM generate_series('2025-08-02'::timestamptz, '2025-10-31', '3 days') d, LATERAL receivables_proof({text(COMPANY)}, d) p WHERE p.difference <> 0"), [])
    sold = sum((i[2] for n, i in month.invoices.items() if i[1] == "EUR" and i[3] - timedelta(14) > TODAY - timedelta(90)), D(0))
    owed = sum((a for n, a in expected_due(month, TODAY)[0].items() if month.invoices[n][1] == "EUR"), D(0))
    check("days sales outstanding", rows(f"SELECT days_sales_outstanding FROM receivables_proof({text(COMPANY)}) WHERE currency = 'EUR'"), [(str((90 * owed / sold).quantize(D("0.1"), ROUND_HALF_UP)),)])

    differs = sum((month.states[r][1] * n for r, n in (("po_app_1017", 1),) if r in month.states), D(0)) - (D("1.50") if "po_web_1014" in month.states else 0)
    proof = {(r[0], r[1]): D(r[2]) for r in rows(f"SELECT ledger_account, currency, difference FROM cash_proof({text(COMPANY)})")}
    check("the proof of bank, clearing and in_transit: only what payouts and their lines differ by is left", {k: v for k, v in proof.items() if v}, {("bank", "EUR"): -differs} if differs else {})

    # Cash to come: what is in transit on its value date, the rest of clearing, the due of undisputed invoices, the plans.
    due = expected_due(month, TODAY)[0]
    items = {r[0]: D(r[1]) for r in rows(f"SELECT kind, sum(amount) FROM forecast_items({text(COMPANY)}, 400) WHERE currency = 'EUR' GROUP BY 1")}
    want = {"payout": held["EUR"], "capture": sum((max(moved(s, c), D(0)) for s, c in keys if c == "EUR"), D(0)), "planned": D("-10425.40"),
            "invoice": sum((a for n, a in due.items() if month.invoices[n][1] == "EUR" and not month.disputed[n] and a > 0), D(0))}
    check("what is expected, by kind", items, {k: v for k, v in want.items() if v})
    check("opening and closing of the forecast", [tuple(map(D, r)) for r in rows(f"SELECT (array_agg(opening ORDER BY day))[1], (array_agg(closing ORDER BY day DESC))[1] FROM cash_forecast({text(COMPANY)}, 400) WHERE currency = 'EUR'")],
          [(at_bank["EUR"], at_bank["EUR"] + sum(want.values()))])
    check("the payout of today is credited on Monday", rows(f"SELECT DISTINCT why FROM forecast_items({text(COMPANY)}, 10) WHERE kind = 'payout'"), [("will be credited in 3 days",)] if any(held.values()) else [])
    check("events of October, settled three seconds after they happened", rows(f"SELECT sum(events), max(delay_max) FROM webhook_health({text(COMPANY)}, '2025-10-01', '2025-10-31')"),
          [(str(sum(at >= datetime(2025, 9, 30, 22) for at, sql in month.sql if "send(" in sql)), "00:00:03")])
    check("nothing breaks a law, and settling again posts nothing", rows(f"SELECT (SELECT count(*) FROM audit({text(COMPANY)})), settle_again({text(COMPANY)})"), [("0", "0")])

    check("the sums by day and what came after them are the entries, all of them", rows("""SELECT (SELECT upto > 0 AND upto < (SELECT max(voucher_id) FROM voucher) FROM day_sum_state), (SELECT count(*) > 0 FROM day_sum), count(*)
        FROM (SELECT booked_on, object, debit, credit, m.currency, sum(m.amount) FROM company c, ledger_moves(c.company_id, '-infinity', 'infinity') m GROUP BY 1, 2, 3, 4, 5) s (d, o, a, b, c, n)
        FULL JOIN (SELECT booked_on, object, debit, credit, e.currency, sum(e.amount) FROM voucher v JOIN entry e USING (company_id, voucher_id) GROUP BY 1, 2, 3, 4, 5) r (d, o, a, b, c, n) USING (d, o, a, b, c)
        WHERE s.n IS DISTINCT FROM r.n"""), [("t", "t", "0")])

    # The charge is posted by a decision; the bank then holds what the statement says of it.
    if "po_web_1014" in month.states:
        psql(HEAD + f"SELECT match({text(COMPANY)}, NULL, 'po_web_1014', 'ann', 'the bank keeps 1.50', difference_to => 'bank_fees')")
        check("a difference posted to bank_fees", rows(f"SELECT r.state, r.difference, (SELECT balance FROM ledger_balance WHERE ledger_account = 'bank_fees') FROM reconciliation({text(COMPANY)}, '2025-10-01', '2025-10-31') r WHERE payout_ref = 'po_web_1014'"), [("matched", "-1.50", "39.00")])
    page = psql(HEAD + f"SELECT report_html({text(COMPANY)}, '2025-10-01', '2025-10-31', 'Ann de Boer', NULL)")
    figures = [f"{abs(x):,.2f}" for x in (owed, closing[EUR], closing[USD], *(moved(s, c) for s, c in keys))]
    check("the page shows these figures", [f for f in figures if f not in page], [])
    if os.environ.get("REPORT_KEEP"):
        with open(os.path.join(os.environ["REPORT_KEEP"], "month.html"), "w", encoding="utf-8") as f:
            f.write(page)
    else:
        psql(f"DROP DATABASE {DATABASE}", "postgres")
    print(f"1..{len(CHECKS)}")


main()
