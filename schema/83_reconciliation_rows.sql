-- The reconciliation itself: payouts with their lines, the lines that bring none, and the roll-forward of clearing.

-- The days a report is about; nothing asked for: this month; one of them: to the beginning or end of its month.
CREATE FUNCTION erp_webhook.asked_days(company text, from_date date, to_date date,
                                       OUT company_id int, OUT first_day date, OUT last_day date, OUT today date)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  company_id := erp_webhook.company_named(company);
  today := erp_webhook.report_day(company_id);
  first_day := coalesce(from_date, date_trunc('month', coalesce(to_date, today)));
  last_day := coalesce(to_date, date_trunc('month', coalesce(from_date, today)) + interval '1 month' - interval '1 day');
END
$$;
COMMENT ON FUNCTION erp_webhook.asked_days(text, date, date) IS 'the company and the days a report was asked for';

CREATE FUNCTION erp_webhook.reconciliation(company text DEFAULT 'default', from_date date DEFAULT NULL,
                                           to_date date DEFAULT NULL)
RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT r.*
  FROM erp_webhook.asked_days(company, from_date, to_date) a
  CROSS JOIN LATERAL (
    SELECT * FROM erp_webhook.reconciled_payouts(
      ARRAY(SELECT p FROM erp_webhook.payouts_of_days(a.company_id, a.first_day, a.last_day) p),
      a.today)
    UNION ALL
    SELECT * FROM erp_webhook.reconciled_lines(
      ARRAY(SELECT l FROM erp_webhook.lines_without_payout(a.company_id, a.first_day - 3, a.last_day + 3) l),
      a.first_day, a.last_day, a.today)) r
  ORDER BY r.state IN ('matched', 'expected', 'in_transit'), r.value_date, r.item DESC,
           r.source COLLATE "C", r.payout_ref COLLATE "C", r.line_ref COLLATE "C", r.currency
$$;
COMMENT ON FUNCTION erp_webhook.reconciliation(text, date, date) IS
  'what provider, ledger and bank say, one row per payout or bank line of the days (default: this month), exceptions first; '
  'state, difference, age in days and what to do';

CREATE FUNCTION erp_webhook.exception_queue(company text DEFAULT 'default', from_date date DEFAULT NULL,
                                            to_date date DEFAULT NULL)
RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT r.*
  FROM erp_webhook.reconciliation(company, coalesce(from_date, '-infinity'), coalesce(to_date, 'infinity')) r
  WHERE r.state NOT IN ('matched', 'expected', 'in_transit')
  ORDER BY r.age DESC, abs(r.difference) DESC, r.payout_ref, r.line_ref
$$;
COMMENT ON FUNCTION erp_webhook.exception_queue(text, date, date) IS
  'what of the reconciliation needs somebody, oldest first, with who looks after it (assign_item()); default: of all days';

-- What moved on the clearing accounts up to a day, by source, day and kind of movement.
CREATE FUNCTION erp_webhook.clearing_moves(company_id int, to_date date)
RETURNS TABLE (source text, currency text, booked_on date, kind text, amount numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT substr(l.account, length('clearing:') + 1), e.currency, e.booked_on,
         CASE WHEN 'fees' IN (e.debit, e.credit) THEN 'fee'
              WHEN e.object IN ('refund', 'refund_total') THEN 'refund'
              WHEN e.object IN ('withdrawn', 'reinstated') THEN 'dispute'
              ELSE e.object END,
         l.sign * e.amount
  FROM erp_webhook.ledger_moves(clearing_moves.company_id, '-infinity', to_date) e
  CROSS JOIN LATERAL (VALUES (e.debit, 1), (e.credit, -1)) l (account, sign)
  WHERE l.account LIKE 'clearing:%'
$$;
COMMENT ON FUNCTION erp_webhook.clearing_moves(int, date) IS
  'all that moved with the providers by a day (signed as it moves the balance)';

-- Opening + what came and went = closing, by kind of movement.
CREATE FUNCTION erp_webhook.clearing_rollforward(
  company text DEFAULT 'default', from_date date DEFAULT NULL, to_date date DEFAULT NULL)
RETURNS TABLE (source text, currency text, opening numeric, captured numeric, refunds numeric, disputes numeric,
               fees numeric,
               conversions numeric, payouts numeric, closing numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH moved AS (
    SELECT m.source, m.currency, CASE WHEN m.booked_on < a.first_day THEN 'opening' ELSE m.kind END AS kind,
           sum(m.amount) AS amount
    FROM erp_webhook.asked_days(company, from_date, to_date) a
    CROSS JOIN LATERAL erp_webhook.clearing_moves(a.company_id, a.last_day) m
    GROUP BY 1, 2, 3),
  rolled AS (
    SELECT m.source, m.currency, m.kind, round(m.amount, d.digits) AS amount, round(0, d.digits) AS nothing
    FROM moved m CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(m.currency)) d (digits))
  SELECT r.source, r.currency,
         sum(CASE r.kind WHEN 'opening' THEN r.amount ELSE r.nothing END),
         sum(CASE r.kind WHEN 'payment' THEN r.amount ELSE r.nothing END),
         sum(CASE r.kind WHEN 'refund' THEN r.amount ELSE r.nothing END),
         sum(CASE r.kind WHEN 'dispute' THEN r.amount ELSE r.nothing END),
         sum(CASE r.kind WHEN 'fee' THEN r.amount ELSE r.nothing END),
         sum(CASE r.kind WHEN 'conversion' THEN r.amount ELSE r.nothing END),
         sum(CASE r.kind WHEN 'payout' THEN r.amount ELSE r.nothing END),
         sum(r.amount)
  FROM rolled r
  GROUP BY r.source, r.currency
  -- What was booked and taken back again on the way leaves no row: in another order of deliveries it was never booked.
  HAVING bool_or(r.amount <> 0)
  ORDER BY r.source COLLATE "C", r.currency
$$;
COMMENT ON FUNCTION erp_webhook.clearing_rollforward(text, date, date) IS
  'per source and currency: opening + captured − refunds − disputes − fees ± conversions − payouts = closing '
  '(signed as they move the balance)';
