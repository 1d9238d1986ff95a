-- Settle: from facts to books. Everything that changes books comes through settle_scope() and posts through post().

-- New facts become part of their objects. Finding one again changes nothing.
CREATE FUNCTION erp_webhook.keep_facts(company_id int, events erp_webhook.event[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := keep_facts.company_id;
BEGIN
  INSERT INTO erp_webhook.money_object AS o (company_id, source_id, object, object_ref, denomination, payment_ref, facts)
  SELECT company, n.source_id, n.object, n.object_ref, n.denomination, min(n.payment_ref), array_agg(n.event_id ORDER BY n.event_id)
  FROM erp_webhook.objects_named(events) n
  GROUP BY n.source_id, n.object, n.object_ref, n.denomination
  ORDER BY n.source_id, n.object COLLATE "C", n.object_ref COLLATE "C", n.denomination
  ON CONFLICT ON CONSTRAINT money_object_pkey DO UPDATE
    SET facts = o.facts || ARRAY(SELECT f FROM unnest(EXCLUDED.facts) f WHERE f <> ALL (o.facts)),
        payment_ref = coalesce(o.payment_ref, EXCLUDED.payment_ref)
    WHERE NOT o.facts @> EXCLUDED.facts OR o.payment_ref IS NULL AND EXCLUDED.payment_ref IS NOT NULL;

  INSERT INTO erp_webhook.subscription AS s (company_id, source_id, subscription_ref, facts)
  SELECT company, e.source_id, e.subscription_ref,
         coalesce(array_agg(e.event_id ORDER BY e.event_id) FILTER (WHERE e.kind LIKE 'subscription.%'), '{}')
  FROM unnest(events) e WHERE e.subscription_ref IS NOT NULL AND e.state = 'applied'
  GROUP BY e.source_id, e.subscription_ref ORDER BY e.source_id, e.subscription_ref COLLATE "C"
  ON CONFLICT ON CONSTRAINT subscription_pkey DO UPDATE
    SET facts = s.facts || ARRAY(SELECT f FROM unnest(EXCLUDED.facts) f WHERE f <> ALL (s.facts))
    WHERE NOT s.facts @> EXCLUDED.facts;
END
$$;
COMMENT ON FUNCTION erp_webhook.keep_facts(int, erp_webhook.event[]) IS 'note which objects and subscriptions events speak of';

CREATE FUNCTION erp_webhook.merge_facts(company_id int, objects erp_webhook.object_key[], receipts erp_webhook.object_key[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := merge_facts.company_id;
BEGIN
  UPDATE erp_webhook.money_object o SET
    (payment_ref, reversal, amount, currency, succeeded_at, effective, decided_by, contradicted, debit_side,
     fee, fee_currency, fee_by, to_amount, to_currency, value_date, payout_ref, bank_ref, end_to_end_id)
    = (m.payment_ref, m.reversal, m.amount, m.currency, m.succeeded_at, m.effective, m.decided_by, m.contradicted, m.debit_side,
       m.fee, m.fee_currency, m.fee_by, m.to_amount, m.to_currency, m.value_date, m.payout_ref, m.bank_ref, m.end_to_end_id)
  FROM (SELECT company AS company_id, m.* FROM erp_webhook.merged_objects(company, objects) m OFFSET 0) m  -- see keyed()
  WHERE o.company_id = m.company_id AND o.source_id = m.source_id
    AND o.object = m.object AND o.object_ref = m.object_ref AND o.denomination = m.denomination
    AND (o.payment_ref, o.reversal, o.amount, o.currency, o.succeeded_at, o.effective, o.decided_by, o.contradicted, o.debit_side,
         o.fee, o.fee_currency, o.fee_by, o.to_amount, o.to_currency, o.value_date, o.payout_ref, o.bank_ref, o.end_to_end_id)
      IS DISTINCT FROM
        (m.payment_ref, m.reversal, m.amount, m.currency, m.succeeded_at, m.effective, m.decided_by, m.contradicted, m.debit_side,
         m.fee, m.fee_currency, m.fee_by, m.to_amount, m.to_currency, m.value_date, m.payout_ref, m.bank_ref, m.end_to_end_id);

  UPDATE erp_webhook.money_object o
  SET refs = m.refs, ref_amounts = m.ref_amounts, account_ref = m.account_ref, subscription_ref = m.subscription_ref
  FROM (SELECT company AS company_id, '' AS denomination, m.* FROM erp_webhook.merged_receipts(company, receipts) m OFFSET 0) m
  WHERE o.company_id = m.company_id AND o.source_id = m.source_id
    AND o.object = m.object AND o.object_ref = m.object_ref AND o.denomination = m.denomination
    AND (o.refs, o.ref_amounts, o.account_ref, o.subscription_ref) IS DISTINCT FROM
      (m.refs, m.ref_amounts, m.account_ref, m.subscription_ref);
END
$$;
COMMENT ON FUNCTION erp_webhook.merge_facts(int, erp_webhook.object_key[], erp_webhook.object_key[]) IS
  'write what the facts of objects and receipts say together';

-- Note who names which invoice number, so that the invoice finds them when it comes or changes.
CREATE FUNCTION erp_webhook.keep_references(company_id int, groups erp_webhook.object_key[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO erp_webhook.reference (company_id, ref, source_id, object, object_ref)
  SELECT keep_references.company_id, n.number, o.source_id, o.object, o.object_ref
  FROM erp_webhook.objects_at(keep_references.company_id, keep_references.groups) o
  CROSS JOIN LATERAL unnest(erp_webhook.numbers_in(o.refs)) n (number)
  ORDER BY n.number, o.source_id, o.object, o.object_ref
  ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION erp_webhook.keep_references(int, erp_webhook.object_key[]) IS 'note which invoice numbers receipts name';

-- What a person gave up on an invoice; it gives way to what is paid or credited after all.
CREATE FUNCTION erp_webhook.given_up(company_id int, number text) RETURNS erp_webhook.money_object
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT o FROM erp_webhook.money_object o
        WHERE o.company_id = given_up.company_id AND o.source_id = 0 AND o.object = 'write_off'
          AND o.object_ref = given_up.number AND o.effective);
END
$$;
COMMENT ON FUNCTION erp_webhook.given_up(int, text) IS 'the write-off a person decided for an invoice';

CREATE TYPE erp_webhook.invoice_figures AS (invoice_id bigint, paid numeric, credited numeric, written_off numeric, state text,
  credited_by bigint, written_off_by bigint, last_paid timestamptz);
COMMENT ON TYPE erp_webhook.invoice_figures IS 'what allocation makes of an invoice, and the facts behind it';

-- SETTLEMENT 2.6 to 2.9.
CREATE FUNCTION erp_webhook.figures_of_invoices(
  company_id int, invoices erp_webhook.invoice[], allocated erp_webhook.allocated[])
RETURNS SETOF erp_webhook.invoice_figures
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH share AS (
    SELECT a.invoice_id, sum(a.amount) AS paid, sum(a.gross) AS before,
           max(a.event_id) AS credited_by, max(a.at) FILTER (WHERE a.amount > 0) AS last_paid
    FROM unnest(figures_of_invoices.allocated) a
    GROUP BY a.invoice_id
  ), paid AS (
    SELECT i.*, coalesce(s.paid, 0) AS now_paid,
           greatest(0, coalesce(s.before, 0) - coalesce(s.paid, 0)) AS now_credited, s.credited_by, s.last_paid,
           erp_webhook.given_up(figures_of_invoices.company_id, i.number) AS given_up,
           (SELECT c.currency FROM erp_webhook.company c WHERE c.company_id = figures_of_invoices.company_id) AS company_currency
    FROM unnest(figures_of_invoices.invoices) i LEFT JOIN share s USING (invoice_id)
  ), open AS (
    SELECT p.*, CASE WHEN p.state = 'void' THEN 0 ELSE p.total - p.elsewhere - p.now_paid - p.now_credited END AS left_open
    FROM paid p
  ), judged AS (
    SELECT o.*, CASE
      WHEN o.left_open <= 0 THEN 0
      WHEN o.now_paid > 0 AND o.currency = o.company_currency
           AND o.left_open <= erp_webhook.policy_on(figures_of_invoices.company_id, 'tolerance',
                                erp_webhook.day_of_moment(figures_of_invoices.company_id, o.last_paid))::numeric THEN o.left_open
      ELSE least(o.left_open, coalesce((o.given_up).amount, 0)) END AS now_written_off
    FROM open o
  )
  SELECT j.invoice_id, erp_webhook.written(j.now_paid, j.currency), erp_webhook.written(j.now_credited, j.currency),
         erp_webhook.written(j.now_written_off, j.currency),
         CASE WHEN j.state = 'void' THEN 'void'
              WHEN j.left_open - j.now_written_off > 0 THEN CASE WHEN j.now_paid = 0 THEN 'open' ELSE 'partial' END
              WHEN j.now_paid = 0 AND j.now_credited > 0 THEN 'credited' ELSE 'paid' END,
         j.credited_by, (j.given_up).decided_by, j.last_paid
  FROM judged j;
END
$$;
COMMENT ON FUNCTION erp_webhook.figures_of_invoices(int, erp_webhook.invoice[], erp_webhook.allocated[]) IS
  'paid, credited, written off and state of invoices';

-- Credit notes are numbered without gaps, year by year; the counter is the last lock taken.
CREATE FUNCTION erp_webhook.number_documents(company_id int, vouchers bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := number_documents.company_id;
  made record;
  top int;
BEGIN
  FOR made IN
    SELECT extract(year FROM v.booked_on)::int AS year, array_agg(v.voucher_id ORDER BY v.voucher_id) AS ids
    FROM erp_webhook.voucher v WHERE v.company_id = company AND v.voucher_id = ANY (vouchers) AND v.object = 'credit_note'
    GROUP BY 1 ORDER BY 1
  LOOP
    INSERT INTO erp_webhook.document_counter AS c (company_id, year, last) VALUES (company, made.year, cardinality(made.ids))
      ON CONFLICT ON CONSTRAINT document_counter_pkey DO UPDATE SET last = c.last + EXCLUDED.last RETURNING c.last INTO top;
    INSERT INTO erp_webhook.document
      (company_id, year, sequence, kind, number, invoice_number, voucher_id, amount, tax, currency, issued_on)
    SELECT company, made.year, d.sequence, CASE WHEN d.amount > 0 THEN 'credit_note' ELSE 'debit_note' END,
           format('%s-%s-%s', CASE WHEN d.amount > 0 THEN 'CN' ELSE 'DN' END, made.year, lpad(d.sequence::text, 6, '0')),
           d.object_ref, d.voucher_id, abs(d.amount), abs(d.tax), d.currency, d.booked_on
    FROM (SELECT top - cardinality(made.ids) + u.n::int AS sequence, v.voucher_id, v.object_ref, v.currency, v.booked_on,
                 sum(CASE WHEN e.credit = 'receivable' THEN e.amount WHEN e.debit = 'receivable' THEN -e.amount END) AS amount,
                 coalesce(sum(CASE WHEN e.debit = 'tax' THEN e.amount WHEN e.credit = 'tax' THEN -e.amount END), 0) AS tax
          FROM unnest(made.ids) WITH ORDINALITY u (voucher_id, n)
          JOIN erp_webhook.voucher v ON v.company_id = company AND v.voucher_id = u.voucher_id
          JOIN erp_webhook.entry e ON e.company_id = company AND e.voucher_id = u.voucher_id
          GROUP BY u.n, v.voucher_id, v.object_ref, v.currency, v.booked_on) d
    WHERE d.amount <> 0;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.number_documents(int, bigint[]) IS 'give credit and debit notes their numbers';

-- Allocate the receipts and invoices of a component, write what changed, post the invoices' side.
CREATE FUNCTION erp_webhook.settle_allocation(company_id int, s erp_webhook.scope) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET erp_webhook.settling = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_allocation.company_id;
  receipts erp_webhook.standing[];
  invoices erp_webhook.invoice[];
  named erp_webhook.naming[];
  allocated erp_webhook.allocated[];
  figures erp_webhook.invoice_figures[];
  keys erp_webhook.object_key[];
  ought erp_webhook.booking[];
  posted bigint[];
BEGIN
  PERFORM erp_webhook.keep_references(company, s.groups);
  SELECT array_agg(r ORDER BY r.at, src.name COLLATE "C", r.object_ref COLLATE "C", r.currency COLLATE "C") INTO receipts
  FROM erp_webhook.receipts_standing(company, s.groups) r
  JOIN erp_webhook.source src ON src.company_id = company AND src.source_id = r.source_id;
  SELECT array_agg(i) INTO invoices FROM erp_webhook.invoice i WHERE i.company_id = company AND i.invoice_id = ANY (s.invoices);
  SELECT array_agg(ROW(n.source_id, n.object, n.object_ref, n.n, n.ceiling, n.invoice_id, n.currency)::erp_webhook.naming)
  INTO named FROM erp_webhook.invoices_named(company, s.groups) n WHERE n.invoice_id IS NOT NULL;
  SELECT array_agg(a) INTO allocated FROM erp_webhook.allocation_of(receipts, invoices, named) a;
  SELECT array_agg(f) INTO figures FROM erp_webhook.figures_of_invoices(company, invoices, allocated) f;

  PERFORM erp_webhook.keep_allocation(company, s, receipts, allocated);
  UPDATE erp_webhook.invoice i SET paid = f.paid, credited = f.credited, written_off = f.written_off, state = f.state
  FROM (SELECT company AS company_id, f.* FROM unnest(figures) f OFFSET 0) f  -- see keyed()
  WHERE i.company_id = f.company_id AND i.invoice_id = f.invoice_id
    AND (i.paid, i.credited, i.written_off, i.state) IS DISTINCT FROM
      (f.paid::erp_webhook.amount, f.credited::erp_webhook.amount, f.written_off::erp_webhook.amount, f.state);

  SELECT array_agg(ROW(0, k.object, i.number)::erp_webhook.object_key) INTO keys
  FROM unnest(invoices) i CROSS JOIN (VALUES ('invoice'), ('credit_note'), ('write_off')) k (object);
  SELECT array_agg(o) INTO ought FROM erp_webhook.ought_of_invoices(company, (
    SELECT array_agg(ROW(f.invoice_id, f.credited_by, erp_webhook.day_of_event(company, f.credited_by), f.written_off_by,
             coalesce(erp_webhook.day_of_event(company, f.written_off_by),
                      erp_webhook.day_of_moment(company, f.last_paid)))::erp_webhook.invoice_cause)
    FROM unnest(figures) f)) o;
  posted := erp_webhook.post(company, keys, ought);
  IF cardinality(posted) > 0 THEN
    PERFORM erp_webhook.number_documents(company, posted);
  END IF;
  RETURN posted;
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_allocation(int, erp_webhook.scope) IS
  'allocate a component and post what its invoices'' figures make due';

CREATE FUNCTION erp_webhook.keep_allocation(
  company_id int, s erp_webhook.scope, receipts erp_webhook.standing[], allocated erp_webhook.allocated[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := keep_allocation.company_id;
  fresh erp_webhook.allocation[];
BEGIN
  SELECT array_agg(ROW(company, a.invoice_id, a.source_id, a.object, a.object_ref, a.amount)::erp_webhook.allocation) INTO fresh
  FROM unnest(allocated) a WHERE a.amount > 0;

  DELETE FROM erp_webhook.allocation a
  USING (SELECT company AS company_id, u.invoice_id FROM unnest(s.invoices) u (invoice_id) OFFSET 0) i  -- see keyed()
  WHERE a.company_id = i.company_id AND a.invoice_id = i.invoice_id
    AND (a.invoice_id, a.source_id, a.object, a.object_ref) NOT IN (
      SELECT f.invoice_id, f.source_id, f.object, f.object_ref FROM unnest(fresh) f);
  INSERT INTO erp_webhook.allocation AS a (company_id, invoice_id, source_id, object, object_ref, amount)
  SELECT f.company_id, f.invoice_id, f.source_id, f.object, f.object_ref, f.amount FROM unnest(fresh) f
  ON CONFLICT ON CONSTRAINT allocation_pkey DO UPDATE SET amount = EXCLUDED.amount WHERE a.amount <> EXCLUDED.amount;

  DELETE FROM erp_webhook.receipt_standing r
  USING (SELECT k.company_id, k.source_id, x.object, k.object_ref FROM erp_webhook.keyed(company, s.groups) k
         CROSS JOIN LATERAL (VALUES (k.object), (CASE k.object WHEN 'payment' THEN 'reinstated' END)) x (object) OFFSET 0) g
  WHERE r.company_id = g.company_id AND r.source_id = g.source_id AND r.object = g.object AND r.object_ref = g.object_ref
    AND (r.source_id, r.object, r.object_ref, r.currency) NOT IN (
      SELECT n.source_id, n.object, n.object_ref, n.currency FROM unnest(receipts) n);
  INSERT INTO erp_webhook.receipt_standing AS r
    (company_id, source_id, object, object_ref, currency, account_id, at, net, strength, gross, allocated, by_due_date)
  SELECT company, n.source_id, n.object, n.object_ref, n.currency, n.account_id, n.at, n.net, n.strength, n.gross,
         n.placed, n.by_due_date
  FROM unnest(receipts, erp_webhook.placed(receipts, allocated))
    n (source_id, object, object_ref, currency, account_id, at, net, strength, gross, by_due_date, event_id, placed)
  ON CONFLICT ON CONSTRAINT receipt_standing_pkey DO UPDATE
    SET (account_id, at, net, strength, gross, allocated, by_due_date)
      = (EXCLUDED.account_id, EXCLUDED.at, EXCLUDED.net, EXCLUDED.strength, EXCLUDED.gross,
         EXCLUDED.allocated, EXCLUDED.by_due_date)
    WHERE (r.account_id, r.at, r.net, r.strength, r.gross, r.allocated, r.by_due_date) IS DISTINCT FROM
      (EXCLUDED.account_id, EXCLUDED.at, EXCLUDED.net, EXCLUDED.strength, EXCLUDED.gross,
       EXCLUDED.allocated, EXCLUDED.by_due_date);
END
$$;
COMMENT ON FUNCTION erp_webhook.keep_allocation(int, erp_webhook.scope, erp_webhook.standing[], erp_webhook.allocated[]) IS
  'write the derived rows of an allocation';

-- Settle a component: hold it, see that it is still the same, book its objects, allocate, judge its subscriptions.
-- Invoices named beside it are held with it: those that the same transaction is going to pay next.
CREATE FUNCTION erp_webhook.settle_scope(
  company_id int, s erp_webhook.scope, events erp_webhook.event[],
  voided bigint[] DEFAULT NULL, linked_to int DEFAULT NULL, beside text[] DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET erp_webhook.settling = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_scope.company_id;
  wide erp_webhook.scope;
  keys erp_webhook.object_key[];
  ought erp_webhook.booking[];
  posted bigint[];
  bound constant boolean := EXISTS (SELECT FROM erp_webhook.binding b WHERE b.company_id = company);
BEGIN
  PERFORM erp_webhook.keep_policies(company);
  IF bound THEN
    PERFORM erp_webhook.read_component(company, s);
  END IF;
  LOOP
    BEGIN
      wide := erp_webhook.held(company, s, beside);
      EXIT WHEN events IS NULL;
      PERFORM erp_webhook.keep_facts(company, events);
      -- Two facts of an object that is new, told at once under two payments, meet at the object only now.
      EXIT WHEN NOT EXISTS (
        SELECT FROM erp_webhook.objects_at(company, wide.objects) o
        WHERE o.object <> 'bank' AND o.payment_ref IS NOT NULL
          AND ROW(o.source_id, 'payment', o.payment_ref)::erp_webhook.object_key <> ALL (wide.groups));
      RAISE EXCEPTION USING ERRCODE = 'EW001', MESSAGE = 'the component grew';
    EXCEPTION WHEN SQLSTATE 'EW001' THEN
      NULL;
    END;
  END LOOP;
  IF bound THEN
    PERFORM erp_webhook.lock_documents(company, wide.invoices);
    PERFORM erp_webhook.read_component(company, wide);
  END IF;
  IF linked_to IS NOT NULL THEN
    INSERT INTO erp_webhook.account_link AS l (company_id, source_id, external_ref, account_id)
    VALUES (company, (s.linking).source_id, (s.linking).object_ref, linked_to)
    ON CONFLICT ON CONSTRAINT account_link_pkey DO UPDATE SET account_id = EXCLUDED.account_id;
  END IF;
  IF voided IS NOT NULL THEN
    UPDATE erp_webhook.invoice i SET state = 'void' WHERE i.company_id = company AND i.invoice_id = ANY (voided);
  END IF;
  SELECT erp_webhook.join_keys(wide.objects,
           array_agg(ROW((m.o).source_id, (m.o).object, (m.o).object_ref)::erp_webhook.object_key))
  INTO keys FROM erp_webhook.objects_of(company, wide.touched) m;
  PERFORM erp_webhook.merge_facts(company, keys, wide.touched);

  -- A bank debit is a customer's or not by what it names, and that may have appeared just now.
  SELECT erp_webhook.join_keys(keys, array_agg(ROW(o.source_id, o.object, o.object_ref)::erp_webhook.object_key)) INTO keys
  FROM erp_webhook.objects_at(company, wide.groups) o WHERE o.object = 'bank' AND o.debit_side;
  SELECT array_agg(o) INTO ought FROM erp_webhook.ought_of_objects(company, keys) o;
  -- A payout has a second voucher; what a person gave up is booked with its invoice.
  SELECT array_agg(ROW(k.source_id, x.object, k.object_ref)::erp_webhook.object_key) INTO keys
  FROM unnest(keys) k CROSS JOIN LATERAL (VALUES (k.object), (CASE k.object WHEN 'payout' THEN 'arrival' END)) x (object)
  WHERE x.object <> 'write_off';
  posted := erp_webhook.post(company, keys, ought);

  posted := posted || erp_webhook.settle_allocation(company, wide);
  IF bound THEN
    PERFORM erp_webhook.hand_over(company, wide, posted);
  END IF;
  IF cardinality(wide.subscriptions) > 0 THEN
    PERFORM erp_webhook.judge_subscriptions(company, wide.subscriptions);
  END IF;
  RETURN cardinality(posted);
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_scope(int, erp_webhook.scope, erp_webhook.event[], bigint[], int, text[]) IS
  'settle a component; returns the vouchers posted';

-- The long way, and then the short one for those that may go it: in this order, and with the invoices of the plain ones
-- held among the others', all locks of a call are taken in one order.
CREATE FUNCTION erp_webhook.settle_others(company_id int, others erp_webhook.event[], plain erp_webhook.event[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Lines and payouts find each other first: which of them posts what depends on it.
  facts constant erp_webhook.event[] := erp_webhook.match_first(company_id, others);
  posted int;
BEGIN
  IF erp_webhook.names_nothing(facts[1]) THEN
    BEGIN
      posted := erp_webhook.settle_oldest(company_id, facts);
    EXCEPTION WHEN SQLSTATE 'EW002' OR unique_violation OR lock_not_available OR deadlock_detected THEN
      NULL;
    END;
  END IF;
  IF posted IS NULL THEN
    posted := erp_webhook.settle_scope(company_id, erp_webhook.named(facts), facts,
      beside => ARRAY(SELECT p.correlation[1] FROM unnest(plain) p));
  END IF;
  IF plain IS NOT NULL THEN
    posted := posted + erp_webhook.settle_plain(company_id, plain);
  END IF;
  RETURN posted;
EXCEPTION WHEN SQLSTATE 'EW002' OR unique_violation OR lock_not_available OR deadlock_detected THEN
  IF plain IS NULL THEN
    RAISE;
  END IF;
  -- Someone else made them less plain. All is undone, with its locks: what the plain ones need now, taken after those,
  -- would be out of order.
  RETURN erp_webhook.settle_scope(company_id, erp_webhook.named(facts || plain), facts || plain);
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_others(int, erp_webhook.event[], erp_webhook.event[]) IS
  'settle events of any kind, beside them plain payments';

-- What does not go the short path, after it was tried: as much of it as may, then a company's own rules.
CREATE FUNCTION erp_webhook.settle_otherwise(company_id int, events erp_webhook.event[]) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
  plain erp_webhook.event[];
  others erp_webhook.event[] := events;
  posted int;
BEGIN
  IF cardinality(events) > 1 THEN
    SELECT p.plain, p.others INTO plain, others FROM erp_webhook.part_plain(company_id, events) p;
  END IF;
  posted := erp_webhook.settle_others(company_id, others, plain);
  IF (erp_webhook.house_of(company_id)).has_rules THEN
    PERFORM erp_webhook.run_event_rules(company_id, events);
  END IF;
  RETURN posted;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_otherwise(int, erp_webhook.event[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_otherwise(int, erp_webhook.event[]) IS
  'settle() where not all events may go the short path; policies are kept already';

CREATE FUNCTION erp_webhook.settle(company_id int, events erp_webhook.event[]) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
  posted int;
BEGIN
  PERFORM erp_webhook.keep_policies(company_id);
  BEGIN
    posted := erp_webhook.settle_plain(company_id, events);
  EXCEPTION WHEN SQLSTATE 'EW002' OR unique_violation OR lock_not_available OR deadlock_detected THEN
    NULL;  -- not all are plain, or something else is known of one of them, or someone holds it
  END;
  IF posted IS NULL THEN
    RETURN erp_webhook.settle_otherwise(company_id, events);
  END IF;
  IF (erp_webhook.house_of(company_id)).has_rules THEN
    PERFORM erp_webhook.run_event_rules(company_id, events);
  END IF;
  RETURN posted;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle(int, erp_webhook.event[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle(int, erp_webhook.event[]) IS
  'settle facts (applied events) of one company; may be called again with any of them; returns the vouchers posted';

-- Objects whose booking depends on more than their facts: a payout or bank line that was matched, unmatched, decided.
CREATE FUNCTION erp_webhook.settle_objects(company_id int, keys erp_webhook.object_key[]) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
  s erp_webhook.scope;
  receipts erp_webhook.object_key[];
BEGIN
  SELECT coalesce(array_agg(k::erp_webhook.object_key), '{}') INTO receipts
  FROM unnest(keys) k WHERE k.object IN ('payment', 'bank');
  SELECT '{}', '{}', '{}', '{}', '{}', '{}', receipts, receipts, keys, '{}', NULL INTO s;
  RETURN erp_webhook.settle_scope(company_id, s, NULL);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_objects(int, erp_webhook.object_key[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_objects(int, erp_webhook.object_key[]) IS
  'settle payments, payouts or bank lines again; returns the vouchers posted';
