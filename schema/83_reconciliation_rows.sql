-- The reconciliation itself: payouts with their lines, then the lines that bring no payout.

CREATE FUNCTION erp_webhook.latest_assignment(company_id int, item text) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT a.assigned_to FROM erp_webhook.exception_assignment a
        WHERE a.company_id = latest_assignment.company_id AND a.item = latest_assignment.item ORDER BY a.assignment_id DESC LIMIT 1);
COMMENT ON FUNCTION erp_webhook.latest_assignment(int, text) IS 'who looks after an item of the reconciliation';

-- Payouts of the days, and those a line of the days brings.
CREATE FUNCTION erp_webhook.payouts_of_days(company_id int, from_date date, to_date date) RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.* FROM erp_webhook.bank_item i
  WHERE i.company_id = payouts_of_days.company_id AND i.item = 'payout' AND i.booked_on BETWEEN from_date AND to_date
  UNION
  SELECT p.* FROM erp_webhook.bank_item l
  JOIN erp_webhook.bank_match m ON m.company_id = l.company_id AND m.line_source = l.source_id AND m.line_ref = l.object_ref
  JOIN erp_webhook.bank_item p ON p.company_id = m.company_id AND p.item = 'payout' AND p.source_id = m.source_id AND p.object_ref = m.payout_ref AND p.currency = m.currency
  WHERE l.company_id = payouts_of_days.company_id AND l.item = 'line' AND l.booked_on BETWEEN from_date AND to_date
$$;
COMMENT ON FUNCTION erp_webhook.payouts_of_days(int, date, date) IS 'the payouts the reconciliation of these days is about';

CREATE FUNCTION erp_webhook.reconciled_payouts(company_id int, from_date date, to_date date) RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH known AS MATERIALIZED (
    SELECT c.currency, c.source_id, erp_webhook.bank_known_until(reconciled_payouts.company_id, c.currency, c.source_id) AS until, erp_webhook.digits_of(c.currency) AS digits
    FROM (SELECT DISTINCT p.currency, p.source_id FROM erp_webhook.payouts_of_days(reconciled_payouts.company_id, from_date, to_date) p) c),
  said AS (
    SELECT p, s.name AS source, k.until, k.digits,
           coalesce(erp_webhook.booked_on_account(p.company_id, p.source_id, 'payout', p.object_ref, '^in_transit$', p.currency), 0) AS ledger,
           erp_webhook.difference_to(p.company_id, p.source_id, p.object_ref, p.currency) AS difference_to, b.*
    FROM erp_webhook.payouts_of_days(reconciled_payouts.company_id, from_date, to_date) p
    JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
    JOIN known k ON k.currency = p.currency AND k.source_id = p.source_id
    CROSS JOIN LATERAL (
      SELECT count(*) AS lines, sum(m.amount) FILTER (WHERE m.line_currency = p.currency) AS bank,
             coalesce(bool_or(m.line_currency <> p.currency), false) AS other_currency,
             sum(m.amount) FILTER (WHERE m.line_currency <> p.currency) AS other_amount, min(m.line_currency) FILTER (WHERE m.line_currency <> p.currency) AS other,
             coalesce(bool_or(m.amount = p.amount AND m.line_currency = p.currency), false) AS same_line,
             string_agg(m.line_ref, ', ' ORDER BY l.booked_on, m.line_ref COLLATE "C") AS line_refs, min(m.rule) AS rule,
             max(l.booked_on) AS booked_on, min(l.account) AS account, string_agg(DISTINCT e.reference, ', ') AS reference, string_agg(DISTINCT e.counterparty, ', ') AS counterparty
      FROM erp_webhook.bank_match m
      JOIN erp_webhook.bank_item l ON l.company_id = m.company_id AND l.item = 'line' AND l.source_id = m.line_source AND l.object_ref = m.line_ref
      LEFT JOIN erp_webhook.bank_entry e ON e.company_id = m.company_id AND m.line_source = 0 AND e.object_ref = m.line_ref
      WHERE m.company_id = p.company_id AND m.source_id = p.source_id AND m.payout_ref = p.object_ref AND m.currency = p.currency) b),
  judged AS (
    SELECT d.*, erp_webhook.payout_state(d.p, d.ledger, d.bank, d.lines, d.same_line, d.other_currency, d.until, d.difference_to IS NOT NULL) AS state,
           CASE WHEN (d.p).state = 'failed' THEN 0 ELSE (d.p).amount END AS said
    FROM said d)
  SELECT 'payout', j.source, (j.p).object_ref, j.line_refs, j.account, (j.p).currency, (j.p).day, j.booked_on,
         round(j.said, j.digits), round(j.ledger, j.digits), coalesce(round(j.bank, j.digits), j.other_amount), j.state,
         round(CASE WHEN j.lines > 0 AND NOT j.other_currency THEN j.bank - j.said
                    WHEN j.state IN ('missing_at_bank', 'currency_mismatch') OR j.difference_to IS NOT NULL THEN -j.said ELSE 0 END, j.digits),
         greatest(erp_webhook.report_day(reconciled_payouts.company_id) - (j.p).day, 0),
         nullif(concat_ws('; ', erp_webhook.reconciliation_advice(j.state, 'payout'), CASE WHEN j.other_currency THEN 'the bank says ' || j.other_amount || ' ' || j.other END,
                   CASE WHEN j.difference_to IS NOT NULL AND j.bank IS DISTINCT FROM j.said THEN 'the difference is in ' || j.difference_to END), ''),
         j.rule, erp_webhook.equation_text(t.payments, t.gross, t.fees, t.refunds, t.disputes, (j.p).amount),
         j.reference, j.counterparty,
         erp_webhook.latest_assignment(reconciled_payouts.company_id, (j.p).object_ref)
  FROM judged j CROSS JOIN LATERAL erp_webhook.payout_parts((j.p).company_id, (j.p).source_id, (j.p).object_ref, (j.p).currency) t
$$;
COMMENT ON FUNCTION erp_webhook.reconciled_payouts(int, date, date) IS 'the payouts of the days, each with the bank lines that bring it';

-- A line that looks like a payout: its payer or text bears the name of one of our sources, or calls itself one.
CREATE FUNCTION erp_webhook.looks_like_payout(company_id int, payer text, reference text) RETURNS boolean
LANGUAGE sql STABLE
RETURN coalesce(reference ~* '\m(payout|auszahlung|uitbetaling|versement|settlement)\M', false)
  OR EXISTS (SELECT FROM erp_webhook.source s WHERE s.company_id = looks_like_payout.company_id AND s.source_id <> 0
             AND length(s.provider) >= 4 AND strpos(coalesce(payer, ''), upper(regexp_replace(s.provider, '[^A-Za-z0-9]', '', 'g'))) > 0);
COMMENT ON FUNCTION erp_webhook.looks_like_payout(int, text, text) IS 'might this bank line be a payout of one of our sources?';

-- Lines of the days that bring no payout. A statement's copy of a webhook's line is the same row; one that only has the amount
-- of a webhook's line, within three days, stands beside it: the first with the first, of those of the days.
CREATE FUNCTION erp_webhook.reconciled_lines(company_id int, from_date date, to_date date) RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH near AS (
    SELECT i.*, t.known_by, t.line_ref AS twin_line,
           coalesce(erp_webhook.booked_on_account(i.company_id, i.source_id, 'bank', i.object_ref, '^bank(:|$)', i.currency), 0) AS ledger
    FROM erp_webhook.bank_item i
    LEFT JOIN erp_webhook.bank_twin t ON t.company_id = i.company_id AND i.source_id <> 0 AND t.source_id = i.source_id AND t.object_ref = i.object_ref
    WHERE i.company_id = reconciled_lines.company_id AND i.item = 'line' AND i.state <> 'repeated' AND i.booked_on BETWEEN from_date - 3 AND to_date + 3
      AND NOT EXISTS (SELECT FROM erp_webhook.bank_match m WHERE m.company_id = i.company_id AND m.line_source = i.source_id AND m.line_ref = i.object_ref)
      AND NOT EXISTS (SELECT FROM erp_webhook.bank_twin s WHERE s.company_id = i.company_id AND i.source_id = 0 AND s.line_ref = i.object_ref)),
  beside AS (
    SELECT DISTINCT ON (w.source_id, w.object_ref) w.source_id, w.object_ref, l.object_ref AS line_ref
    FROM (SELECT n.*, row_number() OVER (PARTITION BY n.source_id = 0, n.currency, n.amount ORDER BY n.booked_on, n.object_ref COLLATE "C") AS nth FROM near n WHERE n.twin_line IS NULL) w
    JOIN (SELECT n.*, row_number() OVER (PARTITION BY n.source_id = 0, n.currency, n.amount ORDER BY n.booked_on, n.object_ref COLLATE "C") AS nth FROM near n WHERE n.twin_line IS NULL) l
      ON l.source_id = 0 AND w.source_id <> 0 AND w.currency = l.currency AND w.amount = l.amount AND w.nth = l.nth AND abs(w.day - l.day) <= 3
    ORDER BY w.source_id, w.object_ref, l.object_ref COLLATE "C"),
  known AS MATERIALIZED (
    SELECT c.currency, c.source_id, erp_webhook.bank_known_until(reconciled_lines.company_id, c.currency, c.source_id) AS until, erp_webhook.digits_of(c.currency) AS digits
    FROM (SELECT DISTINCT n.currency, n.source_id FROM near n) c),
  shown AS (
    SELECT n.*, e.reference, e.counterparty, e.account AS bank_account, k.until, k.digits, b.line_ref AS beside_line, coalesce(n.twin_line, b.line_ref) AS copy,
           coalesce(d.amount, c.amount) AS statement_amount, coalesce(d.booking_date, c.booking_date) AS statement_day,
           n.source_id = 0 AND n.ledger <> 0 AND EXISTS (SELECT FROM beside o WHERE o.line_ref = n.object_ref) AS twice,
           n.end_to_end_id IS NOT NULL AND EXISTS (SELECT FROM erp_webhook.bank_item o WHERE o.company_id = n.company_id AND o.item = 'line' AND o.source_id = n.source_id
             AND o.end_to_end_id = n.end_to_end_id AND o.amount = n.amount AND o.currency = n.currency AND o.day = n.day AND o.state = 'booked'
             AND o.object_ref < n.object_ref COLLATE "C") AS again
    FROM near n
    LEFT JOIN beside b ON b.source_id = n.source_id AND b.object_ref = n.object_ref
    JOIN known k ON k.currency = n.currency AND k.source_id = n.source_id
    LEFT JOIN erp_webhook.bank_entry e ON e.company_id = n.company_id AND n.source_id = 0 AND e.object_ref = n.object_ref
    LEFT JOIN erp_webhook.bank_entry d ON d.company_id = n.company_id AND d.object_ref = n.twin_line
    LEFT JOIN erp_webhook.bank_entry c ON c.company_id = n.company_id AND c.object_ref = b.line_ref
    WHERE n.booked_on BETWEEN from_date AND to_date),
  judged AS (
    SELECT s.*, s.state = 'reversed' AS gone, CASE WHEN s.state = 'reversed' THEN 0 ELSE coalesce(s.statement_amount, s.amount) END AS bank,
           CASE WHEN s.again OR s.twice THEN 'duplicate'
                WHEN s.source_id = 0 AND s.ledger = s.amount THEN 'matched'
                WHEN s.source_id = 0 AND erp_webhook.looks_like_payout(s.company_id, s.payer, s.reference) THEN 'missing_at_provider'
                WHEN s.source_id = 0 THEN 'missing_in_ledger'
                WHEN s.ledger <> CASE WHEN s.state = 'reversed' THEN 0 ELSE s.amount END THEN 'missing_in_ledger'
                WHEN s.copy IS NULL AND s.state <> 'reversed' AND s.until > s.day + 3 THEN 'missing_at_bank'
                WHEN s.statement_amount > s.amount THEN 'over' WHEN s.statement_amount < s.amount THEN 'under'
                ELSE 'matched' END AS verdict
    FROM shown s
    WHERE NOT (s.source_id = 0 AND s.ledger = 0 AND EXISTS (SELECT FROM beside o WHERE o.line_ref = s.object_ref)))
  SELECT 'line', s.name, NULL, coalesce(j.copy, j.object_ref), coalesce(j.bank_account, j.account), j.currency, j.day, coalesce(j.statement_day, j.booked_on),
         NULL::numeric, round(j.ledger, j.digits), CASE WHEN j.verdict <> 'missing_at_bank' THEN round(j.bank, j.digits) END, j.verdict,
         round(CASE WHEN j.verdict = 'missing_at_bank' THEN -j.amount ELSE j.bank - j.ledger END, j.digits),
         greatest(erp_webhook.report_day(reconciled_lines.company_id) - j.booked_on, 0),
         CASE WHEN j.verdict <> 'matched' THEN erp_webhook.reconciliation_advice(j.verdict, 'line')
              WHEN j.amount < 0 AND erp_webhook.booked_on_account(j.company_id, j.source_id, 'bank', j.object_ref, '^bank_unassigned$', j.currency) <> 0 THEN 'waits in bank_unassigned: book_line() says where it goes' END,
         CASE WHEN j.known_by = 'bank_ref' THEN 'same bank reference' WHEN j.twin_line IS NOT NULL THEN 'same amount, value date and id' WHEN j.beside_line IS NOT NULL THEN 'same amount, about the same day' END,
         NULL::text, j.reference, j.counterparty, erp_webhook.latest_assignment(reconciled_lines.company_id, coalesce(j.copy, j.object_ref))
  FROM judged j LEFT JOIN erp_webhook.source s ON s.company_id = j.company_id AND s.source_id = j.source_id AND j.source_id <> 0
$$;
COMMENT ON FUNCTION erp_webhook.reconciled_lines(int, date, date) IS 'the bank lines of the days that bring no payout';

CREATE FUNCTION erp_webhook.reconciliation(company text DEFAULT 'default', from_date date DEFAULT NULL, to_date date DEFAULT NULL) RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (
    SELECT c.id, coalesce(from_date, date_trunc('month', coalesce(to_date, erp_webhook.report_day(c.id)))::date) AS first_day,
           coalesce(to_date, (date_trunc('month', coalesce(from_date, erp_webhook.report_day(c.id))) + interval '1 month')::date - 1) AS last_day
    FROM (SELECT erp_webhook.company_named(company)) c (id))
  SELECT r.* FROM asked a, LATERAL (
    SELECT * FROM erp_webhook.reconciled_payouts(a.id, a.first_day, a.last_day)
    UNION ALL SELECT * FROM erp_webhook.reconciled_lines(a.id, a.first_day, a.last_day)) r
  ORDER BY r.state IN ('matched', 'expected', 'in_transit'), r.value_date, r.item DESC, r.source COLLATE "C", r.payout_ref COLLATE "C", r.line_ref COLLATE "C", r.currency
$$;
COMMENT ON FUNCTION erp_webhook.reconciliation(text, date, date) IS
  'what provider, ledger and bank say, one row per payout or bank line of the days (default: this month), exceptions first; state, difference, age in days and what to do';

CREATE FUNCTION erp_webhook.exception_queue(company text DEFAULT 'default', from_date date DEFAULT NULL, to_date date DEFAULT NULL) RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT * FROM erp_webhook.reconciliation(company, coalesce(from_date, '-infinity'), coalesce(to_date, 'infinity')) r
  WHERE r.state NOT IN ('matched', 'expected', 'in_transit') ORDER BY r.age DESC, abs(r.difference) DESC, r.payout_ref, r.line_ref
$$;
COMMENT ON FUNCTION erp_webhook.exception_queue(text, date, date) IS 'what of the reconciliation needs somebody, oldest first, with who looks after it (assign_item()); default: of all days';

-- Opening + what came and went = closing, by kind of movement.
CREATE FUNCTION erp_webhook.clearing_rollforward(company text DEFAULT 'default', from_date date DEFAULT NULL, to_date date DEFAULT NULL)
RETURNS TABLE (source text, currency text, opening numeric, captured numeric, refunds numeric, disputes numeric, fees numeric, conversions numeric, payouts numeric, closing numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (
    SELECT c.id, coalesce(from_date, date_trunc('month', coalesce(to_date, erp_webhook.report_day(c.id)))::date) AS first_day,
           coalesce(to_date, (date_trunc('month', coalesce(from_date, erp_webhook.report_day(c.id))) + interval '1 month')::date - 1) AS last_day
    FROM (SELECT erp_webhook.company_named(company)) c (id)),
  moved AS (
    SELECT substr(l.account, 10) AS source, e.currency, e.booked_on < a.first_day AS before, e.object,
           'fees' IN (e.debit, e.credit) AS is_fee, l.sign * e.amount AS amount
    FROM asked a CROSS JOIN LATERAL erp_webhook.ledger_moves(a.id, '-infinity', a.last_day) e
    CROSS JOIN LATERAL (VALUES (e.debit, 1), (e.credit, -1)) l (account, sign)
    WHERE l.account LIKE 'clearing:%')
  SELECT m.source, m.currency, n.opening, n.captured, n.refunds, n.disputes, n.fees, n.conversions, n.payouts, n.closing
  FROM (
    SELECT m.source, m.currency, erp_webhook.digits_of(m.currency) AS digits, sum(amount) FILTER (WHERE before) AS opening,
           sum(amount) FILTER (WHERE NOT before AND NOT is_fee AND object = 'payment') AS captured,
           sum(amount) FILTER (WHERE NOT before AND NOT is_fee AND object IN ('refund', 'refund_total')) AS refunds,
           sum(amount) FILTER (WHERE NOT before AND NOT is_fee AND object IN ('withdrawn', 'reinstated')) AS disputes,
           sum(amount) FILTER (WHERE NOT before AND is_fee) AS fees,
           sum(amount) FILTER (WHERE NOT before AND NOT is_fee AND object = 'conversion') AS conversions,
           sum(amount) FILTER (WHERE NOT before AND NOT is_fee AND object = 'payout') AS payouts, sum(amount) AS closing
    FROM moved m GROUP BY m.source, m.currency) m
  CROSS JOIN LATERAL (SELECT round(coalesce(m.opening, 0), digits), round(coalesce(m.captured, 0), digits), round(coalesce(m.refunds, 0), digits), round(coalesce(m.disputes, 0), digits),
    round(coalesce(m.fees, 0), digits), round(coalesce(m.conversions, 0), digits), round(coalesce(m.payouts, 0), digits), round(m.closing, digits))
    n (opening, captured, refunds, disputes, fees, conversions, payouts, closing)
  -- What was booked and taken back again on the way leaves no row: in another order of deliveries it was never booked.
  WHERE 0 <> ANY (ARRAY[n.opening, n.captured, n.refunds, n.disputes, n.fees, n.conversions, n.payouts, n.closing])
  ORDER BY m.source COLLATE "C", m.currency
$$;
COMMENT ON FUNCTION erp_webhook.clearing_rollforward(text, date, date) IS
  'per source and currency: opening + captured − refunds − disputes − fees ± conversions − payouts = closing (signed as they move the balance)';
