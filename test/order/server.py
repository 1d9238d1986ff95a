"""The extension under test: histories become companies of one database, steps become SQL, books come back as JSON.

A psql start costs more than a history, so one psql runs a script of many histories; concurrent sessions are several
psql at once, each with a share of the steps. Every history is a company of its own, and so are its permutations.
"""
import itertools
import json
import os
import subprocess
import tempfile
from decimal import Decimal

COLUMNS = ("external_id", "type", "kind", "state", "reason", "occurred_at", "received_at", "signed_at", "object_ref",
           "payment_ref", "account_ref", "subscription_ref", "correlation", "correlation_amounts", "amount", "currency",
           "fee", "fee_currency", "to_amount", "to_currency", "value_date", "attempt", "payout_ref")
CASTS = {"correlation": "text[]", "correlation_amounts": "numeric[]", "occurred_at": "timestamptz", "received_at": "timestamptz",
         "signed_at": "timestamptz", "value_date": "date"}
MARK = "@@books "
run = f"{os.getpid():x}{int.from_bytes(os.urandom(3), 'big'):x}"
numbers = itertools.count(1)

# What "the same books" are, of one company; numbers without trailing zeros. The name is what stories call it.
READ = """
SELECT '{mark}' || :'name' || ' ' || json_build_object(
  'ledger', (SELECT json_object_agg(ledger_account || '@' || currency, trim_scale(balance)::text)
             FROM erp_webhook.ledger_balance WHERE company_id = :c),
  'invoices', (SELECT json_object_agg(number, json_build_object('paid', trim_scale(paid)::text,
               'credited', trim_scale(credited)::text, 'written_off', trim_scale(written_off)::text,
               'due', CASE state WHEN 'void' THEN '0' ELSE trim_scale(total - credited - paid - written_off)::text END,
               'state', state)) FROM erp_webhook.invoice WHERE company_id = :c),
  'accounts', (SELECT json_object_agg(account_no || '@' || currency, trim_scale(balance)::text)
               FROM erp_webhook.account_balance WHERE company_id = :c AND balance <> 0),
  'suspended', (SELECT json_agg(account_no ORDER BY account_no) FROM erp_webhook.account
                WHERE company_id = :c AND state = 'suspended'),
  'payments', (SELECT json_object_agg(source || '/' || payment_ref || '@' || currency, json_build_object(
               'captured', trim_scale(captured)::text, 'refunded', trim_scale(refunded)::text,
               'disputed', trim_scale(disputed)::text, 'reversed', trim_scale(reversed)::text, 'fee', trim_scale(fee)::text))
               FROM erp_webhook.payment WHERE company_id = :c),
  'payouts', (SELECT json_object_agg(source || '/' || payout_ref || '@' || currency, state)
              FROM erp_webhook.payout WHERE company_id = :c),
  'subscriptions', (SELECT json_object_agg(source || '/' || subscription_ref, json_build_array(account_no, state))
                    FROM erp_webhook.subscription_state WHERE company_id = :c),
  'exceptions', (SELECT json_agg(DISTINCT jsonb_build_array(kind, source, CASE
                   WHEN kind IN ('quarantined', 'waiting', 'failed') THEN external_id
                   WHEN kind = 'contradiction' THEN coalesce(object_ref, payment_ref)
                   ELSE coalesce(payment_ref, object_ref, external_id) END))
                 FROM erp_webhook.exceptions WHERE company_id = :c),
  'audit', (SELECT json_agg(a) FROM erp_webhook.audit(:'name') a),
  'again', erp_webhook.settle_again(:'name'));
""".replace("{mark}", MARK)


def literal(value, cast=None):
    """An SQL literal."""
    if value is None:
        return "NULL" if cast is None else f"NULL::{cast}"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (tuple, list)):
        return f"ARRAY[{', '.join(literal(v) for v in value)}]::{cast}" if value else "NULL"
    quoted = "'" + str(value).replace("'", "''") + "'"
    return f"{quoted}::{cast}" if cast else quoted


class Trial:
    """One order of one history, as one company."""

    def __init__(self, history, plan):
        self.history, self.plan = history, plan
        self.ready = sum(1 for batch in plan if all(history.steps[n][0] == "policy" for n in batch))
        self.name = f"x{run}n{next(numbers)}x"
        self.problem = None

    def source(self, source):
        """Names of sources are unique over all companies; a common prefix keeps their order."""
        return f"{self.name}.{source}"

    def setup(self):
        """The company, its sources and accounts. Ids are kept in psql variables."""
        h = self.history
        out = [f"\\set name {self.name}", f"SELECT erp_webhook.add_company('{self.name}', '{h.currency}') AS c \\gset"]
        for n, (source, (provider, settings)) in enumerate(sorted(h.sources.items())):
            out.append(f"SELECT erp_webhook.add_source('{self.source(source)}', {literal(provider)}, '{self.name}', "
                       f"{literal(json.dumps(settings))}) AS s{n} \\gset")
        for no, currency in h.accounts:
            out.append(f"INSERT INTO erp_webhook.account (company_id, account_no, name, currency) "
                       f"VALUES (:c, {literal(no)}, {literal('Customer ' + no)}, {literal(currency)});")
        return out

    def find(self):
        """The variables of setup() again, in another session."""
        out = [f"\\set name {self.name}", f"SELECT company_id AS c FROM erp_webhook.company WHERE name = '{self.name}' \\gset"]
        for n, source in enumerate(sorted(self.history.sources)):
            out.append(f"SELECT source_id AS s{n} FROM erp_webhook.source WHERE company_id = :c "
                       f"AND name = '{self.source(source)}' \\gset")
        return out

    def batches(self):
        """The plan as SQL: a batch of steps is one statement of facts after the other steps of it."""
        for batch in self.plan:
            steps = [self.history.steps[n] for n in batch]
            facts = [f for step in steps if step[0] == "facts" for f in step[1]]
            yield "\n".join([self.other(step) for step in steps if step[0] != "facts"] + ([self.insert(facts)] if facts else []))

    def insert(self, facts):
        ids = {s: n for n, s in enumerate(sorted(self.history.sources))}
        facts = sorted(facts, key=lambda f: (f.source, f.external_id))     # as ingest does: crossing batches must not deadlock here
        rows = [", ".join([":c", f":s{ids[f.source]}"] + [
            literal(getattr(f, c, f.kind if c == "type" else None), CASTS.get(c)) for c in COLUMNS]) for f in facts]
        return (f"INSERT INTO erp_webhook.event (company_id, source_id, {', '.join(COLUMNS)}) VALUES\n  ("
                + "),\n  (".join(rows) + ")\n  ON CONFLICT (company_id, source_id, external_id) DO NOTHING;")

    def other(self, step):
        verb = step[0]
        if verb == "invoice":
            row = {k: v for k, v in step[1].items() if k != "account_no" and v is not None}
            return (f"INSERT INTO erp_webhook.invoice (company_id, account_id, {', '.join(row)}) SELECT company_id, account_id, "
                    f"{', '.join(literal(v, 'date' if k.endswith('_on') else 'numeric' if k in ('total', 'tax') else None) for k, v in row.items())}"
                    f" FROM erp_webhook.account WHERE company_id = :c AND account_no = {literal(step[1]['account_no'])};")
        if verb == "link":
            return (f"SELECT erp_webhook.link_account('{self.source(step[1])}', {literal(step[2])}, {literal(step[3])}) "
                    "IS NULL AS done \\gset")
        if verb == "policy":
            return f"SELECT erp_webhook.set_policy('{self.name}', {', '.join(literal(v) for v in step[1:4])}) IS NULL AS done \\gset"
        if verb == "void":
            return f"SELECT erp_webhook.void_invoice('{self.name}', {literal(step[1])}) IS NULL AS done \\gset"
        if verb == "change":
            told = dict(step[2])
            account = told.pop("account_no", None)
            said = [f"{k} = {literal(v)}" for k, v in told.items()]
            if account:
                said.append("account_id = (SELECT account_id FROM erp_webhook.account "
                            f"WHERE company_id = :c AND account_no = {literal(account)})")
            return (f"UPDATE erp_webhook.invoice SET {', '.join(said)} WHERE company_id = :c AND number = {literal(step[1])};")
        raise ValueError(verb)

    def understand(self, row):
        """The books of the extension in the words of books(); names of sources as the history has them."""
        got = json.loads(row.replace(self.name + ".", ""))
        for name in ("ledger", "invoices", "accounts", "payments", "payouts", "subscriptions"):
            got[name] = got[name] or {}
        for name in ("suspended", "exceptions"):
            got[name] = got[name] or []
        got["exceptions"] = sorted(tuple(e) for e in got["exceptions"])
        return got


def psql(script, check=False):
    """Run a script in one session; what it prints, errors included."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-f", "-"], stdin=open(file.name, encoding="utf-8"), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    if check and (done.returncode or "ERROR:" in done.stdout):
        raise RuntimeError(done.stdout[:4000])
    return done.stdout


def own_database(name):
    """A database for this test alone; what comes after talks to it. Needs the environment of test/cluster.sh."""
    psql(f"SET client_min_messages = warning;\nDROP DATABASE IF EXISTS {name};\nCREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0;\n"
         f"\\c {name}\nCREATE EXTENSION erp_webhook;", check=True)
    os.environ["PGDATABASE"] = name


PREAMBLE = "SET client_min_messages = warning;\n\\set VERBOSITY verbose\n"


def read_back(trials, output):
    """Books by trial; what went wrong in a trial is kept in trial.problem."""
    by_name = {t.name: t for t in trials}
    results, noise = {}, []
    for line in output.splitlines():
        if line.startswith(MARK):
            name, row = line[len(MARK):].split(" ", 1)
            try:
                results[name] = by_name[name].understand(row)
            except ValueError:          # an error message of the server in the middle of a line
                noise.append(f"unreadable books: {row}")
            if noise:
                by_name[name].problem = "\n".join(noise[:12])
            noise = []
        else:
            noise.append(line)
    for t in trials:
        if t.name not in results and t.problem is None:
            t.problem = "no books came back: " + "\n".join(noise[:12])
    return [results.get(t.name) for t in trials]


def play(trials, atomic=True):
    """Run trials in one session each after the other; their books."""
    out = [PREAMBLE]
    for t in trials:
        steps = "\n".join(t.batches())
        out += t.setup()
        out += ["BEGIN;", steps, "COMMIT;"] if atomic else [steps]
        out.append(READ)
    return read_back(trials, psql("\n".join(out)))


def play_concurrently(trials, sessions):
    """Each trial's batches dealt to several sessions that run at once; trial.ready first batches come before."""
    batches = [list(t.batches()) for t in trials]
    psql("\n".join([PREAMBLE] + [line for t, b in zip(trials, batches) for line in t.setup() + b[:t.ready]]), check=True)
    shares = [[PREAMBLE] for _ in range(sessions)]
    for t, dealt in zip(trials, batches):
        for share in shares:
            share += t.find()
        for n, sql in enumerate(dealt[t.ready:]):
            shares[n % sessions].append(sql)
    files = []
    for share in shares:
        file = tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8")
        file.write("\n".join(share))
        file.flush()
        files.append(file)
    running = [subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-f", "-"], stdin=open(f.name), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True) for f in files]
    noise = [line for p in running for line in p.communicate()[0].splitlines() if line.strip()]
    results = read_back(trials, psql("\n".join([PREAMBLE] + [line for t in trials for line in [*t.find(), READ]])))
    if noise:
        trials[0].problem = "\n".join(noise[:12])
    return results


def differences(wanted, got):
    """What differs, as readable lines: the law's value and the extension's."""
    if got is None:
        return ["no books"]
    lines = []
    for name, want in wanted.items():
        have = got[name]
        if isinstance(want, dict):
            for key in sorted(set(want) | set(have)):
                if want.get(key) != have.get(key):
                    lines.append(f"{name} {key}: the law says {want.get(key)}, the extension {have.get(key)}")
        elif list(map(json.dumps, want)) != list(map(json.dumps, have)):
            lines += [f"{name}: only the law has {e}" for e in want if e not in have]
            lines += [f"{name}: only the extension has {e}" for e in have if e not in want]
    lines += [f"audit: {row}" for row in got.get("audit") or []]
    if got.get("again"):
        lines.append(f"settle_again posted {got['again']} vouchers")
    return lines
