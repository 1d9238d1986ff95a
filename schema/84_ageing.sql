-- Who owes what since when, today or at any past day (SETTLEMENT 5.3).
--
-- Today it is read from the invoices and receipts as they stand. For a past day the vouchers booked by then say what
-- each invoice and receipt was worth, and allocation is done over them again;
-- either way ageing + credit + nobody's = ledger receivable.

-- A date is that day, whatever the session's time zone makes of its midnight;
-- a moment is the day it is where the company is.
CREATE FUNCTION erp_webhook.asked_day(company text, at timestamptz, OUT company_id int, OUT day date)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  company_id := erp_webhook.company_named(company);
  day := CASE WHEN at IS NULL THEN erp_webhook.report_day(company_id)
              WHEN at = at::date::timestamptz THEN at::date
              ELSE erp_webhook.day_of(company_id, at) END;
END
$$;
COMMENT ON FUNCTION erp_webhook.asked_day(text, timestamptz) IS
  'the company and the day a report was asked for: a date, the company''s day at a moment, or (NULL) its today';

-- Nothing booked after the day: the books as they stand are the books of that day.
CREATE FUNCTION erp_webhook.is_current(company_id int, day date) RETURNS boolean
LANGUAGE sql STABLE
RETURN NOT EXISTS (SELECT FROM erp_webhook.ledger_moves(company_id, day + 1, 'infinity') m
                   WHERE m.object IN ('payment', 'refund', 'refund_total', 'withdrawn', 'reinstated', 'bank', 'invoice',
                                      'credit_note', 'write_off'));
COMMENT ON FUNCTION erp_webhook.is_current(int, date) IS 'does the day end with the books as they stand?';

-- What vouchers up to a day moved on receivable, per invoice (debit) or receipt (credit).
CREATE FUNCTION erp_webhook.receivable_moves(company_id int, day date)
RETURNS TABLE (source_id int, object text, object_ref text, currency text, amount numeric)
LANGUAGE sql STABLE
AS $$
  SELECT v.source_id, v.object, v.object_ref, e.currency,
         sum(CASE e.debit WHEN 'receivable' THEN e.amount ELSE -e.amount END)
  FROM erp_webhook.voucher v JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
  WHERE v.company_id = receivable_moves.company_id AND v.booked_on <= day AND 'receivable' IN (e.debit, e.credit)
  GROUP BY v.source_id, v.object, v.object_ref, e.currency
$$;
COMMENT ON FUNCTION erp_webhook.receivable_moves(int, date) IS 'what was booked on receivable by a day, object by object';

CREATE FUNCTION erp_webhook.invoices_then(company_id int, day date) RETURNS SETOF erp_webhook.invoice
LANGUAGE sql STABLE
AS $$
  SELECT i.company_id, i.invoice_id, i.number, i.account_id, i.currency, m.amount, 0, i.issued_on, i.due_on,
         i.subscription_ref, i.erp_key, 0, 0, 0, 0, 'open', m.amount
  FROM (SELECT object_ref AS number, currency, sum(amount) AS amount
        FROM erp_webhook.receivable_moves(invoices_then.company_id, day)
        WHERE object IN ('invoice', 'credit_note', 'write_off') GROUP BY object_ref, currency) m
  JOIN erp_webhook.invoice i ON i.company_id = invoices_then.company_id AND i.number = m.number AND i.currency = m.currency
  WHERE m.amount <> 0
$$;
COMMENT ON FUNCTION erp_webhook.invoices_then(int, date) IS
  'invoices as a day knew them before any payment: total is what was issued less credit notes and write-offs';

CREATE FUNCTION erp_webhook.receipts_then(company_id int, day date) RETURNS SETOF erp_webhook.standing
LANGUAGE sql STABLE
AS $$
  WITH moved AS MATERIALIZED (
    SELECT m.source_id, CASE o.object WHEN 'bank' THEN 'bank' ELSE 'payment' END AS object,
           CASE WHEN o.object = 'bank' AND (NOT o.debit_side OR o.payment_ref IS NULL) THEN o.object_ref
                ELSE o.payment_ref END AS object_ref,
           m.currency, -sum(m.amount) AS net
    FROM erp_webhook.receivable_moves(receipts_then.company_id, day) m
    JOIN erp_webhook.money_object o
      ON o.company_id = receipts_then.company_id AND o.source_id = m.source_id AND o.object = m.object
      AND o.object_ref = m.object_ref AND o.denomination = ''
    GROUP BY 1, 2, 3, 4),
  now_ AS MATERIALIZED (
    SELECT r.* FROM erp_webhook.receipts_standing(receipts_then.company_id,
      ARRAY(SELECT DISTINCT ROW(m.source_id, m.object, m.object_ref)::erp_webhook.object_key FROM moved m)) r)
  SELECT m.source_id, m.object, m.object_ref, m.currency, n.account_id, n.at, m.net, greatest(m.net, 0),
         greatest(m.net, 0), coalesce(n.by_due_date, false), NULL::bigint
  FROM moved m
  JOIN erp_webhook.source s ON s.company_id = receipts_then.company_id AND s.source_id = m.source_id
  LEFT JOIN now_ n
    ON n.source_id = m.source_id AND n.object = m.object AND n.object_ref = m.object_ref AND n.currency = m.currency
  ORDER BY n.at, s.name COLLATE "C", m.object_ref COLLATE "C", m.currency
$$;
COMMENT ON FUNCTION erp_webhook.receipts_then(int, date) IS
  'receipts as a day knew them, in the order of allocation: strength is what was booked on receivable by then';

CREATE TYPE erp_webhook.open_item AS (account_id int, currency text, invoice_id bigint, number text, due_on date,
                                      due numeric, credit numeric);
COMMENT ON TYPE erp_webhook.open_item IS
  'an invoice with what is due on it, or a receipt (invoice_id NULL) with what is left of it (negative: more was '
  'taken back than it brought)';

CREATE FUNCTION erp_webhook.open_items_then(company_id int, day date) RETURNS SETOF erp_webhook.open_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  invoices erp_webhook.invoice[] := ARRAY(SELECT i FROM erp_webhook.invoices_then(company_id, day) i);
  receipts erp_webhook.standing[] := ARRAY(SELECT r FROM erp_webhook.receipts_then(company_id, day) r);
BEGIN
  RETURN QUERY
  WITH paid AS MATERIALIZED (SELECT a.receipt, a.invoice_id, a.amount
                             FROM erp_webhook.allocation_of(open_items_then.company_id, receipts, invoices) a
                             WHERE a.amount > 0),
  by_invoice AS (SELECT p.invoice_id, sum(p.amount) AS amount FROM paid p GROUP BY p.invoice_id),
  by_receipt AS (SELECT p.receipt, sum(p.amount) AS amount FROM paid p GROUP BY p.receipt)
  SELECT i.account_id, i.currency, i.invoice_id, i.number, i.due_on, i.total - coalesce(p.amount, 0), 0::numeric
  FROM unnest(invoices) i LEFT JOIN by_invoice p USING (invoice_id)
  UNION ALL
  SELECT r.account_id, r.currency, NULL, NULL, NULL, 0::numeric, r.net - coalesce(p.amount, 0)
  FROM unnest(receipts) WITH ORDINALITY r (source_id, object, object_ref, currency, account_id, at, net, strength, gross,
                                           by_due_date, event_id, n)
  LEFT JOIN by_receipt p ON p.receipt = r.n;
END
$$;
COMMENT ON FUNCTION erp_webhook.open_items_then(int, date) IS 'what was open at the end of a past day';

CREATE FUNCTION erp_webhook.open_items(company_id int, day date) RETURNS SETOF erp_webhook.open_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF erp_webhook.is_current(company_id, day) THEN
    RETURN QUERY
    SELECT i.account_id, i.currency, i.invoice_id, i.number, i.due_on, i.due::numeric, 0::numeric
    FROM erp_webhook.invoice i WHERE i.company_id = open_items.company_id AND i.due <> 0
    UNION ALL
    SELECT r.account_id, r.currency, NULL, NULL, NULL, 0::numeric, r.net - r.allocated
    FROM erp_webhook.receipt_standing r WHERE r.company_id = open_items.company_id AND r.net <> r.allocated;
  ELSE
    RETURN QUERY SELECT * FROM erp_webhook.open_items_then(open_items.company_id, day) o WHERE o.due <> 0 OR o.credit <> 0;
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.open_items(int, date) IS 'open invoices and unspent receipts at the end of a day';

-- Invoices whose payment is disputed: what was withdrawn and not reinstated of the receipts that name them,
-- as far as they are due.
CREATE FUNCTION erp_webhook.disputed_invoices(company_id int, day date) RETURNS TABLE (invoice_id bigint, amount numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH dispute AS MATERIALIZED (
    SELECT o.source_id, o.payment_ref, o.currency,
           sum(CASE o.object WHEN 'withdrawn' THEN o.amount ELSE -o.amount END) AS amount
    FROM erp_webhook.source s
    JOIN erp_webhook.money_object o
      ON o.company_id = s.company_id AND o.source_id = s.source_id AND o.object IN ('withdrawn', 'reinstated')
    WHERE s.company_id = disputed_invoices.company_id AND o.effective
      AND o.succeeded_at < (day + 1)::timestamp AT TIME ZONE erp_webhook.company_zone(o.company_id)
    GROUP BY o.source_id, o.payment_ref, o.currency
    HAVING sum(CASE o.object WHEN 'withdrawn' THEN o.amount ELSE -o.amount END) > 0)
  SELECT n.invoice_id, sum(d.amount)
  FROM dispute d
  JOIN erp_webhook.invoices_named(disputed_invoices.company_id,
                                  ARRAY(SELECT ROW(x.source_id, 'payment', x.payment_ref)::erp_webhook.object_key
                                        FROM dispute x)) n
    ON n.source_id = d.source_id AND n.object = 'payment' AND n.object_ref = d.payment_ref AND n.currency = d.currency
  WHERE n.invoice_id IS NOT NULL GROUP BY n.invoice_id
$$;
COMMENT ON FUNCTION erp_webhook.disputed_invoices(int, date) IS 'invoices with disputed payments, and how much';

-- The same customer, amount and currency twice within three days: invoices, and receipts.
CREATE FUNCTION erp_webhook.likely_duplicates(company text DEFAULT 'default', from_date date DEFAULT NULL,
                                              to_date date DEFAULT NULL)
RETURNS TABLE (what text, account_no text, ref text, earlier_ref text, amount numeric, currency text, day date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (
    SELECT c.id, coalesce(from_date, coalesce(to_date, erp_webhook.report_day(c.id)) - 90) AS first_day,
           coalesce(to_date, erp_webhook.report_day(c.id)) AS last_day,
           erp_webhook.company_zone(c.id) AS zone
    FROM (SELECT erp_webhook.company_named(company)) c (id)),
  seen AS (
    SELECT 'invoice' AS what, i.company_id, i.account_id, i.number AS ref, i.total::numeric AS amount, i.currency,
           coalesce(i.issued_on, i.due_on) AS day
    FROM asked a
    JOIN erp_webhook.invoice i
      ON i.company_id = a.id AND i.state <> 'void' AND coalesce(i.issued_on, i.due_on) BETWEEN a.first_day - 3 AND a.last_day
    UNION ALL
    SELECT DISTINCT 'receipt', o.company_id, coalesce(r.account_id, i.account_id), o.object_ref, o.amount::numeric,
                    o.currency, (o.succeeded_at AT TIME ZONE a.zone)::date
    FROM asked a
    JOIN erp_webhook.money_object o
      ON o.company_id = a.id AND o.object IN ('payment', 'bank') AND o.effective AND NOT o.reversal AND NOT o.debit_side
      AND o.succeeded_at >= (a.first_day - 3)::timestamp AT TIME ZONE a.zone
      AND o.succeeded_at < (a.last_day + 1)::timestamp AT TIME ZONE a.zone
    LEFT JOIN erp_webhook.receipt_standing r
      ON r.company_id = o.company_id AND r.source_id = o.source_id AND r.object = o.object
      AND r.object_ref = coalesce(o.payment_ref, o.object_ref) AND r.currency = o.currency
    LEFT JOIN LATERAL (SELECT n.account_id
                       FROM erp_webhook.invoice n
                       WHERE n.company_id = o.company_id AND n.number = ANY (o.refs) ORDER BY n.number LIMIT 1) i
      ON true),
  pair AS (
    SELECT s.*, lag(s.ref) OVER w AS earlier, lag(s.day) OVER w AS earlier_day
    FROM seen s WHERE s.account_id IS NOT NULL
    WINDOW w AS (PARTITION BY s.what, s.account_id, s.currency, s.amount ORDER BY s.day, s.ref COLLATE "C"))
  SELECT p.what, c.account_no, p.ref, p.earlier, p.amount, p.currency, p.day
  FROM pair p JOIN asked a ON true JOIN erp_webhook.account c ON c.company_id = p.company_id AND c.account_id = p.account_id
  WHERE p.day - p.earlier_day <= 3 AND p.day BETWEEN a.first_day AND a.last_day ORDER BY p.day DESC, p.ref COLLATE "C"
$$;
COMMENT ON FUNCTION erp_webhook.likely_duplicates(text, date, date) IS
  'invoices and receipts that repeat an earlier one of the same customer, amount and currency within three days '
  '(default: the last 90)';

CREATE FUNCTION erp_webhook.receivables_aging(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (account_no text, name text, currency text, not_due numeric, days_1_30 numeric, days_31_60 numeric,
               days_61_90 numeric, over_90 numeric,
               due numeric, disputed numeric, credit numeric, balance numeric, duplicates bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT * FROM erp_webhook.asked_day(receivables_aging.company, receivables_aging.at)),
  item AS MATERIALIZED (
    SELECT o.*, a.day - o.due_on AS late
    FROM asked a CROSS JOIN LATERAL erp_webhook.open_items(a.company_id, a.day) o),
  disputed AS MATERIALIZED (
    SELECT d.* FROM asked a CROSS JOIN LATERAL erp_webhook.disputed_invoices(a.company_id, a.day) d),
  twice AS MATERIALIZED (
    SELECT d.account_no, d.currency, count(*) AS n
    FROM asked a
    CROSS JOIN LATERAL erp_webhook.likely_duplicates(receivables_aging.company, a.day - 90, a.day) d
    GROUP BY d.account_no, d.currency),
  customer AS (
    SELECT i.account_id, i.currency,
           coalesce(sum(i.due) FILTER (WHERE i.late <= 0), 0) AS not_due,
           coalesce(sum(i.due) FILTER (WHERE i.late BETWEEN 1 AND 30), 0) AS to_30,
           coalesce(sum(i.due) FILTER (WHERE i.late BETWEEN 31 AND 60), 0) AS to_60,
           coalesce(sum(i.due) FILTER (WHERE i.late BETWEEN 61 AND 90), 0) AS to_90,
           coalesce(sum(i.due) FILTER (WHERE i.late > 90), 0) AS beyond,
           coalesce(sum(least(d.amount, i.due)) FILTER (WHERE d.amount > 0), 0) AS disputed,
           sum(i.due) AS due, sum(i.credit) AS credit
    FROM item i LEFT JOIN disputed d USING (invoice_id)
    WHERE i.account_id IS NOT NULL
    GROUP BY i.account_id, i.currency),
  currency AS (SELECT k.currency, erp_webhook.digits_of(k.currency) AS digits FROM (SELECT DISTINCT c.currency FROM customer c) k)
  SELECT n.account_no, n.name, c.currency,
         round(c.not_due, k.digits), round(c.to_30, k.digits), round(c.to_60, k.digits), round(c.to_90, k.digits),
         round(c.beyond, k.digits), round(c.due, k.digits), round(c.disputed, k.digits), round(c.credit, k.digits),
         round(c.due - c.credit, k.digits), coalesce(t.n, 0)
  FROM asked a
  CROSS JOIN customer c
  JOIN currency k ON k.currency = c.currency
  JOIN erp_webhook.account n ON n.company_id = a.company_id AND n.account_id = c.account_id
  LEFT JOIN twice t ON t.account_no = n.account_no AND t.currency = c.currency
  ORDER BY c.due - c.credit DESC, n.account_no COLLATE "C", c.currency
$$;
COMMENT ON FUNCTION erp_webhook.receivables_aging(text, timestamptz) IS
  'what customers owe at the end of a day (default: today) by days after due_on; disputed is part of what is due, credit '
  'is not taken off it; duplicates counts likely_duplicates() of the last 90 days';

CREATE FUNCTION erp_webhook.receivables_proof(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (currency text, ageing numeric, credit numeric, nobodys numeric, ledger_receivable numeric,
               difference numeric, days_sales_outstanding numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT * FROM erp_webhook.asked_day(receivables_proof.company, receivables_proof.at)),
  open_ AS (
    SELECT o.currency, sum(o.due) AS ageing,
           -sum(o.credit) FILTER (WHERE o.account_id IS NOT NULL) AS credit,
           -sum(o.credit) FILTER (WHERE o.account_id IS NULL) AS nobodys
    FROM asked a CROSS JOIN LATERAL erp_webhook.open_items(a.company_id, a.day) o
    GROUP BY o.currency),
  ledger AS (
    SELECT e.currency,
           sum(CASE e.debit WHEN 'receivable' THEN e.amount ELSE -e.amount END) AS receivable,
           sum(CASE e.credit WHEN 'revenue' THEN e.amount ELSE -e.amount END)
             FILTER (WHERE 'revenue' IN (e.debit, e.credit) AND e.booked_on > a.day - 90) AS sold
    FROM asked a CROSS JOIN LATERAL erp_webhook.ledger_moves(a.company_id, '-infinity', a.day) e
    WHERE 'receivable' IN (e.debit, e.credit)
    GROUP BY e.currency),
  side AS (
    SELECT currency, coalesce(o.ageing, 0) AS ageing, coalesce(o.credit, 0) AS credit, coalesce(o.nobodys, 0) AS nobodys,
           coalesce(l.receivable, 0) AS receivable, l.sold
    FROM open_ o FULL JOIN ledger l USING (currency)
    WHERE o.currency IS NOT NULL OR l.receivable <> 0 OR l.sold <> 0)
  SELECT s.currency, round(s.ageing, d.digits), round(s.credit, d.digits), round(s.nobodys, d.digits),
         round(s.receivable, d.digits),
         round(s.ageing + s.credit + s.nobodys - s.receivable, d.digits),
         round(90 * s.receivable / nullif(s.sold, 0), 1)
  FROM side s CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(s.currency)) d (digits)
  ORDER BY s.currency
$$;
COMMENT ON FUNCTION erp_webhook.receivables_proof(text, timestamptz) IS
  'the line that proves receivables_aging(): ageing + credit (negative) + nobody''s = receivable in the ledger, '
  'difference 0; and days sales outstanding over the last 90 days';
