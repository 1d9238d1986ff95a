-- Which bank line brings which payout, and which is the same money as a bank's own webhook.
--
-- settle() calls match_first() with new facts before it takes its own locks; what comes back are those facts and the
-- facts of every line and payout whose pairing they changed, so all of them are settled together. The result does not
-- depend on who came first: each step is a function of everything known, computed again around what changed.
--
--   1. decisions by hand                    match, unmatch: before any rule, for ever until decided again
--   2. reference                            the line names the payout
--   3. one_to_one                           same amount within tolerance, nearest day first
--   4. many_to_one, one_to_many             all open payouts of a source and day in one line;
--                                           all lines of a day and payer for one payout

-- Short words name nothing, nor do words without a digit in the middle of a text.
CREATE FUNCTION erp_webhook.names_in(VARIADIC texts text[]) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT DISTINCT erp_webhook.plain_name(w.word)
  FROM unnest(texts) t (said), LATERAL (SELECT said UNION SELECT regexp_split_to_table(said, '[\s,;|/()+]+')) w (word)
  WHERE length(erp_webhook.plain_name(w.word)) BETWEEN 3 AND 100 AND (w.word ~ '\d' OR w.word = t.said)
$$;
COMMENT ON FUNCTION erp_webhook.names_in(text[]) IS 'the words of texts that may be somebody''s reference';

-- The rules a company has; without any of its own, those of company 0.
CREATE FUNCTION erp_webhook.match_rules(company_id int) RETURNS SETOF erp_webhook.match_rule
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT r.* FROM erp_webhook.match_rule r
  WHERE r.company_id = CASE WHEN EXISTS (SELECT FROM erp_webhook.match_rule own WHERE own.company_id = match_rules.company_id)
                            THEN match_rules.company_id ELSE 0 END
  ORDER BY r.ordinal
$$;
COMMENT ON FUNCTION erp_webhook.match_rules(int) IS 'the matching rules that hold for a company, in order';

-- The facts of payouts and lines: those their objects know, and those that are just being settled. A fact without a
-- currency speaks of every part of a payout.
CREATE FUNCTION erp_webhook.item_facts(company_id int, keys erp_webhook.object_key[], events erp_webhook.event[])
RETURNS TABLE (source_id int, object text, object_ref text, denomination text, at timestamptz, fact erp_webhook.event)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH told AS (
    SELECT o.source_id, o.object, o.object_ref, o.denomination, f.event_id
    FROM unnest(keys) k JOIN erp_webhook.money_object o ON o.company_id = item_facts.company_id AND o.source_id = k.source_id
      AND o.object = k.object AND o.object_ref = k.object_ref
    CROSS JOIN LATERAL unnest(o.facts) f (event_id)
    UNION
    SELECT n.source_id, n.object, n.object_ref, n.denomination, n.event_id
    FROM erp_webhook.objects_named(events) n JOIN unnest(keys) k USING (source_id, object, object_ref)),
  part AS (SELECT DISTINCT source_id, object, object_ref, denomination FROM told)
  SELECT p.source_id, p.object, p.object_ref, p.denomination,
         erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at), e
  FROM part p
  JOIN told t
    ON t.source_id = p.source_id AND t.object = p.object AND t.object_ref = p.object_ref
    AND t.denomination IN (p.denomination, '')
  JOIN erp_webhook.event e ON e.company_id = item_facts.company_id AND e.event_id = t.event_id AND e.state = 'applied'
$$;
COMMENT ON FUNCTION erp_webhook.item_facts(int, erp_webhook.object_key[], erp_webhook.event[]) IS
  'the facts of payouts and bank lines, stored and new';

-- Payouts as their facts describe them: the latest of paid and failed decides, same second: failed;
-- a scheduled one is neither yet.
CREATE FUNCTION erp_webhook.payout_items(company_id int, keys erp_webhook.object_key[], events erp_webhook.event[])
RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH fact AS (
    SELECT f.source_id, f.object_ref, f.denomination, f.at, (f.fact).external_id AS id, (f.fact).kind AS kind,
           (f.fact).amount AS amount,
           (f.fact).value_date AS value_date,
           coalesce((f.fact).occurred_at, (f.fact).signed_at, (f.fact).received_at) AS told_at,
           CASE (f.fact).kind WHEN 'payout.paid' THEN 3 WHEN 'payout.scheduled' THEN 2 ELSE 1 END AS weight
    FROM erp_webhook.item_facts(company_id, keys, events) f WHERE f.object = 'payout' AND f.denomination <> ''),
  told AS (
    SELECT source_id, object_ref, denomination, min(told_at) AS since,
           (array_agg(amount ORDER BY weight DESC, at DESC, id COLLATE "C") FILTER (WHERE amount IS NOT NULL))[1] AS amount,
           (array_agg(value_date ORDER BY at, id COLLATE "C") FILTER (WHERE value_date IS NOT NULL))[1] AS value_date,
           (array_agg(told_at ORDER BY weight DESC, at DESC, id COLLATE "C"))[1] AS told_at,
           max(date_trunc('second', at, 'UTC')) FILTER (WHERE kind = 'payout.paid') AS paid,
           max(date_trunc('second', at, 'UTC')) FILTER (WHERE kind = 'payout.failed') AS failed
    FROM fact GROUP BY source_id, object_ref, denomination)
  SELECT company_id, 'payout', source_id, object_ref, denomination, d.day, value_date, d.day, amount,
         CASE WHEN failed IS NOT NULL AND (paid IS NULL OR failed >= paid) THEN 'failed' WHEN paid IS NOT NULL THEN 'paid'
              ELSE 'scheduled' END,
         NULL, NULL, NULL, NULL, false, since
  FROM told CROSS JOIN LATERAL (SELECT coalesce(value_date, erp_webhook.day_of(company_id, told_at))) d (day)
$$;
COMMENT ON FUNCTION erp_webhook.payout_items(int, erp_webhook.object_key[], erp_webhook.event[]) IS
  'payouts as the provider''s facts describe them';

-- Lines of statements come from the entry, which knows more than the fact made of it;
-- those of webhooks from their facts.
CREATE FUNCTION erp_webhook.line_items(company_id int, keys erp_webhook.object_key[], events erp_webhook.event[])
RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT e.company_id, 'line', 0, e.object_ref, e.currency, e.value_date, e.value_date, e.booking_date, e.amount,
         CASE WHEN e.counts THEN 'booked' ELSE 'repeated' END,
         e.account, erp_webhook.plain_name(e.counterparty), e.bank_ref, e.end_to_end_id, false,
         e.booking_date::timestamp AT TIME ZONE 'UTC'
  FROM erp_webhook.bank_entry e
  WHERE e.company_id = line_items.company_id
    AND e.object_ref IN (SELECT k.object_ref FROM unnest(keys) k WHERE k.source_id = 0 AND k.object = 'bank')
  UNION ALL
  SELECT company_id, 'line', l.source_id, l.object_ref, l.currency, d.day, l.value_date, d.day, l.amount,
         CASE WHEN l.reversed > l.booked THEN 'reversed' ELSE 'booked' END, NULL, NULL, l.bank_ref, l.end_to_end_id,
         l.says_whose, l.since
  FROM (
    SELECT f.source_id, f.object_ref, min(coalesce((f.fact).occurred_at, (f.fact).signed_at, (f.fact).received_at)) AS since,
           (array_agg(CASE (f.fact).kind WHEN 'bank.debit' THEN -1 ELSE 1 END * (f.fact).amount
                      ORDER BY f.at DESC, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).kind <> 'bank.reversed' AND (f.fact).amount IS NOT NULL
                     AND (f.fact).currency IS NOT NULL))[1] AS amount,
           (array_agg((f.fact).currency ORDER BY f.at DESC, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).kind <> 'bank.reversed' AND (f.fact).amount IS NOT NULL
                     AND (f.fact).currency IS NOT NULL))[1] AS currency,
           (array_agg((f.fact).value_date
                      ORDER BY f.at,
                               (f.fact).external_id COLLATE "C") FILTER (WHERE (f.fact).value_date IS NOT NULL))[1] AS value_date,
           min((f.fact).bank_ref COLLATE "C") AS bank_ref, min((f.fact).end_to_end_id COLLATE "C") AS end_to_end_id,
           bool_or(coalesce(cardinality((f.fact).correlation), 0) > 0 OR (f.fact).account_ref IS NOT NULL
                   OR (f.fact).payment_ref IS NOT NULL) AS says_whose,
           max(date_trunc('second', f.at, 'UTC')) FILTER (WHERE (f.fact).kind <> 'bank.reversed') AS booked,
           max(date_trunc('second', f.at, 'UTC')) FILTER (WHERE (f.fact).kind = 'bank.reversed') AS reversed
    FROM erp_webhook.item_facts(company_id, keys, events) f WHERE f.object = 'bank' AND f.source_id <> 0
    GROUP BY f.source_id, f.object_ref) l
  CROSS JOIN LATERAL (SELECT coalesce(l.value_date, erp_webhook.day_of(company_id, l.since))) d (day)
  WHERE l.currency IS NOT NULL
$$;
COMMENT ON FUNCTION erp_webhook.line_items(int, erp_webhook.object_key[], erp_webhook.event[]) IS
  'bank lines as statements and bank webhooks describe them';

CREATE FUNCTION erp_webhook.line_names(company_id int, keys erp_webhook.object_key[], events erp_webhook.event[])
RETURNS SETOF erp_webhook.bank_name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT e.company_id, n.name, 0, e.object_ref
  FROM erp_webhook.bank_entry e, LATERAL erp_webhook.names_in(e.end_to_end_id, e.reference) n (name)
  WHERE e.company_id = line_names.company_id
    AND e.object_ref IN (SELECT k.object_ref FROM unnest(keys) k WHERE k.source_id = 0 AND k.object = 'bank')
  UNION
  SELECT company_id, n.name, f.source_id, f.object_ref
  FROM erp_webhook.item_facts(company_id, keys, events) f,
       LATERAL erp_webhook.names_in(VARIADIC (f.fact).correlation || ARRAY[(f.fact).end_to_end_id, (f.fact).payout_ref,
                                                                           (f.fact).payment_ref]) n (name)
  WHERE f.object = 'bank' AND f.source_id <> 0
$$;
COMMENT ON FUNCTION erp_webhook.line_names(int, erp_webhook.object_key[], erp_webhook.event[]) IS
  'the words of bank lines that may name a payout';

CREATE FUNCTION erp_webhook.refresh_items(company_id int, keys erp_webhook.object_key[], events erp_webhook.event[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  DELETE FROM erp_webhook.bank_item i USING unnest(keys) k
    WHERE i.company_id = company_id AND i.source_id = k.source_id AND i.object_ref = k.object_ref
      AND i.item = CASE k.object WHEN 'bank' THEN 'line' ELSE 'payout' END;
  INSERT INTO erp_webhook.bank_item SELECT *
  FROM erp_webhook.payout_items(company_id, keys, events)
  UNION ALL SELECT * FROM erp_webhook.line_items(company_id, keys, events);
  INSERT INTO erp_webhook.bank_name SELECT * FROM erp_webhook.line_names(company_id, keys, events) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION erp_webhook.refresh_items(int, erp_webhook.object_key[], erp_webhook.event[]) IS
  'describe again the payouts and lines given';

-- A statement line and a webhook are one object if the bank's reference agrees, else amount, currency, value date and
-- end-to-end id (SETTLEMENT.md section 3); neither having an id counts as agreeing, for the same money twice is worse
-- than two payers mixed up. Of several alike the first goes with the first.
CREATE FUNCTION erp_webhook.pair_twins(company_id int, keys erp_webhook.object_key[]) RETURNS erp_webhook.object_key[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  way text;
  around erp_webhook.bank_item[];
  size int;
  before erp_webhook.bank_twin[];
BEGIN
  -- Everything that shares a reference, or day and amount, with what is new may pair differently now,
  -- and so on outward.
  around := ARRAY(SELECT DISTINCT i
                  FROM erp_webhook.bank_item i
                  JOIN unnest(keys) k ON i.source_id = k.source_id AND i.object_ref = k.object_ref
                  WHERE i.company_id = company_id AND i.item = 'line' AND k.object = 'bank');
  LOOP
    size := cardinality(around);
    around := ARRAY(SELECT DISTINCT near
                    FROM unnest(around) i
                    JOIN erp_webhook.bank_item near ON near.company_id = company_id AND near.item = 'line'
                    AND near.currency = i.currency
                    AND (near.bank_ref = i.bank_ref OR near.day = i.day AND near.amount = i.amount));
    EXIT WHEN cardinality(around) = size;
  END LOOP;
  before := ARRAY(SELECT t FROM erp_webhook.twins_of(company_id, around) t);
  DELETE FROM erp_webhook.bank_twin t USING unnest(before) b WHERE t.company_id = company_id AND t.line_ref = b.line_ref;

  FOREACH way IN ARRAY '{bank_ref,end_to_end_id}'::text[] LOOP
    WITH free AS (
      SELECT a.*,
             row_number() OVER (PARTITION BY a.source_id = 0, k.key
                                ORDER BY a.day, a.object_ref COLLATE "C", a.source_id) AS nth, k.key
      FROM unnest(around) a, LATERAL (SELECT CASE way
        WHEN 'bank_ref' THEN concat_ws('|', a.currency, sign(a.amount), a.bank_ref)
        ELSE concat_ws('|', a.currency, a.amount, a.value_date, a.end_to_end_id) END) k (key)
      WHERE a.state = 'booked' AND CASE way WHEN 'bank_ref' THEN a.bank_ref IS NOT NULL ELSE a.value_date IS NOT NULL END
        AND NOT EXISTS (SELECT FROM erp_webhook.bank_twin t
                        WHERE t.company_id = company_id AND a.source_id = 0 AND t.line_ref = a.object_ref)
        AND NOT EXISTS (SELECT FROM erp_webhook.bank_twin t
                        WHERE t.company_id = company_id AND t.source_id = a.source_id AND t.object_ref = a.object_ref))
    INSERT INTO erp_webhook.bank_twin (company_id, line_ref, source_id, object_ref, known_by)
    SELECT company_id, l.object_ref, e.source_id, e.object_ref, way
    FROM free l JOIN free e ON e.key = l.key AND e.nth = l.nth AND l.source_id = 0 AND e.source_id <> 0
    WHERE way = 'bank_ref' OR l.bank_ref IS NULL OR e.bank_ref IS NULL;
  END LOOP;
  RETURN ARRAY(
    WITH after AS (SELECT t FROM erp_webhook.twins_of(company_id, around) t),
    changed AS ((SELECT b FROM unnest(before) b EXCEPT SELECT t FROM after)
                UNION (SELECT t FROM after EXCEPT SELECT b FROM unnest(before) b))
    SELECT ROW(0, 'bank', (b).line_ref)::erp_webhook.object_key FROM changed
    UNION SELECT ROW((b).source_id, 'bank', (b).object_ref)::erp_webhook.object_key FROM changed);
END
$$;
COMMENT ON FUNCTION erp_webhook.pair_twins(int, erp_webhook.object_key[]) IS
  'find again which statement lines are the money of which bank webhooks; returns what changed';

CREATE FUNCTION erp_webhook.twins_of(company_id int, lines erp_webhook.bank_item[]) RETURNS SETOF erp_webhook.bank_twin
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT t.*
  FROM unnest(lines) l
  JOIN erp_webhook.bank_twin t ON t.company_id = twins_of.company_id AND l.source_id = 0 AND t.line_ref = l.object_ref
  UNION
  SELECT t.*
  FROM unnest(lines) l
  JOIN erp_webhook.bank_twin t
    ON t.company_id = twins_of.company_id AND t.source_id = l.source_id AND t.object_ref = l.object_ref
$$;
COMMENT ON FUNCTION erp_webhook.twins_of(int, erp_webhook.bank_item[]) IS
  'the pairs of statement line and webhook that these lines are part of';
