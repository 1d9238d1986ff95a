-- The first half of the reconciliation: payouts, each with the bank lines that bring it.

-- Payouts of the days, and those a line of the days brings.
CREATE FUNCTION erp_webhook.payouts_of_days(company_id int, from_date date, to_date date) RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.* FROM erp_webhook.bank_item i
  WHERE i.company_id = payouts_of_days.company_id AND i.item = 'payout' AND i.booked_on BETWEEN from_date AND to_date
  UNION
  SELECT p.*
  FROM erp_webhook.bank_item l
  JOIN erp_webhook.bank_match m ON m.company_id = l.company_id
    AND m.line_source = l.source_id AND m.line_ref = l.object_ref
  JOIN erp_webhook.bank_item p ON p.company_id = m.company_id AND p.item = 'payout'
    AND p.source_id = m.source_id AND p.object_ref = m.payout_ref AND p.currency = m.currency
  WHERE l.company_id = payouts_of_days.company_id AND l.item = 'line' AND l.booked_on BETWEEN from_date AND to_date
$$;
COMMENT ON FUNCTION erp_webhook.payouts_of_days(int, date, date) IS 'the payouts the reconciliation of these days is about';

CREATE FUNCTION erp_webhook.payout_state(
  p erp_webhook.bank_item, ledger numeric, bank numeric, lines bigint, same_line boolean, other_currency boolean,
  known_until date, explained boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p.state = 'failed' THEN
    CASE WHEN coalesce(bank, 0) = 0 AND NOT other_currency THEN 'matched' WHEN bank > 0 THEN 'over' ELSE 'under' END
  WHEN p.state = 'scheduled' THEN CASE WHEN lines = 0 THEN 'expected' ELSE 'missing_at_provider' END
  WHEN ledger IS DISTINCT FROM p.amount THEN 'missing_in_ledger'
  WHEN explained THEN 'matched'
  WHEN lines = 0 THEN CASE WHEN known_until > p.day + 3 THEN 'missing_at_bank' ELSE 'in_transit' END
  WHEN other_currency THEN 'currency_mismatch'
  WHEN bank = p.amount THEN 'matched'
  WHEN lines > 1 AND same_line AND sign(bank - p.amount) = sign(p.amount) THEN 'duplicate'
  WHEN bank > p.amount THEN 'over'
  ELSE 'under' END;
COMMENT ON FUNCTION erp_webhook.payout_state(
  erp_webhook.bank_item, numeric, numeric, bigint, boolean, boolean, date, boolean) IS
  'the state of a payout, from what the three sides say';

-- The three sides of each payout, and the state they come to.
CREATE FUNCTION erp_webhook.judged_payouts(payouts erp_webhook.bank_item[])
RETURNS TABLE (source text, payout erp_webhook.bank_item, provider numeric, ledger numeric, bank numeric, lines bigint,
               other_amount numeric, other_currency text, difference_to text, digits int, state text,
               line_refs text, rule text, booked_on date, account text, reference text, counterparty text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.name, p, CASE p.state WHEN 'failed' THEN 0 ELSE p.amount END, said.ledger, b.bank, said.lines,
         b.other_amount, b.other_currency, d.difference_to, k.digits,
         erp_webhook.payout_state(p, said.ledger, b.bank, said.lines, coalesce(b.same_line, false),
                                  b.other_currency IS NOT NULL, k.known_until, d.difference_to IS NOT NULL),
         b.line_refs, b.rule, b.booked_on, b.account, b.reference, b.counterparty
  FROM unnest(payouts) p
  JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
  JOIN erp_webhook.bank_knowledge(payouts) k ON k.source_id = p.source_id AND k.currency = p.currency
  LEFT JOIN erp_webhook.booked_on_account(payouts, '^in_transit$') l
    ON l.source_id = p.source_id AND l.object_ref = p.object_ref AND l.currency = p.currency
  LEFT JOIN erp_webhook.brought_by_lines(payouts) b
    ON b.source_id = p.source_id AND b.object_ref = p.object_ref AND b.currency = p.currency
  LEFT JOIN erp_webhook.differences_to(payouts) d
    ON d.source_id = p.source_id AND d.object_ref = p.object_ref AND d.currency = p.currency
  CROSS JOIN LATERAL (SELECT coalesce(l.amount, 0), coalesce(b.lines, 0)) said (ledger, lines)
$$;
COMMENT ON FUNCTION erp_webhook.judged_payouts(erp_webhook.bank_item[]) IS
  'what provider, ledger and bank say of payouts, and the state of each';

CREATE FUNCTION erp_webhook.reconciled_payouts(payouts erp_webhook.bank_item[], today date)
RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'payout', j.source, (j.payout).object_ref, j.line_refs, j.account, (j.payout).currency, (j.payout).day, j.booked_on,
         round(j.provider, j.digits), round(j.ledger, j.digits), coalesce(round(j.bank, j.digits), j.other_amount), j.state,
         round(CASE WHEN j.lines > 0 AND j.other_currency IS NULL THEN j.bank - j.provider
                    WHEN j.state IN ('missing_at_bank', 'currency_mismatch') OR j.difference_to IS NOT NULL THEN -j.provider
                    ELSE 0 END, j.digits),
         greatest(today - (j.payout).day, 0),
         nullif(concat_ws('; ',
           erp_webhook.reconciliation_advice(j.state, 'payout'),
           'the bank says ' || j.other_amount || ' ' || j.other_currency,
           CASE WHEN j.bank IS DISTINCT FROM j.provider THEN 'the difference is in ' || j.difference_to END), ''),
         j.rule,
         erp_webhook.equation_text(t.payments, t.gross, t.fees, t.refunds, t.disputes, (j.payout).amount),
         j.reference, j.counterparty, a.assigned_to
  FROM erp_webhook.judged_payouts(payouts) j
  LEFT JOIN erp_webhook.payout_parts(payouts) t ON t.source_id = (j.payout).source_id
    AND t.object_ref = (j.payout).object_ref AND t.currency = (j.payout).currency
  LEFT JOIN erp_webhook.standing_assignment a ON a.company_id = (j.payout).company_id AND a.item = (j.payout).object_ref
$$;
COMMENT ON FUNCTION erp_webhook.reconciled_payouts(erp_webhook.bank_item[], date) IS
  'payouts as rows of the reconciliation, each with the bank lines that bring it';
