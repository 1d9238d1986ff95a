-- Facts into objects: which object an event is about, and what all events of one object say together (SETTLEMENT 1).

CREATE FUNCTION erp_webhook.family_of(kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN kind IN ('payment.pending', 'payment.succeeded', 'payment.failed', 'payment.reversed', 'payment.linked') THEN 'payment'
  WHEN kind IN ('refund.succeeded', 'refund.failed') THEN 'refund'
  WHEN kind = 'refund.total' THEN 'refund_total'
  WHEN kind = 'dispute.withdrawn' THEN 'withdrawn'
  WHEN kind = 'dispute.reinstated' THEN 'reinstated'
  WHEN kind IN ('payout.scheduled', 'payout.paid', 'payout.failed') THEN 'payout'
  WHEN kind IN ('bank.credit', 'bank.debit', 'bank.reversed', 'bank.linked') THEN 'bank'
  WHEN kind = 'conversion' THEN 'conversion'
  WHEN kind = 'books.write_off' THEN 'write_off'
END;
COMMENT ON FUNCTION erp_webhook.family_of(text) IS 'the family of object a kind of event is about; NULL: it is about no money';

CREATE FUNCTION erp_webhook.succeeds(kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN kind IN ('payment.succeeded', 'refund.succeeded', 'refund.total', 'dispute.withdrawn', 'dispute.reinstated', 'payout.paid',
                'bank.credit', 'bank.debit', 'conversion', 'books.write_off');
COMMENT ON FUNCTION erp_webhook.succeeds(text) IS 'facts that say the money moved, and how much';

CREATE FUNCTION erp_webhook.takes_back(kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN kind IN ('payment.failed', 'payment.reversed', 'refund.failed', 'payout.failed', 'bank.reversed');
COMMENT ON FUNCTION erp_webhook.takes_back(text) IS 'facts that say the object did not, or does no longer, move money';

-- Keys with their company beside them, as a set the planner cannot look into. Joined on all columns, it makes every
-- look-up one by the whole key; against a constant, a table not yet analysed would seem to hold one row and be read
-- whole. OFFSET 0 serves the same end: a row is looked up for each key, and the planner, who knows nothing of a table
-- after a crash or a restore, is not asked which table to begin with.
CREATE FUNCTION erp_webhook.keyed(int, erp_webhook.object_key[])
RETURNS TABLE (company_id int, source_id int, object text, object_ref text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 10 COST 1
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT $1, k.source_id, k.object, k.object_ref FROM unnest($2) k;
END
$$;
COMMENT ON FUNCTION erp_webhook.keyed(int, erp_webhook.object_key[]) IS 'keys as rows, each with the company';

CREATE FUNCTION erp_webhook.objects_at(company_id int, keys erp_webhook.object_key[]) RETURNS SETOF erp_webhook.money_object
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
  SELECT o.*
  FROM erp_webhook.keyed(objects_at.company_id, objects_at.keys) k
  CROSS JOIN LATERAL (SELECT o.* FROM erp_webhook.money_object o
                      WHERE o.company_id = k.company_id AND o.source_id = k.source_id
                        AND o.object = k.object AND o.object_ref = k.object_ref OFFSET 0) o;
END;
COMMENT ON FUNCTION erp_webhook.objects_at(int, erp_webhook.object_key[]) IS 'the objects of keys, each looked up by its key';

-- The objects events are about. A link is about the payment it names; a cumulative refund about its payment; a bank
-- line is known by its bank reference where it has one, so that its reversal finds it (a line of a statement, source 0,
-- by the name its import gave it). What takes back and names no
-- payment stands under its own name, and is nobody's.
CREATE FUNCTION erp_webhook.objects_named(events erp_webhook.event[]) RETURNS TABLE (
  source_id int, object text, object_ref text, denomination text, payment_ref text, event_id bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT e.source_id, f.family,
         CASE WHEN e.kind = 'payment.linked' THEN coalesce(e.payment_ref, e.object_ref)
              WHEN f.family = 'refund_total' THEN coalesce(e.payment_ref, e.object_ref)
              WHEN e.kind = 'bank.reversed' THEN coalesce(e.bank_ref, e.payment_ref, e.object_ref, e.external_id)
              WHEN f.family = 'bank' AND e.source_id <> 0 THEN coalesce(e.bank_ref, e.object_ref, e.external_id)
              WHEN f.family = 'payout' THEN coalesce(e.object_ref, e.payout_ref, e.external_id)
              ELSE coalesce(e.object_ref, e.payment_ref, e.external_id) END,
         CASE WHEN f.family = 'payout' THEN coalesce(e.currency, '') ELSE '' END,
         CASE WHEN f.family IN ('payment', 'refund_total', 'refund', 'withdrawn', 'reinstated')
              THEN coalesce(e.payment_ref, e.object_ref, e.external_id)
              WHEN e.kind = 'bank.debit' THEN e.payment_ref END,
         e.event_id
  FROM unnest(objects_named.events) e CROSS JOIN LATERAL (SELECT erp_webhook.family_of(e.kind) AS family) f
  WHERE f.family IS NOT NULL AND e.state = 'applied';
END;
COMMENT ON FUNCTION erp_webhook.objects_named(erp_webhook.event[]) IS 'which object each event is about';

-- The facts of objects, each with the moment that orders it. Facts without a currency speak of every part of a payout.
CREATE FUNCTION erp_webhook.facts_of(company_id int, keys erp_webhook.object_key[]) RETURNS TABLE (
  source_id int, object text, object_ref text, denomination text, payment_ref text, at timestamptz, fact erp_webhook.event)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT o.source_id, o.object, o.object_ref, o.denomination, o.payment_ref,
         erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at), e.fact
  FROM erp_webhook.objects_at(facts_of.company_id, facts_of.keys) o
  CROSS JOIN LATERAL (SELECT t.facts FROM erp_webhook.money_object t
                      WHERE t.company_id = o.company_id AND t.source_id = o.source_id
                        AND t.object = o.object AND t.object_ref = o.object_ref
                        AND t.denomination IN (o.denomination, '') OFFSET 0) told
  CROSS JOIN LATERAL unnest(told.facts) f (event_id)
  CROSS JOIN LATERAL (SELECT e AS fact, e.occurred_at, e.signed_at, e.received_at FROM erp_webhook.event e
                      WHERE e.company_id = o.company_id AND e.event_id = f.event_id AND e.state = 'applied' OFFSET 0) e;
END;
COMMENT ON FUNCTION erp_webhook.facts_of(int, erp_webhook.object_key[]) IS 'the applied events of objects';

-- What the facts of each object say together. Amount and currency come from the latest fact that asserts them (of one
-- moment, the smallest external id); whether it counts, from the latest whole second of success and failure: in the
-- same second a payment or bank line succeeded, a refund or payout failed. A total that grows contradicts nothing, nor
-- does a person who corrects what she wrote off.
CREATE FUNCTION erp_webhook.merged_objects(company_id int, keys erp_webhook.object_key[]) RETURNS TABLE (
  source_id int, object text, object_ref text, denomination text, payment_ref text, reversal boolean, amount numeric, currency text,
  succeeded_at timestamptz, effective boolean, decided_by bigint, contradicted boolean, debit_side boolean,
  fee numeric, fee_currency text, fee_by bigint, to_amount numeric, to_currency text,
  value_date date, payout_ref text, bank_ref text, end_to_end_id text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  WITH said AS (
    SELECT f.source_id, f.object, f.object_ref, f.denomination, f.at, f.fact,
           -- Reversed, and never said to be a payment itself: a reversal with an amount of its own.
           f.object = 'payment' AND bool_and((f.fact).kind IN ('payment.reversed', 'payment.linked')) OVER of_object
             AND bool_or((f.fact).kind = 'payment.reversed') OVER of_object AS reversal
    FROM erp_webhook.facts_of(merged_objects.company_id, merged_objects.keys) f
    WINDOW of_object AS (PARTITION BY f.source_id, f.object, f.object_ref)
  ), fact AS (
    SELECT s.*, CASE WHEN s.reversal THEN (s.fact).kind = 'payment.reversed'
                     ELSE erp_webhook.succeeds((s.fact).kind) END AS succeeds,
           NOT s.reversal AND erp_webhook.takes_back((s.fact).kind) AS takes_back
    FROM said s
  ), standing AS (
    SELECT f.source_id, f.object, f.object_ref, f.denomination, bool_or(f.reversal) AS reversal,
           min(f.at) FILTER (WHERE f.succeeds) AS succeeded_at,
           max(date_trunc('second', f.at, 'UTC')) FILTER (WHERE f.succeeds) AS last_success,
           max(date_trunc('second', f.at, 'UTC')) FILTER (WHERE f.takes_back) AS last_failure,
           (array_agg(f.fact ORDER BY f.at DESC, (f.fact).external_id COLLATE "C")
             FILTER (WHERE f.succeeds AND (f.fact).amount IS NOT NULL AND (f.fact).currency IS NOT NULL))[1] AS asserted,
           (array_agg(f.fact ORDER BY f.at DESC, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).fee IS NOT NULL))[1] AS charged,
           (array_agg((f.fact).event_id ORDER BY f.at DESC, (f.fact).external_id COLLATE "C")
             FILTER (WHERE f.takes_back))[1] AS taken_back_by,
           count(DISTINCT ((f.fact).amount, (f.fact).currency))
             FILTER (WHERE f.succeeds AND (f.fact).amount IS NOT NULL AND (f.fact).currency IS NOT NULL) > 1
             AND f.object NOT IN ('refund_total', 'write_off') AS contradicted,
           (array_agg((f.fact).payment_ref ORDER BY f.at, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).payment_ref IS NOT NULL
               AND ((f.fact).kind = 'bank.debit' OR f.object <> 'bank' AND (f.fact).kind <> 'payment.linked')))[1] AS payment_ref,
           (array_agg((f.fact).value_date ORDER BY f.at, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).value_date IS NOT NULL))[1] AS value_date,
           (array_agg((f.fact).payout_ref ORDER BY f.at, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).payout_ref IS NOT NULL))[1] AS payout_ref,
           (array_agg((f.fact).bank_ref ORDER BY f.at, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).bank_ref IS NOT NULL))[1] AS bank_ref,
           (array_agg((f.fact).end_to_end_id ORDER BY f.at, (f.fact).external_id COLLATE "C")
             FILTER (WHERE (f.fact).end_to_end_id IS NOT NULL))[1] AS end_to_end_id
    FROM fact f GROUP BY f.source_id, f.object, f.object_ref, f.denomination
  ), judged AS (
    SELECT s.*, s.last_success IS NOT NULL AND (s.last_failure IS NULL OR s.last_success > s.last_failure
                  OR s.last_success = s.last_failure AND s.object IN ('payment', 'bank')) AS effective
    FROM standing s
  )
  SELECT j.source_id, j.object, j.object_ref, j.denomination,
         CASE WHEN j.object IN ('payment', 'refund', 'refund_total', 'withdrawn', 'reinstated')
              THEN coalesce(j.payment_ref, j.object_ref)
              WHEN j.object = 'bank' THEN j.payment_ref END,
         j.reversal, (j.asserted).amount, (j.asserted).currency, j.succeeded_at,
         j.effective AND (j.object <> 'bank' OR erp_webhook.bank_posts(merged_objects.company_id, j.source_id, j.object_ref)),
         CASE WHEN j.effective THEN (j.asserted).event_id ELSE j.taken_back_by END, j.contradicted,
         coalesce((j.asserted).kind = 'bank.debit', false),
         (j.charged).fee,
         CASE WHEN (j.charged).fee IS NOT NULL
              THEN coalesce((j.charged).fee_currency, (j.charged).currency, (j.asserted).currency) END,
         (j.charged).event_id,
         (j.asserted).to_amount, (j.asserted).to_currency, j.value_date, j.payout_ref, j.bank_ref, j.end_to_end_id
  FROM judged j;
END;
COMMENT ON FUNCTION erp_webhook.merged_objects(int, erp_webhook.object_key[]) IS
  'SETTLEMENT 1: the facts of each object, merged without regard to arrival';

-- Everything that belongs to the payments or bank lines given: the object itself, and what names it.
CREATE FUNCTION erp_webhook.objects_of(company_id int, groups erp_webhook.object_key[])
RETURNS TABLE (grouped_as text, group_ref text, o erp_webhook.money_object)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT o.object, o.object_ref, o
  FROM erp_webhook.objects_at(objects_of.company_id, objects_of.groups) o
  -- A capture that goes by another payment's name belongs to that one, though something may name it as a payment.
  WHERE o.object <> 'payment' OR o.payment_ref = o.object_ref
  UNION ALL
  SELECT g.object, g.object_ref, o
  FROM erp_webhook.keyed(objects_of.company_id, objects_of.groups) g
  JOIN erp_webhook.money_object o ON o.company_id = g.company_id AND o.source_id = g.source_id
    AND o.payment_ref = g.object_ref AND (o.object <> 'payment' OR o.object_ref <> o.payment_ref)
  WHERE g.object = 'payment' OR o.object = 'bank';
END;
COMMENT ON FUNCTION erp_webhook.objects_of(int, erp_webhook.object_key[]) IS
  'the objects of receipts: captures, reversals, refunds, disputes';

-- What the facts of a receipt say about whom and what it is for: references in order, first mention first; a person's
-- latest assignment goes before all of them; account and subscription the first known.
CREATE FUNCTION erp_webhook.merged_receipts(company_id int, groups erp_webhook.object_key[]) RETURNS TABLE (
  source_id int, object text, object_ref text, refs text[], ref_amounts numeric[], account_ref text, subscription_ref text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT g.source_id, g.object, g.object_ref, said.refs, said.ref_amounts, said.account_ref, said.subscription_ref
  FROM unnest(merged_receipts.groups) g
  CROSS JOIN LATERAL (
    WITH fact AS (
      SELECT e.*, erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at) AS at,
             e.origin = 'person' AND e.type = 'assign' AS assigns
      FROM erp_webhook.objects_of(merged_receipts.company_id,
             ARRAY[ROW(g.source_id, g.object, g.object_ref)::erp_webhook.object_key]) m
      CROSS JOIN LATERAL unnest((m.o).facts) f (event_id)
      CROSS JOIN LATERAL (SELECT e.* FROM erp_webhook.event e
                          WHERE e.company_id = (m.o).company_id AND e.event_id = f.event_id AND e.state = 'applied' OFFSET 0) e
      WHERE (m.o).object = g.object AND NOT ((m.o).reversal AND e.kind = 'payment.reversed')
        AND ((m.o).object = 'payment' OR (m.o).object_ref = g.object_ref)
    ), mention AS (
      SELECT trim(c.ref) AS ref, c.ceiling, row_number() OVER (ORDER BY f.at, f.external_id COLLATE "C", c.n) AS n
      FROM fact f
      CROSS JOIN LATERAL unnest(f.correlation, f.correlation_amounts) WITH ORDINALITY c (ref, ceiling, n)
      WHERE trim(c.ref) <> ''
        AND f.event_id = coalesce(
              (SELECT max(a.event_id) FROM fact a WHERE a.assigns AND cardinality(a.correlation) > 0), f.event_id)
    ), named AS (
      SELECT DISTINCT ON (m.ref) m.ref, m.ceiling, m.n FROM mention m ORDER BY m.ref, m.n
    )
    SELECT (SELECT array_agg(n.ref ORDER BY n.n) FROM named n) AS refs,
           (SELECT array_agg(n.ceiling ORDER BY n.n) FROM named n HAVING count(n.ceiling) > 0) AS ref_amounts,
           (array_agg(f.account_ref ORDER BY f.assigns DESC, f.at, f.external_id COLLATE "C")
             FILTER (WHERE f.account_ref IS NOT NULL))[1] AS account_ref,
           (array_agg(f.subscription_ref ORDER BY f.at, f.external_id COLLATE "C")
             FILTER (WHERE f.subscription_ref IS NOT NULL))[1] AS subscription_ref
    FROM fact f) said;
END;
COMMENT ON FUNCTION erp_webhook.merged_receipts(int, erp_webhook.object_key[]) IS
  'SETTLEMENT 1.2: what a receipt is for, as all its facts together say';
