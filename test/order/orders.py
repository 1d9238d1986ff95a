"""Orders in which the steps of a history may arrive. A plan is a list of batches, a batch a list of step numbers."""
from itertools import permutations


def after(history):
    """What must come after what: a void or change after its invoice, a later value of a policy after the first."""
    before, invoices, policies = {}, {}, {}
    for n, step in enumerate(history.steps):
        if step[0] == "invoice":
            invoices[step[1]["number"]] = n
        elif step[0] in ("void", "change") and step[1] in invoices:
            before[n] = invoices[step[1]]
        elif step[0] == "policy":
            if step[1] in policies:
                before[n] = policies[step[1]]
            policies[step[1]] = n
    return before


def legal(history, order):
    """The order with what came too early moved behind what it needs."""
    needs, done = after(history), []
    waiting = {}
    for n in order:
        if n in needs and needs[n] not in done:
            waiting.setdefault(needs[n], []).append(n)
            continue
        done.append(n)
        for k in waiting.pop(n, []):
            done.append(k)
    return done


def tied(history, plan):
    """The plan for sessions at once: what must come after something is in its batch, so in its session. Policies come first,
    before the sessions start: changing one settles the whole company again and is no part of the race."""
    policies = [n for n, step in enumerate(history.steps) if step[0] == "policy"]
    plan = [batch for batch in ([n for n in batch if n not in policies] for batch in plan) if batch]
    needs, behind = {k: v for k, v in after(history).items() if k not in policies}, {}
    for n, root in sorted(needs.items()):
        behind.setdefault(root, []).append(n)
    seen, out = set(), [[n] for n in policies]
    for batch in plan:
        tied_up = []
        for n in batch:
            if n in needs:
                continue
            tied_up += [n, *(behind.get(n, []) if n not in seen else [])]
            seen.add(n)
        out.append(tied_up)
    return [batch for batch in out if batch]


def in_order(history):
    """One by one as they were told."""
    return [[n] for n in range(len(history.steps))]


def every(history):
    """All permutations of the deliveries of a story, its fixture first."""
    fixed = [[n] for n in range(history.fixed)]
    for order in permutations(range(history.fixed, len(history.steps))):
        yield fixed + [[n] for n in order]


def shuffled(history, r, fixed=0):
    """A random order with duplicates, in random batches: all in one, one by one, or between."""
    order = list(range(fixed, len(history.steps)))
    r.shuffle(order)
    order = legal(history, order)
    facts = [n for n in order if history.steps[n][0] == "facts"]
    for n in r.sample(facts, r.randint(0, len(facts))):              # delivered again, at once or much later
        order.insert(r.randint(order.index(n), len(order)), n)
    return [[n] for n in range(fixed)] + batched(order, r)


def batched(order, r, sizes=None):
    """The order in pieces; all of one of the sizes."""
    size = r.choice(sizes or [1, 1, 2, 3, len(order) or 1])
    return [order[k:k + size] for k in range(0, len(order), size)]
