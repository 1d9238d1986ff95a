#!/usr/bin/env python3
"""docs/operations.md is true: its SQL runs, its settings exist with the defaults it says, and so does all it names.

Its ```sql blocks are run in order in a database of their own, under an ordinary administrator where they need no more. pg_cron is
played by a function that notes what it is given.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from order.tap import Tap                                            # noqa: E402

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "operations.md")
DATABASE = "ewh_operations"
ROLES = ("webhook_ingress", "webhook_worker")
tap = Tap()


def psql(sql, database=DATABASE):
    return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database], input=sql, text=True, capture_output=True)


def rows(sql):
    done = psql(sql)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def clean():
    psql(f"DROP DATABASE IF EXISTS {DATABASE}", "postgres")
    for role in ROLES:
        psql(f"DROP ROLE IF EXISTS {role}", "postgres")


def examples(page):
    for block in re.findall(r"```sql\n(.*?)```", page, re.S):
        done = psql(block)
        tap.ok(done.returncode == 0, block.splitlines()[0][:90])
        if done.returncode:
            tap.diag(done.stderr)
    told = rows("SELECT name, cardinality(kinds) FROM erp_webhook.subscriber ORDER BY name")
    tap.ok(told == ["crm|3", "inside|1"], f"the subscribers of the page are there: {told}")
    job = rows("SELECT command FROM cron.noted")
    done = psql(f"SET ROLE webhook_worker; {job[0]}")
    tap.ok(done.returncode == 0, f"what pg_cron is given runs as the worker's role: {job[0]} {done.stderr}")


def settings(page):
    """| `erp_webhook.x` | default | …: as pg_settings says. Every other erp_webhook.x is a setting, a relation or a function."""
    units = {"ms": 1, "s": 1000, "MB": 1024 * 1024}
    known = dict(row.split("|", 1) for row in rows("LOAD 'erp_webhook'; SELECT name, boot_val || '|' || coalesce(unit, '') FROM pg_settings WHERE name LIKE 'erp_webhook.%'"))
    wrong = []
    for line in page.splitlines():
        match = re.match(r"\| (`erp_webhook\.[a-z_`, .]*`) \| ([^|]*) \|", line)
        for name in re.findall(r"erp_webhook\.[a-z_]+", match.group(1)) if match else []:
            said = match.group(2).strip().strip("`")
            if name not in known:
                wrong.append(f"{name} is no setting") if re.search(r"\d|^$", said) else None
                continue
            value, unit = known[name].split("|")
            number = re.match(r"([0-9]+) (ms|s|MB)$", said)
            if number:
                ok = int(number[1]) * units[number[2]] == int(value) * {"ms": 1, "s": 1000, "B": 1, "kB": 1024, "MB": 1024 * 1024}[unit]
            else:
                ok = said == value or said in ("", "the system's") and value == ""
            if not ok:
                wrong.append(f"{name}: the page says {said}, the server {value}{unit}")
    tap.ok(not wrong and len(known) > 10, f"the defaults of the settings: {wrong}")
    there = set(known) | set(rows("SELECT 'erp_webhook.' || relname FROM pg_class WHERE relnamespace = 'erp_webhook'::regnamespace UNION"
                                  " SELECT 'erp_webhook.' || proname FROM pg_proc WHERE pronamespace = 'erp_webhook'::regnamespace"))
    missing = sorted(set(re.findall(r"erp_webhook\.[a-z_]+[a-z]", page)) - there)
    tap.ok(not missing, f"all that is called erp_webhook.… is there: {missing}")
    functions = set(rows("SELECT proname FROM pg_proc WHERE pronamespace IN ('erp_webhook'::regnamespace, 'pg_catalog'::regnamespace)"))
    functions |= {"rate", "increase", "histogram_quantile"}      # Prometheus's own
    missing = sorted(set(re.findall(r"`([a-z_]+)\(", page)) - functions)
    tap.ok(not missing, f"every function is there: {missing}")


def schedule(page):
    """The numbers of the worker's text."""
    waits = rows("SELECT array_to_string(ARRAY(SELECT w::text FROM unnest(erp_webhook.retry_waits()) w), ',')")[0]
    tap.ok("5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h" in page and waits == "00:00:05,00:05:00,00:30:00,02:00:00,05:00:00,10:00:00,14:00:00,20:00:00,24:00:00",
           f"the waits between tries: {waits}")
    tap.ok("half an hour" in page and "1,000 of them or 16 MB" in page and rows("SELECT deliveries, bytes FROM erp_webhook.max_unverified()") == ["1000|16777216"], "the bounds of what waits for keys")
    tap.ok("twelve times" in page and rows("SELECT erp_webhook.confirm_attempts()") == ["12"], "failed events are tried twelve times")


def main():
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    clean()
    try:
        psql(f"CREATE DATABASE {DATABASE}", "postgres")
        rows("SET client_min_messages = warning; CREATE EXTENSION erp_webhook; SELECT erp_webhook.add_company('default', 'EUR');"
             "CREATE SCHEMA cron; CREATE TABLE cron.noted (command text);"
             "CREATE FUNCTION cron.schedule(text, text, text) RETURNS void LANGUAGE sql AS 'INSERT INTO cron.noted VALUES ($3)'")
        examples(page)
        settings(page)
        schedule(page)
    finally:
        clean()
    tap.done()


main()
