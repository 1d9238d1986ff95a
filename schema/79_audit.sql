-- The laws of the books, each a query that finds what breaks it. On sound books audit() is empty.
--
-- It asks anew what settle has answered before, from the facts up: facts make objects, objects make vouchers, receipts
-- make allocations, allocations make invoices, and the ledger's receivable is what customers owe.
--
-- It is most wanted after a crash or a restore, when the planner knows nothing of the tables: so rows are looked up by
-- their whole key, or collected and grouped; no law rests on the planner to choose between ways to join.

CREATE TYPE erp_webhook.breach AS (law text, what text);
COMMENT ON TYPE erp_webhook.breach IS 'a law of the books, and where it is broken';

-- Facts and objects: what an object says is what its facts say together.
CREATE FUNCTION erp_webhook.audit_objects(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  company constant int := audit_objects.company_id;
  portion erp_webhook.object_key[];
BEGIN
  RETURN QUERY
  SELECT 'every fact is in its object', format('event %s, %s', e.event_id, e.kind)
  FROM erp_webhook.event e CROSS JOIN LATERAL erp_webhook.objects_named(ARRAY[e::erp_webhook.event]) n
  WHERE e.company_id = company AND e.state = 'applied'
    AND NOT EXISTS (SELECT FROM erp_webhook.money_object o
                    WHERE o.company_id = e.company_id AND o.source_id = n.source_id
                      AND o.object = n.object AND o.object_ref = n.object_ref AND o.denomination = n.denomination
                      AND e.event_id = ANY (o.facts));

  FOR portion IN
    SELECT array_agg(ROW(k.source_id, k.object, k.object_ref)::erp_webhook.object_key)
    FROM (SELECT d.*, row_number() OVER () AS n
          FROM (SELECT DISTINCT o.source_id, o.object, o.object_ref
                FROM erp_webhook.money_object o WHERE o.company_id = company) d) k
    GROUP BY k.n / 1000
  LOOP
    RETURN QUERY
    SELECT 'an object is what its facts say', format('%s %s', o.object, o.object_ref)
    FROM erp_webhook.merged_objects(company, portion) m
    CROSS JOIN LATERAL (SELECT o.* FROM erp_webhook.money_object o
                        WHERE o.company_id = company AND o.source_id = m.source_id AND o.object = m.object
                          AND o.object_ref = m.object_ref AND o.denomination = m.denomination OFFSET 0) o
    WHERE (o.payment_ref, o.amount, o.currency, o.effective, o.succeeded_at, o.fee, o.fee_currency, o.contradicted)
      IS DISTINCT FROM (m.payment_ref, m.amount, m.currency, m.effective, m.succeeded_at, m.fee, m.fee_currency, m.contradicted);
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.audit_objects(int) IS 'laws between facts and objects that are broken';

-- Objects and vouchers: what ought to be booked is booked, of what there is and of what there is not.
CREATE FUNCTION erp_webhook.audit_booked(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  company constant int := audit_booked.company_id;
  portion erp_webhook.object_key[];
  ought erp_webhook.booking[];
BEGIN
  FOR portion IN
    SELECT array_agg(ROW(k.source_id, k.object, k.object_ref)::erp_webhook.object_key)
    FROM (SELECT d.*, dense_rank() OVER (ORDER BY d.source_id, d.object_ref) AS n
          FROM (SELECT o.source_id, o.object, o.object_ref FROM erp_webhook.money_object o WHERE o.company_id = company
                UNION SELECT v.source_id, v.object, v.object_ref FROM erp_webhook.voucher v WHERE v.company_id = company
                UNION SELECT 0, 'invoice', i.number FROM erp_webhook.invoice i WHERE i.company_id = company) d) k
    GROUP BY k.n / 1000
  LOOP
    SELECT array_agg(o) INTO ought FROM (
      SELECT * FROM erp_webhook.ought_of_objects(company, portion)
      UNION ALL
      SELECT * FROM erp_webhook.ought_of_invoices(company, (
        SELECT array_agg(ROW(i.invoice_id, NULL, NULL, NULL, NULL)::erp_webhook.invoice_cause)
        FROM unnest(portion) k JOIN erp_webhook.invoice i ON i.company_id = company AND i.number = k.object_ref
        WHERE k.source_id = 0 AND k.object = 'invoice'))) o;
    RETURN QUERY
    SELECT 'what ought to be booked is booked',
           format('%s %s: %s ← %s %s %s', d.object, d.object_ref, d.debit, d.credit, d.amount, d.currency)
    FROM erp_webhook.differences(company, portion || (
      SELECT array_agg(ROW(k.source_id, x.object, k.object_ref)::erp_webhook.object_key)
      FROM unnest(portion) k
      CROSS JOIN (VALUES ('payout', 'arrival'), ('invoice', 'credit_note'), ('invoice', 'write_off')) x (beside, object)
      WHERE k.object = x.beside AND NOT ROW(k.source_id, x.object, k.object_ref)::erp_webhook.object_key = ANY (portion)), ought) d;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.audit_booked(int) IS 'law ought = booked, where it is broken';

CREATE FUNCTION erp_webhook.audit_vouchers(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT 'the steps of an object are counted without gaps', format('%s %s', v.object, v.object_ref)
  FROM erp_webhook.voucher v WHERE v.company_id = audit_vouchers.company_id
  GROUP BY v.source_id, v.object, v.object_ref HAVING max(v.step) <> count(*) OR min(v.step) <> 1
  UNION ALL
  SELECT 'a voucher has entries', format('voucher %s', v.voucher_id)
  FROM erp_webhook.voucher v
  WHERE v.company_id = audit_vouchers.company_id
    AND NOT EXISTS (SELECT FROM erp_webhook.entry e WHERE e.company_id = v.company_id AND e.voucher_id = v.voucher_id)
  UNION ALL
  SELECT 'an entry has a voucher', format('voucher %s, entry %s', e.voucher_id, e.entry_no)
  FROM erp_webhook.entry e
  WHERE e.company_id = audit_vouchers.company_id
    AND NOT EXISTS (SELECT FROM erp_webhook.voucher v WHERE v.company_id = e.company_id AND v.voucher_id = e.voucher_id)
  UNION ALL
  SELECT 'only facts are booked', format('voucher %s, event %s is %s', v.voucher_id, e.event_id, e.state)
  FROM erp_webhook.voucher v JOIN erp_webhook.event e ON e.company_id = v.company_id AND e.event_id = v.event_id
  WHERE v.company_id = audit_vouchers.company_id AND e.state <> 'applied'
  UNION ALL
  SELECT 'credit and debit notes are numbered without gaps', format('%s: %s of %s', d.year, count(*), max(d.sequence))
  FROM erp_webhook.document d WHERE d.company_id = audit_vouchers.company_id
  GROUP BY d.year HAVING max(d.sequence) <> count(*) OR min(d.sequence) <> 1
$$;
COMMENT ON FUNCTION erp_webhook.audit_vouchers(int) IS 'laws of vouchers, entries and documents that are broken';

-- Allocations and invoices.
CREATE FUNCTION erp_webhook.audit_invoices(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH invoice AS (
    SELECT i.*, i.total - i.credited - i.paid - i.written_off - i.elsewhere AS left_open,
           coalesce((SELECT sum(a.amount) FROM erp_webhook.allocation a
                     WHERE a.company_id = i.company_id AND a.invoice_id = i.invoice_id), 0) AS allocated
    FROM erp_webhook.invoice i WHERE i.company_id = audit_invoices.company_id
  )
  SELECT 'paid is what is allocated', format('invoice %s: paid %s, allocated %s', i.number, i.paid, i.allocated)
  FROM invoice i WHERE i.paid <> i.allocated
  UNION ALL
  SELECT 'no invoice is paid or credited beyond its total', format('invoice %s: %s', i.number, i.left_open)
  FROM invoice i WHERE i.state <> 'void' AND i.left_open < 0
  UNION ALL
  SELECT 'the state of an invoice follows from its figures', format('invoice %s is %s', i.number, i.state)
  FROM invoice i
  WHERE i.state <> 'void' AND i.state <> CASE
    WHEN i.left_open > 0 THEN CASE WHEN i.paid = 0 THEN 'open' ELSE 'partial' END
    WHEN i.paid = 0 AND i.credited > 0 THEN 'credited' ELSE 'paid' END
  UNION ALL
  SELECT 'an allocation is of an invoice', format('allocation of %s to %s', a.object_ref, a.invoice_id)
  FROM erp_webhook.allocation a
  WHERE a.company_id = audit_invoices.company_id
    AND NOT EXISTS (SELECT FROM erp_webhook.invoice i
                    WHERE i.company_id = a.company_id AND i.invoice_id = a.invoice_id AND i.state <> 'void')
$$;
COMMENT ON FUNCTION erp_webhook.audit_invoices(int) IS 'laws between allocations and invoices that are broken';

-- A receipt without a standing of its own is a payment wholly spent on what it names (41_ledger).
CREATE FUNCTION erp_webhook.audit_receipts(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  -- Collected and grouped rather than joined: that takes as long as there are rows, whatever the planner knows of them.
  WITH said AS (
    SELECT a.source_id, a.object, a.object_ref, i.currency,
           NULL::numeric AS strength, NULL::numeric AS placed, NULL::numeric AS counts, a.amount::numeric AS allocated
    FROM erp_webhook.allocation a JOIN erp_webhook.invoice i ON i.company_id = a.company_id AND i.invoice_id = a.invoice_id
    WHERE a.company_id = audit_receipts.company_id
    UNION ALL
    SELECT r.source_id, r.object, r.object_ref, r.currency, r.strength, r.allocated, NULL, 0
    FROM erp_webhook.receipt_standing r WHERE r.company_id = audit_receipts.company_id
    UNION ALL
    SELECT o.source_id, o.object, o.object_ref, o.currency, NULL, NULL, CASE WHEN o.effective THEN o.amount ELSE 0 END, 0
    FROM erp_webhook.money_object o
    WHERE o.company_id = audit_receipts.company_id AND o.object = 'payment' AND o.object_ref = o.payment_ref
      AND NOT o.reversal AND o.succeeded_at IS NOT NULL
  ), receipt AS (
    SELECT s.source_id, s.object, s.object_ref, s.currency, coalesce(sum(s.strength), sum(s.counts)) AS strength,
           coalesce(sum(s.placed), sum(s.counts)) AS placed, sum(s.allocated) AS allocated
    FROM said s GROUP BY s.source_id, s.object, s.object_ref, s.currency
  ), room AS (
    SELECT i.account_id, i.currency, min(i.number) AS number FROM erp_webhook.invoice i
    WHERE i.company_id = audit_receipts.company_id AND i.state <> 'void' AND i.total - i.elsewhere > i.paid
    GROUP BY i.account_id, i.currency
  ), left_over AS (
    SELECT r.* FROM erp_webhook.receipt_standing r WHERE r.company_id = audit_receipts.company_id AND r.strength > r.allocated
  )
  SELECT 'a receipt pays no more than its strength',
         format('%s %s: %s of %s %s', r.object, r.object_ref, r.allocated, r.strength, r.currency)
  FROM receipt r WHERE r.allocated > coalesce(r.strength, 0)
  UNION ALL
  SELECT 'what a receipt is said to have paid is allocated',
         format('%s %s: %s of %s %s', r.object, r.object_ref, r.allocated, r.placed, r.currency)
  FROM receipt r WHERE r.placed <> r.allocated
  UNION ALL
  SELECT 'no money is left where an invoice has room for it',
         format('%s %s: %s %s, invoice %s', l.object, l.object_ref, l.strength - l.allocated, l.currency, n.number)
  FROM erp_webhook.invoices_named(
    audit_receipts.company_id,
    ARRAY(SELECT ROW(l.source_id, l.object, l.object_ref)::erp_webhook.object_key FROM left_over l)) n
  CROSS JOIN LATERAL (SELECT r.* FROM erp_webhook.receipt_standing r
                      WHERE r.company_id = audit_receipts.company_id AND r.source_id = n.source_id
                        AND r.object = n.object AND r.object_ref = n.object_ref AND r.currency = n.currency
                        AND r.strength > r.allocated OFFSET 0) l
  WHERE n.ceiling IS NULL
    AND EXISTS (SELECT FROM erp_webhook.invoice i
                WHERE i.company_id = audit_receipts.company_id AND i.invoice_id = n.invoice_id
                  AND i.state <> 'void' AND i.total - i.elsewhere > i.paid)
  UNION ALL
  SELECT 'no money is left where an invoice has room for it',
         format('account %s, %s: %s, invoice %s', x.account_id, x.currency, min(x.object_ref), min(x.number))
  FROM (SELECT l.account_id, l.currency, l.object_ref, NULL::text AS number FROM left_over l
        WHERE l.by_due_date AND l.account_id IS NOT NULL
        UNION ALL SELECT r.account_id, r.currency, NULL, r.number FROM room r) x
  GROUP BY x.account_id, x.currency HAVING count(x.object_ref) > 0 AND count(x.number) > 0
$$;
COMMENT ON FUNCTION erp_webhook.audit_receipts(int) IS 'laws between receipts and allocations that are broken';

-- The sub-ledger and the ledger: what is receivable is what invoices are due, less what receipts still are good for. An
-- ERP's own invoices are receivable in its ledger; ours shows what was settled of them.
CREATE FUNCTION erp_webhook.audit_ledger(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH owed AS (
    SELECT i.currency, sum(CASE WHEN i.erp_key IS NULL THEN i.due ELSE i.due - i.total + i.elsewhere END) AS amount
    FROM erp_webhook.invoice i WHERE i.company_id = audit_ledger.company_id GROUP BY i.currency
    UNION ALL
    SELECT r.currency, sum(r.allocated - r.net) FROM erp_webhook.receipt_standing r
    WHERE r.company_id = audit_ledger.company_id GROUP BY r.currency
  ), booked AS (
    SELECT b.currency, b.balance FROM erp_webhook.ledger_balance b
    WHERE b.company_id = audit_ledger.company_id AND b.ledger_account = 'receivable'
  )
  SELECT 'receivable is what customers and nobody owe',
         format('%s: ledger %s, owed %s', currency, coalesce(b.balance, 0), coalesce(o.amount, 0))
  FROM (SELECT currency, sum(amount) AS amount FROM owed GROUP BY currency) o FULL JOIN booked b USING (currency)
  WHERE coalesce(o.amount, 0) <> coalesce(b.balance, 0)
  UNION ALL
  SELECT 'an account is suspended while a subscription of it is', format('account %s is %s', a.account_no, a.state)
  FROM erp_webhook.account a
  WHERE a.company_id = audit_ledger.company_id
    AND (a.state = 'suspended') <> EXISTS (
      SELECT FROM erp_webhook.subscription s
      WHERE s.company_id = a.company_id AND s.account_id = a.account_id AND s.suspended)
$$;
COMMENT ON FUNCTION erp_webhook.audit_ledger(int) IS 'laws between the sub-ledger and the ledger that are broken';

-- The ledger and its sums by day (78_day_sum.sql).
CREATE FUNCTION erp_webhook.audit_day_sums(company_id int) RETURNS SETOF erp_webhook.breach
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT 'a day''s sum is that of its vouchers', format('%s %s: %s ← %s %s', m.booked_on, m.object, m.debit, m.credit, m.currency)
  FROM (
    SELECT d.booked_on, d.object, d.debit, d.credit, d.currency, d.amount::numeric AS amount
    FROM erp_webhook.day_sum d WHERE d.company_id = audit_day_sums.company_id
    UNION ALL
    SELECT v.booked_on, v.object, e.debit, e.credit, e.currency, -e.amount
    FROM erp_webhook.day_sum_state s
    JOIN erp_webhook.voucher v ON v.company_id = s.company_id AND v.voucher_id <= s.upto
    JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
    WHERE s.company_id = audit_day_sums.company_id) m
  GROUP BY m.booked_on, m.object, m.debit, m.credit, m.currency
  HAVING sum(m.amount) <> 0
$$;
COMMENT ON FUNCTION erp_webhook.audit_day_sums(int) IS 'law of the sums by day, where it is broken';

CREATE FUNCTION erp_webhook.audit(company text DEFAULT NULL)
RETURNS TABLE (company_id int, law text, breaches bigint, example text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT c.company_id, b.law, count(*), min(b.what)
  FROM erp_webhook.company c
  CROSS JOIN LATERAL (
    SELECT * FROM erp_webhook.audit_objects(c.company_id)
    UNION ALL SELECT * FROM erp_webhook.audit_booked(c.company_id)
    UNION ALL SELECT * FROM erp_webhook.audit_vouchers(c.company_id)
    UNION ALL SELECT * FROM erp_webhook.audit_invoices(c.company_id)
    UNION ALL SELECT * FROM erp_webhook.audit_receipts(c.company_id)
    UNION ALL SELECT * FROM erp_webhook.audit_ledger(c.company_id)
    UNION ALL SELECT * FROM erp_webhook.audit_day_sums(c.company_id)) b
  WHERE audit.company IS NULL OR c.company_id = erp_webhook.find_company(audit.company)
  GROUP BY c.company_id, b.law ORDER BY c.company_id, b.law
$$;
COMMENT ON FUNCTION erp_webhook.audit(text) IS
  'one row for each law of the books that is broken in a company (NULL: in any the caller sees), how often, and one place; empty on sound books';
