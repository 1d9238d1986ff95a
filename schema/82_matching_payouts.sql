-- Matching, second half: lines and payouts, in the order the head of 82_matching.sql gives.

-- Lines that can bring a payout: booked, and not the statement's copy of a webhook's line.
CREATE FUNCTION erp_webhook.payout_bringers(company_id int) RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
AS $$
  SELECT i.* FROM erp_webhook.bank_item i
  WHERE i.company_id = payout_bringers.company_id AND i.item = 'line' AND i.state = 'booked'
    AND NOT EXISTS (SELECT FROM erp_webhook.bank_twin t
                    WHERE t.company_id = i.company_id AND i.source_id = 0 AND t.line_ref = i.object_ref)
$$;
COMMENT ON FUNCTION erp_webhook.payout_bringers(int) IS 'the bank lines that matching looks at';

-- What somebody decided about a pair; the latest holds.
CREATE VIEW erp_webhook.standing_decision WITH (security_invoker = true) AS
  SELECT DISTINCT ON (company_id, line_source, line_ref, source_id, payout_ref, currency) *
  FROM erp_webhook.bank_decision WHERE decision IN ('match', 'unmatch')
  ORDER BY company_id, line_source, line_ref, source_id, payout_ref, currency, decision_id DESC;
COMMENT ON VIEW erp_webhook.standing_decision IS 'the decisions about pairs of line and payout that hold';

-- Lines and payouts whose pairing may differ once those given have changed: what they are or could be paired with, and
-- so on outward. What is paired by hand or by its name passes nothing on: amounts do not move it.
CREATE FUNCTION erp_webhook.match_neighbours(company_id int, known erp_webhook.object_key[]) RETURNS erp_webhook.object_key[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  edge erp_webhook.object_key[] := known;
  found_ erp_webhook.object_key[];
  slack numeric := (SELECT coalesce(max(tolerance), 0) FROM erp_webhook.match_rules(company_id));
  days int := (SELECT coalesce(max(greatest(days_before, days_after)), 0) FROM erp_webhook.match_rules(company_id));
BEGIN
  LOOP
    WITH item AS (
      SELECT i.*,
             EXISTS (SELECT FROM erp_webhook.bank_match m WHERE m.company_id = company_id AND m.shape IN ('by_hand', 'reference')
               AND CASE i.item WHEN 'line' THEN m.line_source = i.source_id AND m.line_ref = i.object_ref
                               ELSE m.source_id = i.source_id AND m.payout_ref = i.object_ref END) AS named
      FROM unnest(edge) k
      JOIN erp_webhook.bank_item i ON i.company_id = company_id AND i.source_id = k.source_id AND i.object_ref = k.object_ref
        AND i.item = CASE k.object WHEN 'bank' THEN 'line' ELSE 'payout' END),
    next AS (
      SELECT CASE i.item WHEN 'line' THEN ROW(m.source_id, 'payout', m.payout_ref)::erp_webhook.object_key
                         ELSE ROW(m.line_source, 'bank', m.line_ref)::erp_webhook.object_key END AS key
      FROM item i JOIN erp_webhook.bank_match m ON m.company_id = company_id
        AND CASE i.item WHEN 'line' THEN m.line_source = i.source_id AND m.line_ref = i.object_ref
                 ELSE m.source_id = i.source_id AND m.payout_ref = i.object_ref END
      UNION
      SELECT ROW(n.source_id, 'bank', n.object_ref)::erp_webhook.object_key
      FROM item i
      JOIN erp_webhook.bank_name n ON n.company_id = company_id AND n.name = erp_webhook.plain_name(i.object_ref)
      WHERE i.item = 'payout'
      UNION
      SELECT ROW(p.source_id, 'payout', p.object_ref)::erp_webhook.object_key
      FROM item i
      JOIN erp_webhook.bank_name n ON n.company_id = company_id AND n.source_id = i.source_id AND n.object_ref = i.object_ref
      JOIN erp_webhook.bank_item p ON p.item = 'payout' AND erp_webhook.plain_name(p.object_ref) = n.name
      WHERE i.item = 'line'
      UNION
      SELECT CASE WHEN i.source_id = 0 THEN ROW(t.source_id, 'bank', t.object_ref)::erp_webhook.object_key
                  ELSE ROW(0, 'bank', t.line_ref)::erp_webhook.object_key END
      FROM item i JOIN erp_webhook.bank_twin t ON t.company_id = company_id
        AND (i.source_id = 0 AND t.line_ref = i.object_ref OR t.source_id = i.source_id AND t.object_ref = i.object_ref)
      WHERE i.item = 'line'
      UNION
      SELECT ROW(o.source_id, CASE o.item WHEN 'line' THEN 'bank' ELSE 'payout' END, o.object_ref)::erp_webhook.object_key
      FROM item i JOIN erp_webhook.bank_item o ON o.company_id = company_id AND o.item <> i.item AND o.currency = i.currency
        AND o.amount BETWEEN i.amount - slack AND i.amount + slack AND o.day BETWEEN i.day - days AND i.day + days
      WHERE NOT i.named)
    SELECT array_agg(key) INTO found_ FROM next WHERE key <> ALL (known);
    EXIT WHEN found_ IS NULL;
    known := known || found_;
    edge := found_;
  END LOOP;
  RETURN known;
END
$$;
COMMENT ON FUNCTION erp_webhook.match_neighbours(int, erp_webhook.object_key[]) IS
  'the lines and payouts whose pairing may follow from those given';

-- A line shared by several payouts gives each its amount, and the last what is left of the line.
CREATE FUNCTION erp_webhook.keep_matches(company_id int, line erp_webhook.bank_item, payouts erp_webhook.bank_item[],
                                         shape text, rule text)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO erp_webhook.bank_match (company_id, line_source, line_ref, source_id, payout_ref, currency, amount,
                                      line_currency, shape, rule)
  SELECT company_id, (line).source_id, (line).object_ref, p.source_id, p.object_ref, p.currency,
         CASE WHEN n < count(*) OVER () THEN coalesce(p.amount, 0)
              ELSE (line).amount
                   - coalesce(sum(p.amount) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) END,
         (line).currency, shape, rule
  FROM (SELECT u.*, row_number() OVER (ORDER BY u.object_ref COLLATE "C", u.source_id, u.currency) AS n
        FROM unnest(payouts) u) p
$$;
COMMENT ON FUNCTION erp_webhook.keep_matches(int, erp_webhook.bank_item, erp_webhook.bank_item[], text, text) IS
  'store which payouts a line brings';

-- By hand before by name; of a payout in several currencies, the part in the line's own if there is one.
CREATE FUNCTION erp_webhook.named_payouts(line erp_webhook.bank_item)
RETURNS TABLE (payout erp_webhook.bank_item, shape text, rule text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH decided AS (
    SELECT d.* FROM erp_webhook.standing_decision d
    WHERE d.company_id = line.company_id AND d.line_source = line.source_id AND d.line_ref = line.object_ref),
  candidate AS (
    SELECT p, 'by_hand' AS shape, 'by hand' AS rule
    FROM decided d JOIN erp_webhook.bank_item p ON p.company_id = line.company_id AND p.item = 'payout'
      AND p.source_id = d.source_id AND p.object_ref = d.payout_ref AND p.currency = d.currency
    WHERE d.decision = 'match'
    UNION ALL
    SELECT p, 'reference', r.name
    FROM erp_webhook.bank_name n
    JOIN erp_webhook.bank_item p
      ON p.company_id = line.company_id AND p.item = 'payout' AND erp_webhook.plain_name(p.object_ref) = n.name
    JOIN LATERAL (SELECT min(m.name) FROM erp_webhook.match_rules(line.company_id) m WHERE m.shape = 'reference'
      AND (m.source_id IS NULL OR m.source_id = p.source_id)) r (name) ON r.name IS NOT NULL
    WHERE n.company_id = line.company_id
      AND (n.source_id = line.source_id AND n.object_ref = line.object_ref
           OR n.source_id = 0 AND n.object_ref = (SELECT t.line_ref FROM erp_webhook.bank_twin t
             WHERE t.company_id = line.company_id AND t.source_id = line.source_id AND t.object_ref = line.object_ref))
      AND NOT EXISTS (SELECT FROM decided d
                      WHERE d.source_id = p.source_id AND d.payout_ref = p.object_ref AND d.currency = p.currency)
      AND NOT EXISTS (SELECT FROM decided d WHERE d.decision = 'match'))
  SELECT c.p, c.shape, c.rule FROM candidate c
  WHERE c.shape = 'by_hand' OR (c.p).currency = line.currency
     OR NOT EXISTS (SELECT FROM candidate o
                    WHERE (o.p).object_ref = (c.p).object_ref AND (o.p).source_id = (c.p).source_id
                      AND (o.p).currency = line.currency)
$$;
COMMENT ON FUNCTION erp_webhook.named_payouts(erp_webhook.bank_item) IS
  'the payouts a line was given by hand, else those it names';

CREATE FUNCTION erp_webhook.match_by_name(company_id int, keys erp_webhook.object_key[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.keep_matches(company_id, l, n.payouts, n.shape, n.rule)
  FROM erp_webhook.payout_bringers(company_id) l
  CROSS JOIN LATERAL (SELECT array_agg(p.payout), min(p.shape), min(p.rule)
                      FROM erp_webhook.named_payouts(l) p) n (payouts, shape, rule)
  WHERE (l.source_id, l.object_ref) IN (SELECT k.source_id, k.object_ref FROM unnest(keys) k WHERE k.object = 'bank')
    AND n.payouts IS NOT NULL
$$;
COMMENT ON FUNCTION erp_webhook.match_by_name(int, erp_webhook.object_key[]) IS
  'pair lines with the payouts that people gave them or that they name';

CREATE FUNCTION erp_webhook.open_bringers(company_id int) RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
AS $$
  SELECT l.* FROM erp_webhook.payout_bringers(company_id) l
  WHERE NOT l.says_whose AND NOT EXISTS (SELECT FROM erp_webhook.bank_match m
    WHERE m.company_id = l.company_id AND m.line_source = l.source_id AND m.line_ref = l.object_ref)
$$;
COMMENT ON FUNCTION erp_webhook.open_bringers(int) IS 'bank lines that bring no payout yet, and say nothing against it';

CREATE FUNCTION erp_webhook.open_payouts(company_id int) RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
AS $$
  SELECT p.* FROM erp_webhook.bank_item p
  WHERE p.company_id = open_payouts.company_id AND p.item = 'payout' AND p.state <> 'failed' AND p.amount <> 0
    AND NOT EXISTS (SELECT FROM erp_webhook.bank_match m
    WHERE m.company_id = p.company_id AND m.source_id = p.source_id AND m.payout_ref = p.object_ref
      AND m.currency = p.currency)
$$;
COMMENT ON FUNCTION erp_webhook.open_payouts(int) IS 'payouts that no bank line brings yet';

CREATE FUNCTION erp_webhook.unmatched_by_hand(company_id int, line_source int, line_ref text, source_id int, payout_ref text)
RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM erp_webhook.standing_decision d
               WHERE d.company_id = unmatched_by_hand.company_id AND d.decision = 'unmatch'
  AND d.line_source = unmatched_by_hand.line_source AND d.line_ref = unmatched_by_hand.line_ref
  AND d.source_id = unmatched_by_hand.source_id AND d.payout_ref = unmatched_by_hand.payout_ref);
COMMENT ON FUNCTION erp_webhook.unmatched_by_hand(int, int, text, int, text) IS
  'did somebody say that this line does not bring this payout?';

-- One line, one payout: the nearest day first, then the nearest amount; each is taken once.
CREATE FUNCTION erp_webhook.match_one_to_one(company_id int, keys erp_webhook.object_key[], r erp_webhook.match_rule)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  pair record;
  taken text[] := '{}';
BEGIN
  FOR pair IN
    SELECT l AS line, p AS payout, concat('l', l.source_id, ' ', l.object_ref) AS l,
           concat('p', p.source_id, ' ', p.object_ref) AS p
    FROM unnest(keys) k
    JOIN erp_webhook.open_bringers(company_id) l
      ON l.source_id = k.source_id AND l.object_ref = k.object_ref AND k.object = 'bank'
    JOIN erp_webhook.open_payouts(company_id) p ON p.currency = l.currency
      AND p.amount BETWEEN l.amount - r.tolerance AND l.amount + r.tolerance
      AND p.day BETWEEN l.day - r.days_after AND l.day + r.days_before
    WHERE (r.source_id IS NULL OR p.source_id = r.source_id) AND (r.currency IS NULL OR l.currency = r.currency)
      AND erp_webhook.rule_accepts(r, l)
      AND NOT erp_webhook.unmatched_by_hand(company_id, l.source_id, l.object_ref, p.source_id, p.object_ref)
    ORDER BY abs(l.day - p.day), abs(l.amount - p.amount), p.day, p.object_ref COLLATE "C", p.source_id,
             l.object_ref COLLATE "C", l.source_id
  LOOP
    CONTINUE WHEN pair.l = ANY (taken) OR pair.p = ANY (taken);
    taken := taken || ARRAY[pair.l, pair.p];
    PERFORM erp_webhook.keep_matches(company_id, pair.line, ARRAY[pair.payout], r.shape, r.name);
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.match_one_to_one(int, erp_webhook.object_key[], erp_webhook.match_rule) IS
  'pair open lines and payouts of the same amount';

CREATE FUNCTION erp_webhook.rule_accepts(r erp_webhook.match_rule, line erp_webhook.bank_item) RETURNS boolean
LANGUAGE sql STABLE
RETURN r.counterparty IS NULL OR coalesce((SELECT e.counterparty ~* r.counterparty FROM erp_webhook.bank_entry e
  WHERE e.company_id = line.company_id AND e.object_ref = line.object_ref AND line.source_id = 0), false);
COMMENT ON FUNCTION erp_webhook.rule_accepts(erp_webhook.match_rule, erp_webhook.bank_item) IS
  'is the line''s counterparty one the rule is about?';

-- One line, all open payouts of one source and day: their sum.
-- If two lines could be it, the nearer day, then the smaller name.
CREATE FUNCTION erp_webhook.match_many_to_one(company_id int, first_day date, last_day date, currencies text[],
                                              r erp_webhook.match_rule)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH bundle AS (
    SELECT p.source_id, p.currency, p.day, sum(p.amount) AS amount, array_agg(p) AS payouts
    FROM erp_webhook.open_payouts(company_id) p
    WHERE p.day BETWEEN first_day AND last_day AND p.currency = ANY (currencies)
      AND (r.source_id IS NULL OR p.source_id = r.source_id)
    GROUP BY p.source_id, p.currency, p.day HAVING count(*) > 1),
  candidate AS (
    SELECT l, b.payouts,
           row_number() OVER (PARTITION BY l.source_id, l.object_ref
                              ORDER BY abs(l.day - b.day), b.day, b.source_id) AS of_line,
           row_number() OVER (PARTITION BY b.source_id, b.currency, b.day
                              ORDER BY abs(l.day - b.day), l.object_ref COLLATE "C", l.source_id) AS of_bundle
    FROM bundle b JOIN erp_webhook.open_bringers(company_id) l ON l.currency = b.currency
      AND l.amount BETWEEN b.amount - r.tolerance AND b.amount + r.tolerance
      AND l.day BETWEEN b.day - r.days_before AND b.day + r.days_after
    WHERE erp_webhook.rule_accepts(r, l)
      AND NOT EXISTS (SELECT FROM unnest(b.payouts) p
                      WHERE erp_webhook.unmatched_by_hand(company_id, l.source_id, l.object_ref, p.source_id, p.object_ref)))
  SELECT erp_webhook.keep_matches(company_id, c.l, c.payouts, r.shape, r.name)
  FROM candidate c WHERE c.of_line = 1 AND c.of_bundle = 1
$$;
COMMENT ON FUNCTION erp_webhook.match_many_to_one(int, date, date, text[], erp_webhook.match_rule) IS
  'pair a line with all the payouts of a source and day';

-- One payout, all open lines of one payer and day: their sum.
CREATE FUNCTION erp_webhook.match_one_to_many(company_id int, first_day date, last_day date, currencies text[],
                                              r erp_webhook.match_rule)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH bundle AS (
    SELECT l.payer, l.currency, l.day, sum(l.amount) AS amount, array_agg(l) AS lines
    FROM erp_webhook.open_bringers(company_id) l
    WHERE l.day BETWEEN first_day AND last_day AND l.currency = ANY (currencies)
      AND l.payer IS NOT NULL AND erp_webhook.rule_accepts(r, l)
    GROUP BY l.payer, l.currency, l.day HAVING count(*) > 1),
  candidate AS (
    SELECT p, b.lines,
           row_number() OVER (PARTITION BY b.payer, b.currency, b.day
                              ORDER BY abs(p.day - b.day), p.object_ref COLLATE "C", p.source_id) AS of_bundle,
           row_number() OVER (PARTITION BY p.source_id, p.object_ref, p.currency
                              ORDER BY abs(p.day - b.day), b.day, b.payer COLLATE "C") AS of_payout
    FROM bundle b JOIN erp_webhook.open_payouts(company_id) p ON p.currency = b.currency
      AND p.amount BETWEEN b.amount - r.tolerance AND b.amount + r.tolerance
      AND b.day BETWEEN p.day - r.days_before AND p.day + r.days_after
    WHERE (r.source_id IS NULL OR p.source_id = r.source_id)
      AND NOT EXISTS (SELECT FROM unnest(b.lines) l
                      WHERE erp_webhook.unmatched_by_hand(company_id, l.source_id, l.object_ref, p.source_id, p.object_ref)))
  SELECT erp_webhook.keep_matches(company_id, l, ARRAY[c.p], r.shape, r.name)
  FROM candidate c, unnest(c.lines) l WHERE c.of_bundle = 1 AND c.of_payout = 1
$$;
COMMENT ON FUNCTION erp_webhook.match_one_to_many(int, date, date, text[], erp_webhook.match_rule) IS
  'pair a payout with all the lines of a payer and day';

-- Import and the facts of banks and payouts take turns per company:
-- two of them at once could each miss the other's half.
CREATE FUNCTION erp_webhook.lock_matching(company_id int) RETURNS void
LANGUAGE sql VOLATILE
AS $$ SELECT pg_catalog.pg_advisory_xact_lock('erp_webhook.bank_item'::regclass::oid::int, company_id) $$;
COMMENT ON FUNCTION erp_webhook.lock_matching(int) IS
  'only one transaction at a time matches for a company; taken before any other lock';

-- The pairs to find again: all of the neighbours, and the bundles of the days around.
CREATE FUNCTION erp_webhook.matches_around(company_id int, near erp_webhook.object_key[], first_day date, last_day date,
                                           currencies text[])
RETURNS SETOF erp_webhook.bank_match
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT m.* FROM unnest(near) k JOIN erp_webhook.bank_match m
    ON m.company_id = matches_around.company_id AND k.object = 'bank' AND m.line_source = k.source_id
    AND m.line_ref = k.object_ref
  UNION
  SELECT m.* FROM unnest(near) k JOIN erp_webhook.bank_match m
    ON m.company_id = matches_around.company_id AND k.object = 'payout' AND m.source_id = k.source_id
    AND m.payout_ref = k.object_ref
  UNION
  SELECT m.* FROM erp_webhook.bank_item i JOIN erp_webhook.bank_match m
    ON m.company_id = i.company_id AND m.line_source = i.source_id AND m.line_ref = i.object_ref
    AND m.shape IN ('many_to_one', 'one_to_many')
  WHERE i.company_id = matches_around.company_id AND i.item = 'line' AND i.day BETWEEN first_day AND last_day
    AND i.currency = ANY (currencies)
$$;
COMMENT ON FUNCTION erp_webhook.matches_around(int, erp_webhook.object_key[], date, date, text[]) IS
  'the matches that what changed may change';

CREATE FUNCTION erp_webhook.apply_rules(company_id int, near erp_webhook.object_key[], first_day date, last_day date,
                                        currencies text[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  r erp_webhook.match_rule;
BEGIN
  PERFORM erp_webhook.match_by_name(company_id, near);
  FOR r IN SELECT * FROM erp_webhook.match_rules(company_id) WHERE shape <> 'reference' ORDER BY ordinal LOOP
    CASE r.shape
      WHEN 'one_to_one' THEN PERFORM erp_webhook.match_one_to_one(company_id, near, r);
      WHEN 'many_to_one' THEN PERFORM erp_webhook.match_many_to_one(company_id, first_day, last_day, currencies, r);
      WHEN 'one_to_many' THEN PERFORM erp_webhook.match_one_to_many(company_id, first_day, last_day, currencies, r);
    END CASE;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.apply_rules(int, erp_webhook.object_key[], date, date, text[]) IS
  'match what is open around what changed, rule by rule';

CREATE FUNCTION erp_webhook.match_again(company_id int, keys erp_webhook.object_key[], events erp_webhook.event[])
RETURNS erp_webhook.object_key[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  near erp_webhook.object_key[];
  first_day date;
  last_day date;
  currencies text[];
  before erp_webhook.bank_match[];
  moved erp_webhook.object_key[];
BEGIN
  -- Once as they were and once as they are: what changed may leave one neighbourhood and enter another.
  near := erp_webhook.match_neighbours(company_id, keys);
  PERFORM erp_webhook.refresh_items(company_id, keys, events);
  moved := erp_webhook.pair_twins(company_id, keys);
  near := erp_webhook.match_neighbours(company_id, near || moved);

  SELECT min(i.day) - 10, max(i.day) + 10, array_agg(DISTINCT i.currency) INTO first_day, last_day, currencies
  FROM unnest(near) k
  JOIN erp_webhook.bank_item i ON i.company_id = company_id AND i.source_id = k.source_id AND i.object_ref = k.object_ref;
  before := ARRAY(SELECT m FROM erp_webhook.matches_around(company_id, near, first_day, last_day, currencies) m);
  DELETE FROM erp_webhook.bank_match m USING unnest(before) b WHERE m.company_id = company_id AND m.line_source = b.line_source
    AND m.line_ref = b.line_ref AND m.source_id = b.source_id AND m.payout_ref = b.payout_ref AND m.currency = b.currency;
  PERFORM erp_webhook.apply_rules(company_id, near, first_day, last_day, currencies);
  RETURN ARRAY(
    WITH after AS (SELECT m FROM erp_webhook.matches_around(company_id, near, first_day, last_day, currencies) m),
    changed AS ((SELECT b FROM unnest(before) b EXCEPT SELECT m FROM after)
                UNION (SELECT m FROM after EXCEPT SELECT b FROM unnest(before) b))
    SELECT ROW((b).line_source, 'bank', (b).line_ref)::erp_webhook.object_key FROM changed
    UNION SELECT ROW((b).source_id, 'payout', (b).payout_ref)::erp_webhook.object_key FROM changed
    UNION SELECT k FROM unnest(moved) k);
END
$$;
COMMENT ON FUNCTION erp_webhook.match_again(int, erp_webhook.object_key[], erp_webhook.event[]) IS
  'match again around lines and payouts that changed; returns the objects whose booking may follow';

CREATE FUNCTION erp_webhook.match_first(company_id int, events erp_webhook.event[]) RETURNS erp_webhook.event[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  keys erp_webhook.object_key[];
  changed erp_webhook.object_key[];
BEGIN
  -- Most batches speak of neither.
  IF NOT EXISTS (SELECT FROM unnest(events) e WHERE split_part(e.kind, '.', 1) IN ('bank', 'payout')) THEN RETURN events; END IF;
  keys := ARRAY(SELECT DISTINCT ROW(n.source_id, n.object, n.object_ref)::erp_webhook.object_key
                FROM erp_webhook.objects_named(events) n WHERE n.object IN ('bank', 'payout'));
  IF cardinality(keys) = 0 THEN RETURN events; END IF;
  PERFORM erp_webhook.lock_matching(company_id);
  changed := erp_webhook.match_again(company_id, keys, events);
  RETURN events || ARRAY(
    SELECT DISTINCT ON ((f.fact).event_id) f.fact FROM erp_webhook.item_facts(company_id, changed, '{}') f
    WHERE (f.fact).event_id NOT IN (SELECT e.event_id FROM unnest(events) e) ORDER BY (f.fact).event_id);
END
$$;
COMMENT ON FUNCTION erp_webhook.match_first(int, erp_webhook.event[]) IS
  'match what new facts of banks and payouts change; returns them with the facts of all whose booking may follow';
