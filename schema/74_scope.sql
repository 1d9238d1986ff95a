-- What a set of facts touches, and the locks that keep facts from missing each other (DESIGN 7, last paragraph).
--
--   named ──▶ widen ──▶ hold ──▶ widen again, in a new statement: as before? settle : let go, try again
--
-- Order everywhere: meeting, account, invoice, object, each ascending. Whoever settles a receipt holds the invoices it
-- names, so holding all invoices of a component holds the component.
--
-- One keeps to no order: who corrects an invoice (UPDATE) holds its row before we are asked. So nobody waits here for
-- long: what cannot be held in time (less than deadlock_timeout's default, after which the server looks for one to end)
-- is let go, all of it, and tried again; only the fiftieth time as long as it takes.

CREATE TYPE erp_webhook.scope AS (
  numbers text[], bare_subscriptions text[], created text[], subscriptions text[], invoices bigint[], accounts int[],
  groups erp_webhook.object_key[], touched erp_webhook.object_key[], objects erp_webhook.object_key[],
  links erp_webhook.object_key[], linking erp_webhook.object_key);
COMMENT ON TYPE erp_webhook.scope IS
  'what is settled together. numbers: invoice numbers that facts name; bare_subscriptions: subscriptions named by receipts without numbers; '
  'created: numbers that appear just now; subscriptions: to be judged again; groups: receipts to allocate again; touched: receipts with new facts; '
  'objects: money objects to book again; links: customers of providers that facts name; linking: the customer that is being linked';

CREATE FUNCTION erp_webhook.join_keys(a erp_webhook.object_key[], b erp_webhook.object_key[]) RETURNS erp_webhook.object_key[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT k::erp_webhook.object_key ORDER BY k::erp_webhook.object_key), '{}')
          FROM unnest(a || b) k);
END
$$;
COMMENT ON FUNCTION erp_webhook.join_keys(erp_webhook.object_key[], erp_webhook.object_key[]) IS 'the union, sorted';

CREATE FUNCTION erp_webhook.join_ids(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT u ORDER BY u), '{}') FROM unnest(a || b) u WHERE u IS NOT NULL);
END
$$;
COMMENT ON FUNCTION erp_webhook.join_ids(bigint[], bigint[]) IS 'the union, sorted';

CREATE FUNCTION erp_webhook.join_names(a text[], b text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT u ORDER BY u), '{}') FROM unnest(a || b) u WHERE u IS NOT NULL);
END
$$;
COMMENT ON FUNCTION erp_webhook.join_names(text[], text[]) IS 'the union, sorted';

-- What events name by themselves.
CREATE FUNCTION erp_webhook.named(events erp_webhook.event[]) RETURNS erp_webhook.scope
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN (WITH about AS (
    SELECT o.*, e.correlation, e.subscription_ref
    FROM erp_webhook.objects_named(named.events) o JOIN unnest(named.events) e USING (event_id)
  ), receipt AS (
    SELECT DISTINCT a.source_id, g.object, g.object_ref
    FROM about a
    CROSS JOIN LATERAL (VALUES ('payment', CASE WHEN a.object <> 'bank' THEN a.payment_ref END),
                               ('bank', CASE WHEN a.object = 'bank' THEN a.object_ref END),
                               ('bank', CASE WHEN a.object = 'bank' THEN a.payment_ref END),
                               ('payment', CASE WHEN a.object = 'bank' THEN a.payment_ref END)) g (object, object_ref)
    WHERE g.object_ref IS NOT NULL
  )
  SELECT ROW(
    coalesce((SELECT array_agg(DISTINCT n.number)
              FROM unnest(named.events) e CROSS JOIN LATERAL unnest(erp_webhook.numbers_in(e.correlation)) n (number)
              WHERE erp_webhook.family_of(e.kind) IN ('payment', 'bank', 'write_off') OR e.kind LIKE 'subscription.%'), '{}'),
    coalesce((SELECT array_agg(DISTINCT a.subscription_ref) FROM about a
              WHERE a.object IN ('payment', 'bank') AND a.subscription_ref IS NOT NULL
                AND coalesce(cardinality(a.correlation), 0) = 0), '{}'),
    '{}'::text[],
    coalesce((SELECT array_agg(DISTINCT e.subscription_ref) FROM unnest(named.events) e
              WHERE e.subscription_ref IS NOT NULL), '{}'),
    '{}'::bigint[], '{}'::int[],
    coalesce((SELECT array_agg(ROW(r.source_id, r.object, r.object_ref)::erp_webhook.object_key) FROM receipt r), '{}'),
    coalesce((SELECT array_agg(ROW(r.source_id, r.object, r.object_ref)::erp_webhook.object_key) FROM receipt r), '{}'),
    coalesce((SELECT array_agg(DISTINCT ROW(a.source_id, a.object, a.object_ref)::erp_webhook.object_key) FROM about a), '{}'),
    coalesce((SELECT array_agg(DISTINCT ROW(e.source_id, 'link', x.ref)::erp_webhook.object_key)
              FROM unnest(named.events) e CROSS JOIN LATERAL (VALUES (e.account_ref), (e.subscription_ref)) x (ref)
              WHERE x.ref IS NOT NULL), '{}'), NULL)::erp_webhook.scope);
END
$$;
COMMENT ON FUNCTION erp_webhook.named(erp_webhook.event[]) IS 'what events name by themselves';

CREATE FUNCTION erp_webhook.beyond(met bigint[], known bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  RETURN (SELECT coalesce(array_agg(x.u), '{}') FROM (SELECT unnest(met) EXCEPT SELECT unnest(known)) x (u) WHERE x.u IS NOT NULL);
END
$$;
COMMENT ON FUNCTION erp_webhook.beyond(bigint[], bigint[]) IS 'those met that were not known';

CREATE FUNCTION erp_webhook.beyond(met erp_webhook.object_key[], known erp_webhook.object_key[]) RETURNS erp_webhook.object_key[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(array_agg(ROW(x.source_id, x.object, x.object_ref)::erp_webhook.object_key), '{}')
          FROM (SELECT k.source_id, k.object, k.object_ref FROM unnest(met) k
                EXCEPT SELECT k.source_id, k.object, k.object_ref FROM unnest(known) k) x);
END
$$;
COMMENT ON FUNCTION erp_webhook.beyond(erp_webhook.object_key[], erp_webhook.object_key[]) IS 'those met that were not known';

-- One step outward from edge: the invoices its receipts name, the receipts that name (or pay) its invoices, and, where
-- money goes to the oldest invoice, all of its accounts. Only what is not in s: a component of hundreds is walked once.
CREATE FUNCTION erp_webhook.next_to(company_id int, edge erp_webhook.scope, s erp_webhook.scope, by_due_date boolean)
RETURNS erp_webhook.scope
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := next_to.company_id;
  step erp_webhook.scope;
  known text[]; bare text[]; invoices bigint[]; groups erp_webhook.object_key[]; accounts int[];
BEGIN
  SELECT array_agg(r.ref), array_agg(o.subscription_ref) FILTER (WHERE coalesce(cardinality(o.refs), 0) = 0) INTO known, bare
  FROM erp_webhook.objects_at(company, edge.groups) o
  LEFT JOIN LATERAL unnest(o.refs) r (ref) ON true;
  known := erp_webhook.join_names(edge.numbers, erp_webhook.numbers_in(known));
  bare := erp_webhook.join_names(edge.bare_subscriptions, bare);
  SELECT array_agg(i.invoice_id) INTO invoices
  FROM (SELECT i.invoice_id FROM erp_webhook.invoice i WHERE i.company_id = company AND i.number = ANY (known)
        UNION ALL SELECT i.invoice_id FROM erp_webhook.invoice i WHERE i.company_id = company AND i.subscription_ref = ANY (bare)
        UNION ALL SELECT i.invoice_id FROM erp_webhook.invoice i
          WHERE i.company_id = company AND i.account_id = ANY (edge.accounts) AND by_due_date) i;

  SELECT array_agg(i.number), array_agg(i.subscription_ref) FILTER (WHERE i.subscription_ref IS NOT NULL), array_agg(i.account_id)
  INTO known, bare, accounts FROM erp_webhook.invoice i WHERE i.company_id = company AND i.invoice_id = ANY (edge.invoices);
  SELECT array_agg(ROW(r.source_id, r.object, r.object_ref)::erp_webhook.object_key) INTO groups
  FROM (SELECT a.source_id, a.object, a.object_ref FROM unnest(edge.invoices) i (invoice_id)  -- looked up one by one: see keyed()
          CROSS JOIN LATERAL (SELECT a.* FROM erp_webhook.allocation a
                              WHERE a.company_id = company AND a.invoice_id = i.invoice_id OFFSET 0) a
        UNION ALL SELECT r.source_id, r.object, r.object_ref FROM unnest(known) k (number)
          CROSS JOIN LATERAL (SELECT r.* FROM erp_webhook.reference r WHERE r.company_id = company AND r.ref = k.number OFFSET 0) r
          WHERE r.object <> 'subscription'
        UNION ALL SELECT o.source_id, o.object, o.object_ref FROM erp_webhook.money_object o
          WHERE o.company_id = company AND o.subscription_ref = ANY (bare) AND coalesce(cardinality(o.refs), 0) = 0
        UNION ALL SELECT r.source_id, r.object, r.object_ref FROM erp_webhook.receipt_standing r
          WHERE r.company_id = company AND r.account_id = ANY (edge.accounts) AND by_due_date) r;

  IF by_due_date THEN
    SELECT accounts || array_agg(a.account_id) INTO accounts
    FROM (SELECT erp_webhook.linked_account(company, l.source_id, l.object_ref)
                  FROM unnest(edge.links) l  -- of facts that are no object yet
          UNION SELECT r.account_id FROM erp_webhook.keyed(company, edge.groups) g
                  JOIN erp_webhook.receipt_standing r ON r.company_id = g.company_id AND r.source_id = g.source_id
                    AND r.object = g.object AND r.object_ref = g.object_ref
          UNION SELECT erp_webhook.linked_account(company, o.source_id, o.account_ref)
                  FROM erp_webhook.objects_at(company, edge.groups) o) a (account_id);
    step.accounts := erp_webhook.beyond(accounts, s.accounts);
  END IF;
  step.invoices := erp_webhook.beyond(invoices, s.invoices);
  step.groups := erp_webhook.beyond(groups, s.groups);
  RETURN step;
END
$$;
COMMENT ON FUNCTION erp_webhook.next_to(int, erp_webhook.scope, erp_webhook.scope, boolean) IS
  'one step: invoices of receipts, receipts of invoices, all of the account where policy says so';

-- The accounts that judging subscriptions may suspend or restore.
CREATE FUNCTION erp_webhook.accounts_of_subscriptions(company_id int, subscriptions text[], numbers text[]) RETURNS int[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT a.account_id ORDER BY a.account_id), '{}')
  FROM (SELECT s.account_id FROM erp_webhook.subscription s
        WHERE s.company_id = accounts_of_subscriptions.company_id AND s.subscription_ref = ANY (subscriptions)
        UNION SELECT erp_webhook.linked_account(s.company_id, s.source_id, x.ref) FROM erp_webhook.subscription s
        CROSS JOIN LATERAL (VALUES (s.account_ref), (s.subscription_ref)) x (ref)
        WHERE s.company_id = accounts_of_subscriptions.company_id AND s.subscription_ref = ANY (subscriptions)
        UNION SELECT i.account_id FROM erp_webhook.subscription s
        CROSS JOIN LATERAL unnest(erp_webhook.numbers_in(s.refs)) n (number)
        JOIN erp_webhook.invoice i ON i.company_id = s.company_id AND i.number = n.number
        WHERE s.company_id = accounts_of_subscriptions.company_id AND s.subscription_ref = ANY (subscriptions)
        UNION SELECT i.account_id FROM erp_webhook.invoice i
        WHERE i.company_id = accounts_of_subscriptions.company_id AND i.subscription_ref = ANY (subscriptions)
        UNION SELECT i.account_id FROM erp_webhook.invoice i
        WHERE i.company_id = accounts_of_subscriptions.company_id AND i.number = ANY (numbers)) a
  WHERE a.account_id IS NOT NULL);
END
$$;
COMMENT ON FUNCTION erp_webhook.accounts_of_subscriptions(int, text[], text[]) IS 'whom subscriptions may suspend';

-- The receipts and bank lines that name a customer of a provider.
CREATE FUNCTION erp_webhook.waiting_for_link(company_id int, link erp_webhook.object_key) RETURNS SETOF erp_webhook.object_key
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := waiting_for_link.company_id;
BEGIN
  RETURN QUERY
  SELECT DISTINCT o.source_id, o.object, o.object_ref
  FROM (SELECT r.company_id, r.source_id, r.object, r.object_ref FROM erp_webhook.receipt_standing r
        WHERE r.company_id = company AND r.source_id = link.source_id
        UNION SELECT b.company_id, b.source_id, b.object, b.object_ref FROM erp_webhook.money_object b
        WHERE b.company_id = company AND b.source_id = link.source_id AND b.object = 'bank' AND b.account_ref = link.object_ref) r
  JOIN erp_webhook.money_object o ON o.company_id = r.company_id AND o.source_id = r.source_id
    AND o.object = r.object AND o.object_ref = r.object_ref
  WHERE link.object_ref IN (o.account_ref, o.subscription_ref);
END
$$;
COMMENT ON FUNCTION erp_webhook.waiting_for_link(int, erp_webhook.object_key) IS
  'receipts and bank lines of a customer that is being linked';

CREATE FUNCTION erp_webhook.widen(company_id int, s erp_webhook.scope) RETURNS erp_webhook.scope
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := widen.company_id;
  by_due_date constant boolean := EXISTS (SELECT FROM erp_webhook.policy p
    WHERE p.company_id = company AND p.policy = 'allocate' AND p.value = 'due_date');
  edge erp_webhook.scope;
  near bigint[];
  found erp_webhook.object_key[];
BEGIN
  IF s.linking IS NOT NULL THEN
    SELECT array_agg(w) INTO found FROM erp_webhook.waiting_for_link(company, s.linking) w;
    s.groups := erp_webhook.join_keys(s.groups, found);
    s.touched := erp_webhook.join_keys(s.touched, found);
    s.objects := erp_webhook.join_keys(s.objects, found);
    SELECT erp_webhook.join_names(s.subscriptions, array_agg(u.subscription_ref)) INTO s.subscriptions
    FROM erp_webhook.subscription u
    WHERE u.company_id = company AND u.source_id = (s.linking).source_id
      AND (s.linking).object_ref IN (u.account_ref, u.subscription_ref);
  END IF;
  -- An object that is known already may go by another payment than the new fact says.
  SELECT array_agg(DISTINCT ROW(o.source_id, g.object, o.payment_ref)::erp_webhook.object_key) INTO found
  FROM erp_webhook.objects_at(company, s.objects) o
  CROSS JOIN LATERAL (VALUES ('payment'), (CASE o.object WHEN 'bank' THEN 'bank' END)) g (object)
  WHERE o.payment_ref IS NOT NULL AND g.object IS NOT NULL;
  s.groups := erp_webhook.join_keys(s.groups, found);
  s.touched := erp_webhook.join_keys(s.touched, found);
  edge := s;
  LOOP
    edge := erp_webhook.next_to(company, edge, s, by_due_date);
    EXIT WHEN cardinality(edge.groups) + cardinality(edge.invoices) + coalesce(cardinality(edge.accounts), 0) = 0;
    s.groups := s.groups || edge.groups;
    s.invoices := s.invoices || edge.invoices;
    s.accounts := s.accounts || edge.accounts;
    near := coalesce(near, s.invoices);
  END LOOP;

  -- Subscriptions hear of payments of theirs and of receipts that name their invoices. What the receipts further out
  -- say is as it was, unless an invoice that appears changes what their references mean.
  SELECT erp_webhook.join_names(s.subscriptions, array_agg(x.ref)) INTO s.subscriptions
  FROM (SELECT i.subscription_ref FROM erp_webhook.invoice i
        WHERE i.company_id = company
          AND i.invoice_id = ANY (CASE WHEN cardinality(s.created) > 0 THEN s.invoices ELSE coalesce(near, s.invoices) END)
        UNION SELECT o.subscription_ref FROM erp_webhook.objects_at(company, s.touched) o) x (ref);
  IF cardinality(s.subscriptions) > 0 THEN
    -- Links as well: a fact that is no object yet may be the first to say whose a subscription is.
    SELECT coalesce(array_agg(DISTINCT a ORDER BY a), '{}') INTO s.accounts
    FROM (SELECT unnest(s.accounts || erp_webhook.accounts_of_subscriptions(company, s.subscriptions, s.numbers))
          UNION SELECT erp_webhook.linked_account(company, l.source_id, l.object_ref) FROM unnest(s.links) l
          UNION SELECT erp_webhook.linked_account(company, o.source_id, o.account_ref)
            FROM erp_webhook.objects_at(company, s.touched) o) x (a)
    WHERE a IS NOT NULL;
  END IF;
  RETURN s;
END
$$;
COMMENT ON FUNCTION erp_webhook.widen(int, erp_webhook.scope) IS
  'the whole component: everything whose settlement can depend on what is touched';

-- The rows of what is named and not there.
CREATE FUNCTION erp_webhook.meetings(company_id int, s erp_webhook.scope) RETURNS TABLE (kind text, ref text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := meetings.company_id;
  said text[];
  there text[];
BEGIN
  SELECT array_agg(r.ref) INTO said
  FROM erp_webhook.objects_at(company, s.touched) o
  CROSS JOIN LATERAL unnest(o.refs) r (ref);
  said := erp_webhook.join_names(s.numbers, erp_webhook.numbers_in(said));
  SELECT array_agg(i.number) INTO there FROM erp_webhook.invoice i WHERE i.company_id = company AND i.number = ANY (said);
  RETURN QUERY
    SELECT 'invoice', n.number FROM unnest(said) n (number) WHERE n.number <> ALL (coalesce(there, '{}'))
    UNION SELECT 'invoice', c.number FROM unnest(s.created) c (number)
    UNION SELECT 'subscription', u.ref FROM unnest(s.subscriptions) u (ref)
    UNION SELECT 'link', (s.linking).source_id || ':' || (s.linking).object_ref WHERE s.linking IS NOT NULL
    UNION SELECT 'link', l.source_id || ':' || l.object_ref FROM unnest(s.links) l
      WHERE erp_webhook.linked_account(company, l.source_id, l.object_ref) IS NULL
    UNION SELECT 'link', o.source_id || ':' || x.ref
      FROM erp_webhook.objects_at(company, s.groups) o
      CROSS JOIN LATERAL (VALUES (o.account_ref), (o.subscription_ref)) x (ref)
      WHERE x.ref IS NOT NULL AND erp_webhook.linked_account(company, o.source_id, x.ref) IS NULL;
END
$$;
COMMENT ON FUNCTION erp_webhook.meetings(int, erp_webhook.scope) IS
  'where to meet those who just make what is named here and not there';

CREATE FUNCTION erp_webhook.meet(company_id int, kinds text[], refs text[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  -- DO UPDATE locks a row that is there although WHERE lets nothing be written; one that clear_meetings() takes away
  -- meanwhile is written anew. An insert and a lock after it would leave a gap in between.
  INSERT INTO erp_webhook.meeting (company_id, kind, ref)
    SELECT meet.company_id, m.kind, m.ref FROM unnest(kinds, refs) m (kind, ref) ORDER BY m.kind, m.ref COLLATE "C"
    ON CONFLICT ON CONSTRAINT meeting_pkey DO UPDATE SET ref = EXCLUDED.ref WHERE false
$$;
COMMENT ON FUNCTION erp_webhook.meet(int, text[], text[]) IS 'write and lock meeting rows: who else names or makes the same waits';

-- A row that nobody holds serves nobody: whoever meets there next writes it again.
CREATE FUNCTION erp_webhook.clear_meetings(most int DEFAULT 100000) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  DELETE FROM erp_webhook.meeting m
  USING (SELECT x.company_id, x.kind, x.ref FROM erp_webhook.meeting x LIMIT most FOR UPDATE SKIP LOCKED) free
  WHERE m.company_id = free.company_id AND m.kind = free.kind AND m.ref = free.ref
$$;
COMMENT ON FUNCTION erp_webhook.clear_meetings(int) IS 'take away meeting rows on which nobody waits';

-- Take all locks, each kind in a statement of its own, sorted.
CREATE FUNCTION erp_webhook.hold(company_id int, s erp_webhook.scope) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := hold.company_id;
  kinds text[]; refs text[];
BEGIN
  SELECT array_agg(m.kind), array_agg(m.ref) INTO kinds, refs FROM erp_webhook.meetings(company, s) m;
  IF kinds IS NOT NULL THEN
    PERFORM erp_webhook.meet(company, kinds, refs);
  END IF;
  IF cardinality(s.accounts) > 0 THEN
    PERFORM FROM erp_webhook.account a WHERE a.company_id = company AND a.account_id = ANY (s.accounts)
      ORDER BY a.account_id FOR NO KEY UPDATE;
  END IF;
  PERFORM FROM erp_webhook.invoice i WHERE i.company_id = company AND i.invoice_id = ANY (s.invoices)
    ORDER BY i.number COLLATE "C" FOR NO KEY UPDATE;
  IF cardinality(s.touched) > 0 THEN
    INSERT INTO erp_webhook.money_object (company_id, source_id, object, object_ref, payment_ref)
      SELECT company, g.source_id, g.object, g.object_ref, CASE WHEN g.object = 'payment' THEN g.object_ref END
      FROM unnest(s.touched) g WHERE g.object = 'payment'
      ORDER BY g.source_id, g.object COLLATE "C", g.object_ref COLLATE "C" ON CONFLICT DO NOTHING;
  END IF;
  -- Two invoices that come at once cannot see each other; where one receipt names both, they meet at the receipt.
  PERFORM FROM erp_webhook.keyed(company, CASE WHEN cardinality(s.created) > 0 THEN s.groups ELSE s.touched END) g
    JOIN erp_webhook.money_object o ON o.company_id = g.company_id AND o.source_id = g.source_id
      AND o.object = g.object AND o.object_ref = g.object_ref
    ORDER BY o.source_id, o.object COLLATE "C", o.object_ref COLLATE "C" FOR NO KEY UPDATE OF o;
END
$$;
COMMENT ON FUNCTION erp_webhook.hold(int, erp_webhook.scope) IS
  'lock a component: meeting, account, invoice, object, each ascending';

CREATE FUNCTION erp_webhook.held(company_id int, s erp_webhook.scope, beside text[] DEFAULT NULL) RETURNS erp_webhook.scope
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := held.company_id;
  patience constant text := current_setting('lock_timeout');
  tries int := 0;
  wide erp_webhook.scope;
  again erp_webhook.scope;
  locked erp_webhook.scope;
BEGIN
  -- Someone may have widened the component while we waited for its locks. Then let go of all and take the larger set,
  -- in order.
  LOOP
    wide := erp_webhook.widen(company, s);
    tries := tries + 1;
    locked := wide;
    BEGIN
      IF beside IS NOT NULL THEN
        SELECT erp_webhook.join_ids(wide.invoices, array_agg(i.invoice_id)) INTO locked.invoices
        FROM erp_webhook.invoice i WHERE i.company_id = company AND i.number = ANY (beside);
      END IF;
      IF tries < 50 THEN
        PERFORM set_config('lock_timeout', '800ms', true);
      END IF;
      PERFORM erp_webhook.hold(company, locked);
      PERFORM set_config('lock_timeout', patience, true);
      again := erp_webhook.widen(company, s);
      IF cardinality(erp_webhook.beyond(again.groups, wide.groups))
           + cardinality(erp_webhook.beyond(again.invoices, wide.invoices)) = 0
         AND again.accounts <@ wide.accounts AND again.subscriptions <@ wide.subscriptions THEN
        RETURN again;
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'EW001', MESSAGE = 'the component grew';
    EXCEPTION
      WHEN SQLSTATE 'EW001' THEN NULL;
      WHEN lock_not_available OR deadlock_detected THEN
        IF tries >= 50 THEN
          RAISE;
        END IF;
        PERFORM pg_sleep(0.01 + 0.04 * random());  -- whoever waits for us goes first
    END;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.held(int, erp_webhook.scope, text[]) IS
  'widen a component, lock it with invoices beside it, and see that it is still the same; returns it as it is then';
