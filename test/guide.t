#!/usr/bin/env python3
"""The examples of docs/reconciliation.md are executed, and print what the page says.

Each ```sql block is run, all in one session, and must print the ```text block after it. `test/guide.t --write` puts what
was printed into the page.
"""
import os
import re
import subprocess
import sys

PAGE = os.path.join(os.path.dirname(__file__), "..", "docs", "reconciliation.md")
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


def main():
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    blocks = BLOCK.findall(page)
    printed = run([sql for sql, _ in blocks])
    if "--write" in sys.argv:
        fresh = iter(printed)
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(BLOCK.sub(lambda m: "```sql\n" + m.group(1) + "```\n```text\n" + next(fresh) + "```", page))
        return
    for n, ((sql, said), got) in enumerate(zip(blocks, printed), 1):
        print(f"{'ok' if said == got else 'not ok'} {n} - {sql.splitlines()[0][:70]}")
        if said != got:
            print("".join("# said " + l + "\n" for l in said.splitlines()) + "".join("# got  " + l + "\n" for l in got.splitlines()), end="")
    print(f"{'ok' if len(blocks) == len(printed) and blocks else 'not ok'} {len(blocks) + 1} - every example ran")
    print(f"1..{len(blocks) + 1}")


main()
