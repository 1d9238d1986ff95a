-- The proof of cash_position(): why the ledger says what it says of bank, clearing and in_transit, at any day.

-- Lines, arrivals and bank webhooks on one bank account, each with what the statement and what the ledger has of it by a day.
CREATE FUNCTION erp_webhook.bank_sides(company_id int, day date) RETURNS TABLE (account text, currency text, kind text, at_bank numeric, in_ledger numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH booked AS MATERIALIZED (
    SELECT v.source_id, v.object, v.object_ref, l.account, e.currency, sum(l.sign * e.amount) AS amount
    FROM erp_webhook.source s
    JOIN erp_webhook.voucher v ON v.company_id = s.company_id AND v.source_id = s.source_id AND v.object IN ('payout', 'arrival', 'bank') AND v.booked_on <= bank_sides.day
    JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
    CROSS JOIN LATERAL (VALUES (e.debit, 1), (e.credit, -1)) l (account, sign)
    WHERE s.company_id = bank_sides.company_id AND l.account ~ '^bank(:|$)'
    GROUP BY 1, 2, 3, 4, 5),
  line AS MATERIALIZED (
    SELECT b.object_ref, erp_webhook.line_bank(b.company_id, 0, b.object_ref) AS account, b.currency, b.amount,
           EXISTS (SELECT FROM erp_webhook.bank_match m WHERE m.company_id = b.company_id AND m.line_source = 0 AND m.line_ref = b.object_ref)
           OR EXISTS (SELECT FROM erp_webhook.bank_twin t WHERE t.company_id = b.company_id AND t.line_ref = b.object_ref)
           OR EXISTS (SELECT FROM booked k WHERE k.source_id = 0 AND k.object = 'bank' AND k.object_ref = b.object_ref AND k.amount <> 0) AS met
    FROM erp_webhook.bank_entry b WHERE b.company_id = bank_sides.company_id AND b.counts AND b.booking_date <= bank_sides.day),
  met AS (
    SELECT k.*, k.source_id = 0 AND k.object = 'bank'
           OR k.object = 'bank' AND EXISTS (SELECT FROM erp_webhook.bank_twin t JOIN line l ON l.object_ref = t.line_ref WHERE t.company_id = bank_sides.company_id AND t.source_id = k.source_id AND t.object_ref = k.object_ref)
           OR k.object = 'arrival' AND EXISTS (SELECT FROM erp_webhook.bank_match m JOIN line l ON l.object_ref = m.line_ref WHERE m.company_id = bank_sides.company_id AND m.line_source = 0
                AND m.source_id = k.source_id AND m.payout_ref = k.object_ref) AS at_bank
    FROM booked k)
  SELECT l.account, l.currency, CASE WHEN l.met THEN 'both' ELSE 'bank only' END, sum(l.amount), 0::numeric FROM line l GROUP BY 1, 2, 3
  UNION ALL
  SELECT k.account, k.currency, CASE WHEN k.at_bank THEN 'both' ELSE 'ledger only' END, 0, sum(k.amount) FROM met k GROUP BY 1, 2, 3
$$;
COMMENT ON FUNCTION erp_webhook.bank_sides(int, date) IS 'what statement and ledger have on each bank account by a day: both, or one of them only';

CREATE FUNCTION erp_webhook.cash_proof(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (kind text, ledger_account text, currency text, ledger numeric, explained numeric, difference numeric, how text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT c.id, erp_webhook.as_of(c.id, cash_proof.at) AS day FROM (SELECT erp_webhook.company_named(cash_proof.company)) c (id)),
  place AS MATERIALIZED (SELECT p.* FROM asked a CROSS JOIN LATERAL erp_webhook.cash_position(cash_proof.company, a.day::timestamptz) p),
  side AS MATERIALIZED (
    SELECT s.account, s.currency, sum(s.at_bank) AS lines, coalesce(sum(s.at_bank) FILTER (WHERE s.kind = 'bank only'), 0) AS unbooked,
           coalesce(sum(s.in_ledger) FILTER (WHERE s.kind = 'ledger only'), 0) AS unseen
    FROM asked a CROSS JOIN LATERAL erp_webhook.bank_sides(a.id, a.day) s GROUP BY 1, 2),
  closed AS (
    SELECT erp_webhook.line_bank(b.company_id, 0, b.object_ref) AS account, b.currency, sum(b.amount) AS lines
    FROM asked a JOIN erp_webhook.bank_entry b ON b.company_id = a.id AND b.counts AND b.booking_date <= a.day
    WHERE EXISTS (SELECT FROM erp_webhook.bank_statement s WHERE s.company_id = b.company_id AND s.account = b.account AND s.currency = b.currency AND s.closing_balance IS NOT NULL)
    GROUP BY 1, 2),
  bank AS (
    SELECT p.ledger_account, coalesce(c.lines, 0) AS closed_lines, p.currency, p.balance, p.bank_says, coalesce(s.lines, 0) AS lines,
           round(coalesce(s.unbooked, 0), d.digits) AS unbooked, round(coalesce(s.unseen, 0), d.digits) AS unseen
    FROM place p CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(p.currency)) d (digits) LEFT JOIN side s ON s.account = p.ledger_account AND s.currency = p.currency
    LEFT JOIN closed c ON c.account = p.ledger_account AND c.currency = p.currency
    WHERE p.kind = 'bank'),
  rolled AS MATERIALIZED (SELECT r.* FROM asked a CROSS JOIN LATERAL erp_webhook.clearing_rollforward(cash_proof.company, '2000-01-01', a.day) r),
  clearing AS (
    SELECT p.ledger_account, p.currency, p.balance, n.*
    FROM place p LEFT JOIN rolled r ON 'clearing:' || r.source = p.ledger_account AND r.currency = p.currency
    CROSS JOIN LATERAL (SELECT coalesce(r.captured, 0), coalesce(r.refunds, 0), coalesce(r.disputes, 0), coalesce(r.fees, 0), coalesce(r.conversions, 0), coalesce(r.payouts, 0))
      n (captured, refunds, disputes, fees, conversions, payouts)
    WHERE p.kind = 'clearing'),
  under_way AS (
    SELECT w.currency, count(*) AS n, sum(w.amount) AS amount
    FROM (SELECT v.source_id, v.object_ref, e.currency, sum(CASE e.debit WHEN 'in_transit' THEN e.amount ELSE -e.amount END) AS amount
          FROM asked a JOIN erp_webhook.source s ON s.company_id = a.id
          JOIN erp_webhook.voucher v ON v.company_id = s.company_id AND v.source_id = s.source_id AND v.object IN ('payout', 'arrival') AND v.booked_on <= a.day
          JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id AND 'in_transit' IN (e.debit, e.credit)
          GROUP BY 1, 2, 3) w
    WHERE w.amount <> 0 GROUP BY w.currency),
  said (kind, ledger_account, currency, ledger, explained, how) AS (
    SELECT 'bank', b.ledger_account, b.currency, b.balance, b.lines - b.unbooked + b.unseen,
           CASE WHEN b.bank_says IS NULL THEN 'no closed statement yet; ' ELSE format('closing %s − before the first statement %s; ', b.bank_says, b.bank_says - b.closed_lines) END
           || format('− on statements, not in the ledger %s + in the ledger, not on statements %s', b.unbooked, b.unseen)
    FROM bank b
    UNION ALL
    SELECT 'clearing', c.ledger_account, c.currency, c.balance, c.captured + c.refunds + c.disputes + c.fees + c.conversions + c.payouts,
           format('captured %s, refunds %s, disputes %s, fees %s, conversions %s, payouts %s', c.captured, c.refunds, c.disputes, c.fees, c.conversions, c.payouts)
    FROM clearing c
    UNION ALL
    SELECT 'in_transit', p.ledger_account, p.currency, p.balance, coalesce(w.amount, 0), format('%s payouts under way', coalesce(w.n, 0))
    FROM place p LEFT JOIN under_way w USING (currency) WHERE p.kind = 'in_transit')
  SELECT s.kind, s.ledger_account, s.currency, round(s.ledger, d.digits), round(s.explained, d.digits), round(s.ledger - s.explained, d.digits), s.how
  FROM said s CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(s.currency)) d (digits) ORDER BY s.kind, s.ledger_account COLLATE "C", s.currency
$$;
COMMENT ON FUNCTION erp_webhook.cash_proof(text, timestamptz) IS
  'why the ledger says so of bank (the classical bank reconciliation), clearing and in_transit at the end of a day; a difference at the bank is what matched lines and payouts differ by, elsewhere it is an error of ours';
