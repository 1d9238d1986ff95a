#!/usr/bin/env python3
"""The examples of docs/reconciliation.md, docs/settlement.md and README.md are executed, and print what the page says.

Each ```sql block is run, all of a page in one session, and must print the ```text block after it. `test/guide.t --write
[PAGE …]` puts what was printed into the pages. README's one block says beside each query what a row of it holds.
"""
import os
import re
import subprocess
import sys

DOCS = os.path.join(os.path.dirname(__file__), "..", "docs")
PAGES = ["reconciliation.md", "settlement.md"]
BLOCK = re.compile(r"```sql\n(.*?)```\n```text\n(.*?)```", re.S)
MARK = "=== the next example ==="


def run(blocks):
    script = "SET client_min_messages = warning;\nCREATE EXTENSION IF NOT EXISTS erp_webhook;\nSET timezone = 'UTC'; SET datestyle = 'ISO';\n\\set VERBOSITY terse\n"
    for sql in blocks:
        script += f"\\echo {MARK}\n{sql}\n"
    database = "ewh_guide"
    for command in (f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}"):
        subprocess.run(["psql", "-Xqc", "SET client_min_messages = warning", "-c", command], check=True)
    done = subprocess.run(["psql", "-Xq", "-d", database], input=script, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    subprocess.run(["psql", "-Xqc", f"DROP DATABASE {database}"], check=True)
    outputs = done.stdout.split(MARK + "\n")[1:]
    return ["\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n" for text in outputs]


def check_readme(n):
    """A line of TAP for each `-- words, words` at the end of a query: each part's words are together in a row printed."""
    with open(os.path.join(DOCS, "..", "README.md"), encoding="utf-8") as f:
        block = re.search(r"```sql\nCREATE EXTENSION erp_webhook;\n(.*?)```", f.read(), re.S).group(1)
    rows = [set(line.replace("|", " ").split()) for line in run([block])[0].splitlines()]
    promised = re.findall(r";\s+-- (.*)", block)
    for said in promised:
        n += 1
        kept = all(any(set(part.replace("|", " ").split()) <= row for row in rows) for part in said.split(","))
        print(f"{'ok' if kept else 'not ok'} {n} - README.md: {said}")
    print(f"{'ok' if len(promised) == 3 else 'not ok'} {n + 1} - README.md: three queries say what they print")
    return n + 1


def write(path):
    with open(path, encoding="utf-8") as f:
        page = f.read()
    fresh = iter(run([sql for sql, _ in BLOCK.findall(page)]))
    with open(path, "w", encoding="utf-8") as f:
        f.write(BLOCK.sub(lambda m: "```sql\n" + m.group(1) + "```\n```text\n" + next(fresh) + "```", page))


def check(name, n):
    """One line of TAP for each example of a page, and one for their number; the count so far."""
    with open(os.path.join(DOCS, name), encoding="utf-8") as f:
        blocks = BLOCK.findall(f.read())
    printed = run([sql for sql, _ in blocks])
    for (sql, said), got in zip(blocks, printed):
        n += 1
        print(f"{'ok' if said == got else 'not ok'} {n} - {name}: {sql.splitlines()[0][:70]}")
        if said != got:
            print("".join("# said " + l + "\n" for l in said.splitlines()) + "".join("# got  " + l + "\n" for l in got.splitlines()), end="")
    print(f"{'ok' if len(blocks) == len(printed) and blocks else 'not ok'} {n + 1} - {name}: every example ran")
    return n + 1


def main():
    if "--write" in sys.argv:
        for name in sys.argv[2:] or PAGES:
            write(os.path.join(DOCS, name))
        return
    n = 0
    for name in PAGES:
        n = check(name, n)
    n = check_readme(n)
    print(f"1..{n}")


main()
