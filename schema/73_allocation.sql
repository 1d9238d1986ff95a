-- Allocation: which receipt pays which invoice (SETTLEMENT 2). Derived, and recomputed for what is touched.

CREATE TYPE erp_webhook.standing AS (
  source_id int, object text, object_ref text, currency text, account_id int, at timestamptz,
  net numeric, strength numeric, gross numeric, by_due_date boolean, event_id bigint);
COMMENT ON TYPE erp_webhook.standing IS
  'a receipt in one currency: what it is worth, with and without its refunds, whose it is, and the last fact that took back';

-- The invoices a receipt names, in order: each reference whole if there is such an invoice, else its words; a receipt
-- that names only a subscription names that subscription's invoices by due date.
CREATE FUNCTION erp_webhook.invoices_named(company_id int, groups erp_webhook.object_key[]) RETURNS TABLE (
  source_id int, object text, object_ref text, n bigint, number text, ceiling numeric,
  invoice_id bigint, account_id int, currency text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  WITH receipt AS (
    SELECT o.company_id, o.source_id, o.object, o.object_ref, o.refs, o.ref_amounts, o.subscription_ref
    FROM erp_webhook.objects_at(invoices_named.company_id, invoices_named.groups) o
  ), given AS (
    SELECT r.company_id, r.source_id, r.object, r.object_ref, g.n, w.m, w.number, g.ceiling
    FROM receipt r
    CROSS JOIN LATERAL unnest(r.refs, r.ref_amounts) WITH ORDINALITY g (ref, ceiling, n)
    CROSS JOIN LATERAL unnest(
      CASE WHEN EXISTS (SELECT FROM erp_webhook.invoice i WHERE i.company_id = r.company_id AND i.number = g.ref)
           THEN ARRAY[g.ref] ELSE erp_webhook.words(g.ref) END) WITH ORDINALITY w (number, m)
  ), named AS (
    SELECT DISTINCT ON (g.source_id, g.object, g.object_ref, g.number) g.*
    FROM given g ORDER BY g.source_id, g.object, g.object_ref, g.number, g.n, g.m
  )
  SELECT g.source_id, g.object, g.object_ref,
         row_number() OVER (PARTITION BY g.source_id, g.object, g.object_ref ORDER BY g.n, g.m),
         g.number, g.ceiling, i.invoice_id, i.account_id, i.currency
  FROM named g
  LEFT JOIN erp_webhook.invoice i ON i.company_id = g.company_id AND i.number = g.number
  UNION ALL
  SELECT r.source_id, r.object, r.object_ref,
         row_number() OVER (PARTITION BY r.source_id, r.object, r.object_ref ORDER BY i.due_on, i.number COLLATE "C"),
         i.number, NULL, i.invoice_id, i.account_id, i.currency
  FROM receipt r
  JOIN erp_webhook.invoice i ON i.company_id = r.company_id AND i.subscription_ref = r.subscription_ref
  WHERE coalesce(cardinality(r.refs), 0) = 0;
END;
COMMENT ON FUNCTION erp_webhook.invoices_named(int, erp_webhook.object_key[]) IS
  'SETTLEMENT 2.3 and 2.5: what receipts refer to, in the order given; invoice_id NULL: no such invoice';

-- What moved for each receipt, per currency.
CREATE FUNCTION erp_webhook.receipt_figures(company int, groups erp_webhook.object_key[]) RETURNS TABLE (
  company_id int, source_id int, object text, object_ref text, currency text, at timestamptz, captured numeric, reversed numeric,
  withdrawn numeric, reinstated numeric, refunded numeric, credited numeric, fee numeric, taken_back_by bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  WITH member AS (
    SELECT m.grouped_as, m.group_ref, (m.o).*,
           (m.o).object = 'payment' AND NOT (m.o).reversal OR (m.o).object = 'bank' AND NOT (m.o).debit_side AS is_receipt,
           CASE WHEN (m.o).object = 'bank' AND (m.o).debit_side
                THEN erp_webhook.debit_concerns(receipt_figures.company, m.o) END AS concerns
    FROM erp_webhook.objects_of(receipt_figures.company, receipt_figures.groups) m
    WHERE (m.o).succeeded_at IS NOT NULL AND (m.o).currency IS NOT NULL
  ), moved AS (
    SELECT m.*,
           CASE WHEN m.object = 'refund_total'
                THEN erp_webhook.refunded_unseen(m.company_id, m.source_id, m.payment_ref, m.currency, m.amount)
                WHEN m.object = 'refund' AND m.effective THEN m.amount ELSE 0 END AS back
    FROM member m
    -- A debit counts with the receipt it takes back, else by itself if it concerns a customer at all.
    WHERE NOT (m.object = 'bank' AND m.debit_side)
       OR CASE WHEN m.object_ref = m.group_ref AND m.grouped_as = 'bank' THEN m.concerns IN ('invoice', 'account')
               ELSE m.concerns = 'receipt' END
  )
  SELECT m.company_id, m.source_id, m.grouped_as, m.group_ref, m.currency, min(m.succeeded_at) FILTER (WHERE m.is_receipt),
         coalesce(sum(m.amount) FILTER (WHERE m.is_receipt), 0),
         coalesce(sum(m.amount) FILTER (WHERE CASE WHEN m.is_receipt THEN NOT m.effective
                    ELSE m.effective AND (m.object = 'payment' AND m.reversal OR m.object = 'bank') END), 0),
         coalesce(sum(m.amount) FILTER (WHERE m.object = 'withdrawn'), 0),
         coalesce(sum(m.amount) FILTER (WHERE m.object = 'reinstated'), 0),
         sum(m.back),
         coalesce(sum(m.back) FILTER (WHERE erp_webhook.policy_on(m.company_id, 'refund',
                    erp_webhook.day_of_event(m.company_id, m.decided_by)) = 'credit_note'), 0),
         coalesce(sum(m.fee) FILTER (WHERE m.fee_currency = m.currency), 0),
         max(m.decided_by) FILTER (WHERE NOT m.is_receipt OR NOT m.effective)
  FROM moved m
  GROUP BY m.company_id, m.source_id, m.grouped_as, m.group_ref, m.currency;
END;
COMMENT ON FUNCTION erp_webhook.receipt_figures(int, erp_webhook.object_key[]) IS
  'captured, reversed, disputed, refunded of receipts; credited: the refunds whose day''s policy makes a credit note of them';

-- How receipts stand (SETTLEMENT 2.1, 2.2, 2.6, 2.10).
CREATE FUNCTION erp_webhook.receipts_standing(company_id int, groups erp_webhook.object_key[]) RETURNS SETOF erp_webhook.standing
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  WITH figures AS (
    SELECT f.*, greatest(0, f.captured - f.reversed - greatest(0, f.withdrawn - f.reinstated) - f.refunded) AS strength
    FROM erp_webhook.receipt_figures(receipts_standing.company_id, receipts_standing.groups) f
  ), owner AS (
    SELECT DISTINCT ON (n.source_id, n.object, n.object_ref) n.source_id, n.object, n.object_ref, n.account_id
    FROM erp_webhook.invoices_named(receipts_standing.company_id, receipts_standing.groups) n
    WHERE n.invoice_id IS NOT NULL ORDER BY n.source_id, n.object, n.object_ref, n.n
  )
  SELECT f.source_id, f.object, f.object_ref, f.currency,
         coalesce(erp_webhook.linked_account(receipts_standing.company_id, f.source_id, o.account_ref),
                  erp_webhook.linked_account(receipts_standing.company_id, f.source_id, o.subscription_ref), w.account_id), f.at,
         f.captured - f.reversed - greatest(0, f.withdrawn - f.reinstated) - f.refunded, f.strength,
         greatest(0, least(f.strength + f.credited, f.captured - f.reversed)),
         coalesce(erp_webhook.policy_on(receipts_standing.company_id, 'allocate',
                    erp_webhook.day_of_moment(receipts_standing.company_id, f.at)) = 'due_date', false),
         f.taken_back_by
  FROM figures f
  CROSS JOIN LATERAL (SELECT o.account_ref, o.subscription_ref FROM erp_webhook.money_object o
                      WHERE o.company_id = f.company_id AND o.source_id = f.source_id
                        AND o.object = f.object AND o.object_ref = f.object_ref OFFSET 0) o
  LEFT JOIN owner w ON w.source_id = f.source_id AND w.object = f.object AND w.object_ref = f.object_ref
  UNION ALL
  -- What was reinstated beyond what was withdrawn came from nobody we know.
  SELECT f.source_id, 'reinstated', f.object_ref, f.currency, NULL, NULL, f.reinstated - f.withdrawn, 0, 0, false, NULL
  FROM figures f WHERE f.reinstated > f.withdrawn;
END;
COMMENT ON FUNCTION erp_webhook.receipts_standing(int, erp_webhook.object_key[]) IS
  'strength of receipts, with and without refunds, and whose they are';

-- The two passes. Receipts stand in order; pairs (a receipt, an invoice it names, its ceiling) are in receipt order and
-- then in the order given. Queues hold, for each account and currency, its invoices by due date.
CREATE FUNCTION erp_webhook.allocate(
  strengths numeric[], rooms numeric[], pair_receipt int[], pair_invoice int[], pair_ceiling numeric[],
  receipt_queue int[], queue_first int[], queue_last int[], queue int[])
RETURNS TABLE (receipt int, invoice int, amount numeric)
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  q int;
BEGIN
  -- First pass: each receipt pays the invoices it names, in the order given, as far as due and strength go.
  FOR p IN 1 .. coalesce(cardinality(pair_receipt), 0) LOOP
    receipt := pair_receipt[p];
    invoice := pair_invoice[p];
    amount := least(strengths[receipt], rooms[invoice], pair_ceiling[p]);
    IF amount > 0 THEN
      strengths[receipt] := strengths[receipt] - amount;
      rooms[invoice] := rooms[invoice] - amount;
      RETURN NEXT;
    END IF;
  END LOOP;

  -- Second pass: what is left of each goes to its account's invoices, the earliest due first.
  FOR r IN 1 .. coalesce(cardinality(receipt_queue), 0) LOOP
    q := receipt_queue[r];
    CONTINUE WHEN q IS NULL;
    WHILE strengths[r] > 0 AND queue_first[q] <= queue_last[q] LOOP
      receipt := r;
      invoice := queue[queue_first[q]];
      amount := least(strengths[r], rooms[invoice]);
      strengths[r] := strengths[r] - amount;
      rooms[invoice] := rooms[invoice] - amount;
      IF amount > 0 THEN
        RETURN NEXT;
      END IF;
      IF rooms[invoice] = 0 THEN
        queue_first[q] := queue_first[q] + 1;
      END IF;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.allocate(numeric[], numeric[], int[], int[], numeric[], int[], int[], int[], int[]) IS
  'SETTLEMENT 2.3 and 2.4: the two passes over receipts in order';

CREATE TYPE erp_webhook.allocated AS (
  receipt int, source_id int, object text, object_ref text, at timestamptz, event_id bigint,
  invoice_id bigint, amount numeric, gross numeric);
COMMENT ON TYPE erp_webhook.allocated IS
  'what a receipt (the nth in order) pays of an invoice, and what it would pay had nothing been refunded';

CREATE TYPE erp_webhook.naming AS (
  source_id int, object text, object_ref text, n bigint, ceiling numeric, invoice_id bigint, currency text);
COMMENT ON TYPE erp_webhook.naming IS 'an invoice that a receipt names, in the order it does';

-- The queues of the second pass: for each account and currency, the places of its invoices by due date.
CREATE FUNCTION erp_webhook.queues(receipts erp_webhook.standing[], invoices erp_webhook.invoice[],
  OUT receipt_queue int[], OUT queue_first int[], OUT queue_last int[], OUT queue int[])
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on
AS $$
#variable_conflict use_column
BEGIN
  WITH waiting AS (
    SELECT i.account_id, i.currency, i.n AS invoice,
           row_number() OVER (ORDER BY i.account_id, i.currency, i.due_on, i.number COLLATE "C") AS place
    FROM (SELECT i.*, row_number() OVER (ORDER BY i.invoice_id) AS n FROM unnest(invoices) i) i
  ), line AS (
    SELECT w.account_id, w.currency, min(w.place) AS first, max(w.place) AS last, row_number() OVER (ORDER BY min(w.place)) AS line
    FROM waiting w GROUP BY w.account_id, w.currency
  )
  SELECT (SELECT array_agg(w.invoice ORDER BY w.place) FROM waiting w), (SELECT array_agg(l.first ORDER BY l.line) FROM line l),
         (SELECT array_agg(l.last ORDER BY l.line) FROM line l),
         (SELECT array_agg(CASE WHEN r.by_due_date THEN l.line END ORDER BY r.n)
          FROM unnest(receipts) WITH ORDINALITY
            r (source_id, object, object_ref, currency, account_id, at, net, strength, gross, by_due_date, event_id, n)
          LEFT JOIN line l ON l.account_id = r.account_id AND l.currency = r.currency)
  INTO queue, queue_first, queue_last, receipt_queue;
END
$$;
COMMENT ON FUNCTION erp_webhook.queues(erp_webhook.standing[], erp_webhook.invoice[]) IS
  'whose money goes to which invoices by due date';

-- Both runs of the passes over whole components: all receipts and invoices that can reach each other. Nothing but its
-- arguments is read.
CREATE FUNCTION erp_webhook.allocation_of(
  receipts erp_webhook.standing[], invoices erp_webhook.invoice[], named erp_webhook.naming[])
RETURNS SETOF erp_webhook.allocated
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on
AS $$
#variable_conflict use_column
DECLARE
  strengths numeric[]; gross numeric[]; rooms numeric[];
  pair_receipt int[]; pair_invoice int[]; pair_ceiling numeric[];
  q record;
BEGIN
  SELECT array_agg(r.strength ORDER BY r.n), array_agg(r.gross ORDER BY r.n) INTO strengths, gross
  FROM unnest(receipts) WITH ORDINALITY
    r (source_id, object, object_ref, currency, account_id, at, net, strength, gross, by_due_date, event_id, n);
  SELECT array_agg(CASE WHEN i.state = 'void' THEN 0 ELSE greatest(0, i.total - i.elsewhere) END ORDER BY i.invoice_id)
  INTO rooms FROM unnest(invoices) i;

  WITH pair AS (
    SELECT r.n AS receipt, i.n AS invoice, c.ceiling, c.n
    FROM unnest(receipts) WITH ORDINALITY
      r (source_id, object, object_ref, currency, account_id, at, net, strength, gross, by_due_date, event_id, n)
    JOIN unnest(named) c ON c.source_id = r.source_id AND c.object = r.object AND c.object_ref = r.object_ref
      AND c.currency = r.currency
    JOIN (SELECT i.invoice_id, row_number() OVER (ORDER BY i.invoice_id) AS n FROM unnest(invoices) i) i
      ON i.invoice_id = c.invoice_id
    WHERE r.strength > 0 OR r.gross > 0
  )
  SELECT array_agg(p.receipt ORDER BY p.receipt, p.n), array_agg(p.invoice ORDER BY p.receipt, p.n),
         array_agg(p.ceiling ORDER BY p.receipt, p.n)
  INTO pair_receipt, pair_invoice, pair_ceiling FROM pair p;

  IF EXISTS (SELECT FROM unnest(receipts) r WHERE r.by_due_date AND r.account_id IS NOT NULL) THEN
    q := erp_webhook.queues(receipts, invoices);
  ELSE
    SELECT NULL::int[] AS receipt_queue, NULL::int[] AS queue_first, NULL::int[] AS queue_last, NULL::int[] AS queue INTO q;
  END IF;

  RETURN QUERY
    WITH net AS (
      SELECT a.receipt, a.invoice, sum(a.amount) AS amount
      FROM erp_webhook.allocate(strengths, rooms, pair_receipt, pair_invoice, pair_ceiling,
             q.receipt_queue, q.queue_first, q.queue_last, q.queue) a
      GROUP BY a.receipt, a.invoice
    ), before AS (
      SELECT a.receipt, a.invoice, sum(a.amount) AS amount
      FROM erp_webhook.allocate(gross, rooms, pair_receipt, pair_invoice, pair_ceiling,
             q.receipt_queue, q.queue_first, q.queue_last, q.queue) a
      WHERE gross <> strengths GROUP BY a.receipt, a.invoice
    )
    SELECT x.receipt, r.source_id, r.object, r.object_ref, r.at, r.event_id, i.invoice_id, x.amount, x.gross
    FROM (SELECT receipt, invoice, coalesce(n.amount, 0) AS amount,
                 CASE WHEN gross = strengths THEN n.amount ELSE coalesce(b.amount, 0) END AS gross
          FROM net n FULL JOIN before b USING (receipt, invoice)) x
    JOIN unnest(receipts) WITH ORDINALITY
      r (source_id, object, object_ref, currency, account_id, at, net, strength, gross, by_due_date, event_id, n)
      ON r.n = x.receipt
    JOIN (SELECT i.invoice_id, row_number() OVER (ORDER BY i.invoice_id) AS n FROM unnest(invoices) i) i ON i.n = x.invoice;
END
$$;
COMMENT ON FUNCTION erp_webhook.allocation_of(erp_webhook.standing[], erp_webhook.invoice[], erp_webhook.naming[]) IS
  'SETTLEMENT 2.3 to 2.6: who pays what, and who would had nothing been refunded';

-- The same for who has no names at hand: what receipts name is looked up first.
CREATE FUNCTION erp_webhook.allocation_of(company_id int, receipts erp_webhook.standing[], invoices erp_webhook.invoice[])
RETURNS SETOF erp_webhook.allocated
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  named erp_webhook.naming[];
BEGIN
  SELECT array_agg(ROW(n.source_id, n.object, n.object_ref, n.n, n.ceiling, n.invoice_id, n.currency)::erp_webhook.naming)
  INTO named FROM erp_webhook.invoices_named(allocation_of.company_id, (
    SELECT array_agg(DISTINCT ROW(r.source_id, r.object, r.object_ref)::erp_webhook.object_key) FROM unnest(receipts) r)) n
  WHERE n.invoice_id IS NOT NULL;
  RETURN QUERY SELECT * FROM erp_webhook.allocation_of(receipts, invoices, named);
END
$$;
COMMENT ON FUNCTION erp_webhook.allocation_of(int, erp_webhook.standing[], erp_webhook.invoice[]) IS
  'who pays what, of receipts whose references are still to be looked up';

CREATE FUNCTION erp_webhook.placed(receipts erp_webhook.standing[], allocated erp_webhook.allocated[]) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  sums numeric[] := array_fill(0::numeric, ARRAY[coalesce(cardinality(receipts), 0)]);
  a erp_webhook.allocated;
BEGIN
  FOREACH a IN ARRAY coalesce(allocated, '{}') LOOP
    sums[a.receipt] := sums[a.receipt] + a.amount;
  END LOOP;
  RETURN sums;
END
$$;
COMMENT ON FUNCTION erp_webhook.placed(erp_webhook.standing[], erp_webhook.allocated[]) IS 'how much of each receipt invoices have';
