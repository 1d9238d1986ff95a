-- Subscriptions and the accounts they suspend (SETTLEMENT 4).

-- A status message (past due, unpaid) says how things are, not that another attempt failed.
CREATE FUNCTION erp_webhook.is_status(e erp_webhook.event) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (e).kind = 'subscription.payment_failed' AND (e).attempt IS NULL AND (e).amount IS NULL AND (e).payment_ref IS NULL
   AND coalesce((e).type, '') ~* '(updated|past_?due|status|halted|suspended|paused)';
COMMENT ON FUNCTION erp_webhook.is_status(erp_webhook.event) IS 'does a failure only report a state, and so count as no attempt?';

-- Everything that says whether a subscription is paid: its own events, payments of it (success and failure), and
-- receipts that name one of its invoices (success only).
CREATE FUNCTION erp_webhook.facts_of_subscriptions(company_id int, refs text[]) RETURNS TABLE (
  source_id int, subscription_ref text, moment timestamptz, at timestamptz,
  own boolean, success boolean, failure boolean, cancels boolean, fact erp_webhook.event)
LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH known AS (
    SELECT s.company_id, s.source_id, s.subscription_ref, s.facts FROM erp_webhook.subscription s
    WHERE s.company_id = facts_of_subscriptions.company_id AND s.subscription_ref = ANY (facts_of_subscriptions.refs)
  ), payer AS (
    SELECT k.source_id AS of_source, k.subscription_ref, true AS own, o.source_id, o.object, o.object_ref
    FROM known k JOIN erp_webhook.money_object o ON o.company_id = k.company_id
      AND o.subscription_ref = k.subscription_ref AND o.source_id = k.source_id
    UNION
    SELECT k.source_id, k.subscription_ref, false, r.source_id, r.object, r.object_ref
    FROM known k
    JOIN erp_webhook.invoice i ON i.company_id = k.company_id AND i.subscription_ref = k.subscription_ref
    CROSS JOIN LATERAL (
      SELECT r.source_id, r.object, r.object_ref FROM erp_webhook.reference r
      WHERE r.company_id = i.company_id AND r.ref = i.number AND r.object <> 'subscription'
      UNION SELECT o.source_id, o.object, o.object_ref FROM erp_webhook.money_object o
      WHERE o.company_id = i.company_id AND o.subscription_ref = i.subscription_ref) r
    -- Money that comes to an invoice only because it is the oldest names nothing.
    WHERE i.invoice_id IN (SELECT n.invoice_id FROM erp_webhook.invoices_named(
      facts_of_subscriptions.company_id, ARRAY[ROW(r.source_id, r.object, r.object_ref)::erp_webhook.object_key]) n)
  ), told AS (
    SELECT k.company_id, k.source_id, k.subscription_ref, true AS own, f.event_id
    FROM known k CROSS JOIN LATERAL unnest(k.facts) f (event_id)
    UNION
    SELECT (m.o).company_id, p.of_source, p.subscription_ref, p.own, f.event_id
    FROM payer p
    CROSS JOIN LATERAL erp_webhook.objects_of(
      facts_of_subscriptions.company_id, ARRAY[ROW(p.source_id, p.object, p.object_ref)::erp_webhook.object_key]) m
    CROSS JOIN LATERAL unnest((m.o).facts) f (event_id)
    WHERE (m.o).object IN ('payment', 'bank')
  )
  SELECT t.source_id, t.subscription_ref, m.moment, date_trunc('second', m.moment, 'UTC'), t.own,
         e.kind IN ('payment.succeeded', 'bank.credit', 'subscription.recovered'),
         t.own AND e.kind IN ('subscription.payment_failed', 'payment.failed', 'payment.reversed'),
         e.kind = 'subscription.cancelled', e.fact
  FROM told t
  CROSS JOIN LATERAL (SELECT e AS fact, e.* FROM erp_webhook.event e
                      WHERE e.company_id = t.company_id AND e.event_id = t.event_id AND e.state = 'applied' OFFSET 0) e
  CROSS JOIN LATERAL (SELECT erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at)) m (moment);
END;
COMMENT ON FUNCTION erp_webhook.facts_of_subscriptions(int, text[]) IS 'what says whether subscriptions are paid';

-- The latest of failure and success decides; in the same second, success. Failures since the last success count by
-- attempt, where a fact names one, else by time.
CREATE FUNCTION erp_webhook.judged_subscriptions(company_id int, refs text[]) RETURNS TABLE (
  source_id int, subscription_ref text, account_ref text, named text[], failing boolean, attempts bigint, first_failure timestamptz,
  last_failure timestamptz, cancelled boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH fact AS (
    SELECT * FROM erp_webhook.facts_of_subscriptions(judged_subscriptions.company_id, judged_subscriptions.refs)
  ), last AS (
    SELECT f.source_id, f.subscription_ref, max(f.at) FILTER (WHERE f.success) AS success,
           max(f.at) FILTER (WHERE f.cancels) AS cancelled,
           max(f.at) FILTER (WHERE (f.fact).kind = 'subscription.recovered') AS recovered,
           (array_agg((f.fact).account_ref ORDER BY f.moment, (f.fact).external_id COLLATE "C")
              FILTER (WHERE f.own AND (f.fact).account_ref IS NOT NULL))[1] AS account_ref
    FROM fact f GROUP BY f.source_id, f.subscription_ref
  ), named AS (
    SELECT f.source_id, f.subscription_ref, array_agg(r.ref ORDER BY f.moment, (f.fact).external_id COLLATE "C", r.n) AS refs
    FROM fact f CROSS JOIN LATERAL unnest((f.fact).correlation) WITH ORDINALITY r (ref, n)
    WHERE f.own AND (f.fact).subscription_ref = f.subscription_ref GROUP BY f.source_id, f.subscription_ref
  ), since AS (
    SELECT f.source_id, f.subscription_ref, min(f.at) AS first_failure, max(f.at) AS last_failure,
           count(DISTINCT coalesce((f.fact).attempt, f.at::text)) FILTER (WHERE NOT erp_webhook.is_status(f.fact)) AS attempts
    FROM fact f JOIN last l USING (source_id, subscription_ref)
    WHERE f.failure AND (l.success IS NULL OR f.at > l.success) GROUP BY f.source_id, f.subscription_ref
  )
  SELECT l.source_id, l.subscription_ref, l.account_ref, coalesce(n.refs, '{}'),
         s.last_failure IS NOT NULL, coalesce(s.attempts, 0), s.first_failure, s.last_failure,
         l.cancelled IS NOT NULL AND (l.recovered IS NULL OR l.cancelled >= l.recovered)
  FROM last l LEFT JOIN since s USING (source_id, subscription_ref) LEFT JOIN named n USING (source_id, subscription_ref);
END
$$;
COMMENT ON FUNCTION erp_webhook.judged_subscriptions(int, text[]) IS
  'SETTLEMENT 4: does the latest fact of each subscription say that it failed, and how often since it last succeeded';

CREATE FUNCTION erp_webhook.grace_ends(policy text, first_failure timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN policy LIKE 'grace:%' THEN
  CASE WHEN first_failure < '2900-01-01 00:00:00+00' THEN first_failure ELSE first_failure - interval '8766000 hours' END
  + substr(policy, 7)::interval END;
COMMENT ON FUNCTION erp_webhook.grace_ends(text, timestamptz) IS
  'when a failing subscription begins to suspend, under policy grace:interval';

CREATE FUNCTION erp_webhook.judge_subscriptions(company_id int, refs text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := judge_subscriptions.company_id;
  accounts int[];
BEGIN
  SELECT array_agg(DISTINCT s.account_id) INTO accounts
  FROM erp_webhook.subscription s
  WHERE s.company_id = company AND s.subscription_ref = ANY (judge_subscriptions.refs) AND s.account_id IS NOT NULL;

  WITH judged AS (
    SELECT j.*, erp_webhook.policy_on(company, 'suspend', erp_webhook.day_of_moment(company, j.last_failure)) AS policy
    FROM erp_webhook.judged_subscriptions(company, judge_subscriptions.refs) j
  ), verdict AS (
    SELECT j.*, j.failing AND CASE
             WHEN j.policy LIKE 'after:%' THEN j.attempts >= substr(j.policy, 7)::int
             WHEN j.policy LIKE 'grace:%' THEN erp_webhook.grace_ends(j.policy, j.first_failure) <= clock_timestamp()
             ELSE true END AS suspends,
           coalesce(
             erp_webhook.linked_account(company, j.source_id, j.subscription_ref),
             erp_webhook.linked_account(company, j.source_id, j.account_ref),
             (SELECT i.account_id FROM erp_webhook.invoice i
              WHERE i.company_id = company AND i.subscription_ref = j.subscription_ref
              ORDER BY i.due_on, i.number COLLATE "C" LIMIT 1),
             (SELECT i.account_id FROM unnest(j.named) WITH ORDINALITY r (ref, n)
              CROSS JOIN LATERAL unnest(
                CASE WHEN EXISTS (SELECT FROM erp_webhook.invoice x WHERE x.company_id = company AND x.number = r.ref)
                     THEN ARRAY[r.ref] ELSE erp_webhook.words(r.ref) END) WITH ORDINALITY w (number, m)
              JOIN erp_webhook.invoice i ON i.company_id = company AND i.number = w.number ORDER BY r.n, w.m LIMIT 1)) AS account_id
    FROM judged j
  )
  UPDATE erp_webhook.subscription s
  SET account_id = v.account_id, account_ref = v.account_ref, refs = v.named, suspended = v.suspends,
      due_at = CASE WHEN v.failing AND NOT v.suspends THEN erp_webhook.grace_ends(v.policy, v.first_failure) END,
      state = CASE WHEN v.cancelled THEN 'cancelled' WHEN v.suspends THEN 'suspended'
                   WHEN v.failing THEN 'past_due' ELSE 'active' END
  FROM verdict v
  WHERE s.company_id = company AND s.source_id = v.source_id AND s.subscription_ref = v.subscription_ref;

  INSERT INTO erp_webhook.reference (company_id, ref, source_id, object, object_ref)
  SELECT company, n.number, s.source_id, 'subscription', s.subscription_ref
  FROM erp_webhook.subscription s CROSS JOIN LATERAL unnest(erp_webhook.numbers_in(s.refs)) n (number)
  WHERE s.company_id = company AND s.subscription_ref = ANY (judge_subscriptions.refs) ON CONFLICT DO NOTHING;

  SELECT array_agg(DISTINCT a) INTO accounts FROM (
    SELECT unnest(accounts) UNION
    SELECT s.account_id FROM erp_webhook.subscription s
    WHERE s.company_id = company AND s.subscription_ref = ANY (judge_subscriptions.refs)) x (a)
  WHERE a IS NOT NULL;
  PERFORM erp_webhook.judge_accounts(company, accounts);
END
$$;
COMMENT ON FUNCTION erp_webhook.judge_subscriptions(int, text[]) IS
  'set what subscriptions are, and suspend or restore their accounts';

-- An account is suspended while any subscription of its is. Whoever asked to know is told in the same transaction.
CREATE FUNCTION erp_webhook.judge_accounts(company_id int, accounts int[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET erp_webhook.settling = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := judge_accounts.company_id;
  kinds text[]; nos text[]; payloads jsonb[];
BEGIN
  WITH verdict AS (
    SELECT a.account_id,
           CASE WHEN EXISTS (SELECT FROM erp_webhook.subscription s
                             WHERE s.company_id = company AND s.account_id = a.account_id AND s.suspended)
                THEN 'suspended' ELSE 'active' END AS state
    FROM unnest(accounts) a (account_id)
  ), changed AS (
    UPDATE erp_webhook.account a SET state = v.state FROM verdict v
    WHERE a.company_id = company AND a.account_id = v.account_id AND a.state <> v.state
    RETURNING a.account_id, a.account_no, a.state
  )
  SELECT array_agg(CASE c.state WHEN 'suspended' THEN 'account.suspended' ELSE 'account.restored' END ORDER BY c.account_id),
         array_agg(c.account_no ORDER BY c.account_id),
         array_agg(jsonb_build_object('account_no', c.account_no, 'state', c.state) ORDER BY c.account_id)
  INTO kinds, nos, payloads FROM changed c;
  IF kinds IS NOT NULL THEN
    PERFORM erp_webhook.notify_all(company, kinds, array_fill('account'::text, ARRAY[cardinality(kinds)]), nos, payloads);
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.judge_accounts(int, int[]) IS 'suspend or restore accounts, and queue the notification';
