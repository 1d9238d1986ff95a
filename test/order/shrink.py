"""Make a failing history small: drop steps, facts and batches as long as the same kind of difference stays."""
from copy import copy

from .history import History
from .orders import in_order
from .server import Trial, differences, play


def verdicts(cases, kind=Trial):
    """What is wrong with each (history, plan): readable lines."""
    trials = [kind(h, plan) for h, plan in cases]
    return [judge(t, got) for t, got in zip(trials, play(trials))]


def judge(trial, got):
    problem = [f"error: {trial.problem}"] if trial.problem else []
    return problem + differences(trial.history.books(), got)


def sort_of(lines):
    """The kind of a failure, so that shrinking does not wander to another one."""
    return lines[0].split(" ")[0].rstrip(":") if lines else None


def without(history, plan, step):
    """The case less one step; numbers behind it move up."""
    smaller = copy(history)
    smaller.steps = history.steps[:step] + history.steps[step + 1:]
    smaller.bodies = {n - (n > step): body for n, body in history.bodies.items() if n != step}
    moved = [[n - (n > step) for n in batch if n != step] for batch in plan]
    return smaller, [b for b in moved if b]


def candidates(history, plan):
    """Every case that is one thing smaller."""
    for n, step in enumerate(history.steps):
        if not (step[0] == "invoice" and any(s[0] in ("void", "change") and s[1] == step[1]["number"] for s in history.steps)):
            yield without(history, plan, n)
        if step[0] == "facts" and len(step[1]) > 1:
            for k in range(len(step[1])):
                smaller = copy(history)
                smaller.steps = list(history.steps)
                smaller.steps[n] = ["facts", step[1][:k] + step[1][k + 1:]]
                yield smaller, plan
    for b, batch in enumerate(plan):
        for k, n in enumerate(batch):
            if sum(other.count(n) for other in plan) > 1:            # a duplicate too many
                fewer = plan[:b] + [batch[:k] + batch[k + 1:]] + plan[b + 1:]
                yield history, [x for x in fewer if x]


def shrink(history, plan, kind=Trial):
    """(history, plan, differences) of a smallest case with the same kind of failure, told in order if that fails too."""
    lines = verdicts([(history, plan)], kind)[0]
    if not lines:
        return history, plan, ["not to be seen again one after the other: a race"]
    wanted = sort_of(lines)
    plain = verdicts([(history, in_order(history))], kind)[0]
    if sort_of(plain) == wanted:
        plan, lines = in_order(history), plain
    while True:
        cases = list(candidates(history, plan))
        found = next(((case, said) for case, said in zip(cases, verdicts(cases, kind)) if sort_of(said) == wanted), None)
        if found is None:
            return history, plan, lines
        (history, plan), lines = found


def report(history, plan, lines):
    """A reproducible case as text: the differences, the plan, the history."""
    order = "told in order" if plan == in_order(history) else f"plan {plan}"
    return "\n".join([*lines, order, history.to_json()])
