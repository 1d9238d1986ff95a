-- The proof of cash_position(): why the ledger says what it says of bank, clearing and in_transit, at any day.

-- The conditions on object and accounts are those of the indexes voucher_of_bank and entry_of_bank (45_bank.sql).
CREATE FUNCTION erp_webhook.bank_moves(company_id int, day date)
RETURNS TABLE (source_id int, object text, object_ref text, debit text, credit text, currency text, amount numeric)
LANGUAGE sql STABLE
AS $$
  SELECT v.source_id, v.object, v.object_ref, e.debit, e.credit, e.currency, e.amount::numeric
  FROM erp_webhook.voucher v
  JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
  WHERE v.company_id = bank_moves.company_id AND v.object IN ('payout', 'arrival', 'bank') AND v.booked_on <= bank_moves.day
    AND e.company_id = bank_moves.company_id
    AND ('in_transit' IN (e.debit, e.credit) OR e.debit ^@ 'bank' OR e.credit ^@ 'bank')
$$;
COMMENT ON FUNCTION erp_webhook.bank_moves(int, date) IS
  'what payouts, their arrivals and bank lines moved by a day on the bank accounts and in_transit, entry by entry';

CREATE FUNCTION erp_webhook.lines_by_day(company_id int, day date)
RETURNS TABLE (object_ref text, booking_date date, account text, ledger_account text, currency text, amount numeric)
LANGUAGE sql STABLE
AS $$
  SELECT b.object_ref, b.booking_date, b.account, 'bank' || coalesce(':' || a.name, ''), b.currency, b.amount::numeric
  FROM erp_webhook.bank_entry b
  LEFT JOIN erp_webhook.bank_account a ON a.company_id = b.company_id AND a.account = b.account
  WHERE b.company_id = lines_by_day.company_id AND b.counts AND b.booking_date <= lines_by_day.day
$$;
COMMENT ON FUNCTION erp_webhook.lines_by_day(int, date) IS 'the lines that count of the statements up to a day';

-- What may be in the ledger for a statement's line: its own booking, that of the bank's webhook which is the same
-- money, or the arrival of the payout it brings.
CREATE FUNCTION erp_webhook.bookings_of_lines(company_id int)
RETURNS TABLE (line_ref text, source_id int, object text, object_ref text)
LANGUAGE sql STABLE
AS $$
  SELECT b.object_ref, 0, 'bank', b.object_ref
  FROM erp_webhook.bank_entry b WHERE b.company_id = bookings_of_lines.company_id
  UNION ALL
  SELECT t.line_ref, t.source_id, 'bank', t.object_ref
  FROM erp_webhook.bank_twin t WHERE t.company_id = bookings_of_lines.company_id
  UNION ALL
  SELECT m.line_ref, m.source_id, 'arrival', m.payout_ref
  FROM erp_webhook.bank_match m WHERE m.company_id = bookings_of_lines.company_id AND m.line_source = 0
$$;
COMMENT ON FUNCTION erp_webhook.bookings_of_lines(int) IS
  'the objects of the ledger that a statement''s line is the bank''s side of';

-- What only the statement has of each bank account, and what only the ledger has. Both of the same day: a line and a
-- booking that meet do so once each is there.
CREATE FUNCTION erp_webhook.bank_sides(company_id int, day date)
RETURNS TABLE (ledger_account text, currency text, lines numeric, not_in_ledger numeric, not_on_statement numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH line AS MATERIALIZED (SELECT * FROM erp_webhook.lines_by_day(bank_sides.company_id, bank_sides.day)),
  booked AS MATERIALIZED (
    SELECT m.source_id, m.object, m.object_ref, l.account AS ledger_account, m.currency, sum(l.sign * m.amount) AS amount
    FROM erp_webhook.bank_moves(bank_sides.company_id, bank_sides.day) m
    CROSS JOIN LATERAL (VALUES (m.debit, 1), (m.credit, -1)) l (account, sign)
    WHERE l.account ~ '^bank(:|$)'
    GROUP BY 1, 2, 3, 4, 5),
  met AS MATERIALIZED (
    SELECT line_ref, source_id, object, object_ref
    FROM erp_webhook.bookings_of_lines(bank_sides.company_id) b
    JOIN (SELECT l.object_ref AS line_ref FROM line l) l USING (line_ref)
    JOIN (SELECT k.source_id, k.object, k.object_ref
          FROM booked k WHERE k.amount <> 0) k USING (source_id, object, object_ref)),
  side AS (
    SELECT l.ledger_account, l.currency, l.amount AS line,
           CASE WHEN l.object_ref IN (SELECT m.line_ref FROM met m) THEN 0 ELSE l.amount END AS not_in_ledger,
           0 AS not_on_statement
    FROM line l
    UNION ALL
    SELECT k.ledger_account, k.currency, 0, 0,
           CASE WHEN (k.source_id, k.object, k.object_ref) IN (SELECT m.source_id, m.object, m.object_ref FROM met m)
                THEN 0 ELSE k.amount END
    FROM booked k)
  SELECT s.ledger_account, s.currency, sum(s.line), sum(s.not_in_ledger), sum(s.not_on_statement)
  FROM side s GROUP BY 1, 2
$$;
COMMENT ON FUNCTION erp_webhook.bank_sides(int, date) IS
  'per bank account: the lines of the statements by a day, what of them the ledger has not, and what the ledger has and '
  'they have not';

-- What no closing balance reaches is what came after it, or is of an account whose statements never close.
CREATE FUNCTION erp_webhook.bank_proof(company_id int, day date)
RETURNS TABLE (ledger_account text, currency text, explained numeric, how text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH closing AS MATERIALIZED (SELECT * FROM erp_webhook.closing_balances(bank_proof.company_id, bank_proof.day)),
  reached AS (
    SELECT c.ledger_account, c.currency, sum(l.amount) AS lines
    FROM closing c
    JOIN erp_webhook.lines_by_day(bank_proof.company_id, bank_proof.day) l
      ON l.account = c.account AND l.currency = c.currency AND l.booking_date <= c.said_on
    GROUP BY 1, 2),
  said AS (SELECT c.ledger_account, c.currency, sum(c.balance) AS balance FROM closing c GROUP BY 1, 2),
  proof AS (
    SELECT ledger_account, currency, b.balance, coalesce(s.lines, 0) AS lines, coalesce(r.lines, 0) AS reached,
           round(coalesce(s.not_in_ledger, 0), d.digits) AS not_in_ledger,
           round(coalesce(s.not_on_statement, 0), d.digits) AS not_on_statement, d.digits
    FROM erp_webhook.bank_sides(bank_proof.company_id, bank_proof.day) s
    FULL JOIN said b USING (ledger_account, currency)
    LEFT JOIN reached r USING (ledger_account, currency)
    CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(currency)) d (digits))
  SELECT p.ledger_account, p.currency, p.lines - p.not_in_ledger + p.not_on_statement,
         concat(
           CASE WHEN p.balance IS NULL THEN 'no closed statement yet'
                ELSE format('closing %s − before the first statement %s', p.balance, p.balance - p.reached) END,
           CASE WHEN p.balance IS NOT NULL AND p.lines <> p.reached
                THEN format(' + lines no closing reaches %s', round(p.lines - p.reached, p.digits)) END,
           format('; − on statements, not in the ledger %s + in the ledger, not on statements %s',
                  p.not_in_ledger, p.not_on_statement))
  FROM proof p
$$;
COMMENT ON FUNCTION erp_webhook.bank_proof(int, date) IS
  'the classical bank reconciliation of each bank account at the end of a day';

CREATE FUNCTION erp_webhook.payouts_under_way(company_id int, day date)
RETURNS TABLE (currency text, payouts bigint, amount numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH payout AS (
    SELECT m.currency, sum(CASE m.debit WHEN 'in_transit' THEN m.amount ELSE -m.amount END) AS amount
    FROM erp_webhook.bank_moves(payouts_under_way.company_id, payouts_under_way.day) m
    WHERE m.object IN ('payout', 'arrival') AND 'in_transit' IN (m.debit, m.credit)
    GROUP BY m.source_id, m.object_ref, m.currency)
  SELECT p.currency, count(*), sum(p.amount) FROM payout p WHERE p.amount <> 0 GROUP BY p.currency
$$;
COMMENT ON FUNCTION erp_webhook.payouts_under_way(int, date) IS
  'the payouts that had left the provider and not reached the bank at the end of a day';

CREATE FUNCTION erp_webhook.cash_proof(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (kind text, ledger_account text, currency text, ledger numeric, explained numeric, difference numeric,
               how text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT * FROM erp_webhook.asked_day(cash_proof.company, cash_proof.at)),
  place AS MATERIALIZED (
    SELECT p.* FROM asked a CROSS JOIN LATERAL erp_webhook.cash_position(cash_proof.company, a.day::timestamptz) p),
  explained (kind, ledger_account, currency, amount, how) AS (
    SELECT 'bank', b.ledger_account, b.currency, b.explained, b.how
    FROM asked a CROSS JOIN LATERAL erp_webhook.bank_proof(a.company_id, a.day) b
    UNION ALL
    SELECT 'clearing', 'clearing:' || r.source, r.currency,
           r.captured + r.refunds + r.disputes + r.fees + r.conversions + r.payouts,
           format('captured %s, refunds %s, disputes %s, fees %s, conversions %s, payouts %s',
                  r.captured, r.refunds, r.disputes, r.fees, r.conversions, r.payouts)
    FROM asked a CROSS JOIN LATERAL erp_webhook.clearing_rollforward(cash_proof.company, '-infinity', a.day) r
    UNION ALL
    SELECT 'in_transit', 'in_transit', w.currency, w.amount, format('%s payouts under way', w.payouts)
    FROM asked a CROSS JOIN LATERAL erp_webhook.payouts_under_way(a.company_id, a.day) w)
  SELECT p.kind, p.ledger_account, p.currency,
         round(p.balance, d.digits), round(coalesce(e.amount, 0), d.digits),
         round(p.balance - coalesce(e.amount, 0), d.digits),
         coalesce(e.how, 'nothing')
  FROM place p
  LEFT JOIN explained e USING (kind, ledger_account, currency)
  CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(p.currency)) d (digits)
  WHERE p.kind <> 'unassigned'
  ORDER BY p.kind, p.ledger_account COLLATE "C", p.currency
$$;
COMMENT ON FUNCTION erp_webhook.cash_proof(text, timestamptz) IS
  'why the ledger says so of bank (the classical bank reconciliation), clearing and in_transit at the end of a day; '
  'a difference at the bank is what matched lines and payouts differ by, elsewhere it is an error of ours';
