-- What each of the three sides says of payouts and bank lines: many at once, so that a month costs a few joins and not
-- a look-up for each of its payouts. All of it is keyed by (source_id, object_ref, currency), as the items are.

-- An object's net on the accounts that match, over all of its vouchers.
CREATE FUNCTION erp_webhook.booked_on_account(items erp_webhook.bank_item[], account text)
RETURNS TABLE (source_id int, object_ref text, currency text, amount numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.source_id, i.object_ref, i.currency,
         sum(CASE WHEN e.debit ~ booked_on_account.account THEN e.amount ELSE -e.amount END)
  FROM unnest(items) i
  JOIN erp_webhook.voucher v ON v.company_id = i.company_id AND v.source_id = i.source_id
    AND v.object = CASE i.item WHEN 'line' THEN 'bank' ELSE i.item END AND v.object_ref = i.object_ref
  JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
    AND e.currency = i.currency
    AND (e.debit ~ booked_on_account.account) <> (e.credit ~ booked_on_account.account)
  GROUP BY i.source_id, i.object_ref, i.currency
$$;
COMMENT ON FUNCTION erp_webhook.booked_on_account(erp_webhook.bank_item[], text) IS
  'the net of what the vouchers of payouts or lines posted to accounts (a regular expression)';

-- What the bank's lines bring of a payout, in its currency and in another.
CREATE FUNCTION erp_webhook.brought_by_lines(payouts erp_webhook.bank_item[])
RETURNS TABLE (source_id int, object_ref text, currency text, lines bigint, bank numeric, same_line boolean,
               other_amount numeric, other_currency text, line_refs text, rule text, booked_on date, account text,
               reference text, counterparty text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.source_id, p.object_ref, p.currency,
         count(*),
         sum(m.amount) FILTER (WHERE m.line_currency = p.currency),
         bool_or(m.amount = p.amount AND m.line_currency = p.currency),
         sum(m.amount) FILTER (WHERE m.line_currency <> p.currency),
         min(m.line_currency) FILTER (WHERE m.line_currency <> p.currency),
         string_agg(m.line_ref, ', ' ORDER BY l.booked_on, m.line_ref COLLATE "C"),
         min(m.rule), max(l.booked_on), min(l.account),
         string_agg(DISTINCT e.reference, ', '), string_agg(DISTINCT e.counterparty, ', ')
  FROM unnest(payouts) p
  JOIN erp_webhook.bank_match m ON m.company_id = p.company_id AND m.source_id = p.source_id
    AND m.payout_ref = p.object_ref AND m.currency = p.currency
  JOIN erp_webhook.bank_item l ON l.company_id = m.company_id AND l.item = 'line'
    AND l.source_id = m.line_source AND l.object_ref = m.line_ref
  LEFT JOIN erp_webhook.bank_entry e ON e.company_id = m.company_id AND m.line_source = 0 AND e.object_ref = m.line_ref
  GROUP BY p.source_id, p.object_ref, p.currency
$$;
COMMENT ON FUNCTION erp_webhook.brought_by_lines(erp_webhook.bank_item[]) IS
  'what the matched bank lines bring of payouts; other_currency: of one that the bank credited in another';

CREATE FUNCTION erp_webhook.differences_to(payouts erp_webhook.bank_item[])
RETURNS TABLE (source_id int, object_ref text, currency text, difference_to text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT x.* FROM (
    SELECT DISTINCT ON (p.source_id, p.object_ref, p.currency) p.source_id, p.object_ref, p.currency, d.difference_to
    FROM unnest(payouts) p
    JOIN erp_webhook.bank_decision d ON d.company_id = p.company_id AND d.source_id = p.source_id
      AND d.payout_ref = p.object_ref AND d.currency = p.currency AND d.decision IN ('difference', 'unmatch')
    ORDER BY p.source_id, p.object_ref, p.currency, d.decision_id DESC) x
  WHERE x.difference_to IS NOT NULL
$$;
COMMENT ON FUNCTION erp_webhook.differences_to(erp_webhook.bank_item[]) IS
  'the payouts whose difference somebody posted, and where to (the latest decision)';

-- Gross, fees, refunds, disputes of what says it is in a payout, in the payout's currency; no row, and never a guess,
-- where nothing does. A fee counts once its object ever succeeded, in its own currency (SETTLEMENT 1.7);
-- the payout's own is one.
CREATE FUNCTION erp_webhook.payout_parts(payouts erp_webhook.bank_item[])
RETURNS TABLE (source_id int, object_ref text, currency text,
               payments bigint, gross numeric, fees numeric, refunds numeric, disputes numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH part AS (
    SELECT p.source_id, p.object_ref, p.currency,
           CASE WHEN o.object = 'payment' AND o.reversal THEN 'refund' ELSE o.object END AS kind,
           o.currency = p.currency AS same_currency,
           CASE WHEN o.effective AND o.currency = p.currency THEN o.amount ELSE 0 END AS amount,
           CASE WHEN o.succeeded_at IS NOT NULL AND o.fee_currency = p.currency THEN o.fee END AS fee
    FROM unnest(payouts) p
    JOIN erp_webhook.money_object o ON o.company_id = p.company_id AND o.source_id = p.source_id
      AND o.payout_ref = p.object_ref
    WHERE o.object <> 'payout' AND (o.succeeded_at IS NOT NULL OR o.object = 'refund_total')),
  own AS (
    SELECT p.source_id, p.object_ref, p.currency, o.fee
    FROM unnest(payouts) p
    JOIN erp_webhook.money_object o ON o.company_id = p.company_id AND o.source_id = p.source_id
      AND o.object = 'payout' AND o.object_ref = p.object_ref AND o.denomination = p.currency
    WHERE o.succeeded_at IS NOT NULL AND o.fee_currency = p.currency),
  summed AS (
    SELECT p.source_id, p.object_ref, p.currency,
           count(*) FILTER (WHERE p.same_currency OR p.fee IS NOT NULL) AS payments,
           coalesce(sum(p.amount) FILTER (WHERE p.kind = 'payment'), 0) AS gross,
           coalesce(sum(p.fee), 0) AS fees,
           coalesce(sum(p.amount) FILTER (WHERE p.kind IN ('refund', 'refund_total')), 0) AS refunds,
           coalesce(sum(CASE p.kind WHEN 'withdrawn' THEN p.amount WHEN 'reinstated' THEN -p.amount END), 0) AS disputes
    FROM part p GROUP BY p.source_id, p.object_ref, p.currency)
  SELECT source_id, object_ref, currency, s.payments, round(s.gross, d.digits),
         round(s.fees + coalesce(own.fee, 0), d.digits), round(s.refunds, d.digits), round(s.disputes, d.digits)
  FROM summed s
  LEFT JOIN own USING (source_id, object_ref, currency)
  CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(s.currency)) d (digits)
  WHERE s.payments > 0
$$;
COMMENT ON FUNCTION erp_webhook.payout_parts(erp_webhook.bank_item[]) IS
  'what the provider says is in payouts, in their currency; a payout of which it does not say has no row';

CREATE FUNCTION erp_webhook.payout_equation(company text, payout_ref text, source text DEFAULT NULL)
RETURNS TABLE (source text, payout_ref text, currency text, itemised boolean, payments bigint, gross numeric, fees numeric,
               refunds numeric, disputes numeric, adjustments numeric, payout numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT e.*
  FROM erp_webhook.equations(ARRAY(
    SELECT p
    FROM erp_webhook.bank_item p
    JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
    WHERE p.company_id = erp_webhook.company_named(payout_equation.company)
      AND p.item = 'payout' AND p.object_ref = payout_equation.payout_ref
      AND (payout_equation.source IS NULL OR s.name = payout_equation.source))) e
$$;
COMMENT ON FUNCTION erp_webhook.payout_equation(text, text, text) IS
  'gross − fees − refunds − disputes + adjustments = payout; itemised only where the provider says which payments are in it, '
  'else the parts are not known';

CREATE FUNCTION erp_webhook.equations(payouts erp_webhook.bank_item[])
RETURNS TABLE (source text, payout_ref text, currency text, itemised boolean, payments bigint, gross numeric, fees numeric,
               refunds numeric, disputes numeric, adjustments numeric, payout numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.name, p.object_ref, p.currency, t.payments IS NOT NULL, t.payments, t.gross, t.fees, t.refunds, t.disputes,
         round(p.amount - (t.gross - t.fees - t.refunds - t.disputes), d.digits), round(p.amount, d.digits)
  FROM unnest(payouts) p
  JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
  LEFT JOIN erp_webhook.payout_parts(payouts) t
    ON t.source_id = p.source_id AND t.object_ref = p.object_ref AND t.currency = p.currency
  CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(p.currency)) d (digits)
$$;
COMMENT ON FUNCTION erp_webhook.equations(erp_webhook.bank_item[]) IS 'the payout equation of each';

-- Who looks after what: made by hand, so there are few.
CREATE VIEW erp_webhook.standing_assignment WITH (security_invoker = true) AS
  SELECT DISTINCT ON (company_id, item) company_id, item, assigned_to
  FROM erp_webhook.exception_assignment
  ORDER BY company_id, item, assignment_id DESC;
COMMENT ON VIEW erp_webhook.standing_assignment IS 'who looks after an item of the reconciliation';

-- Until which day the statements speak of a source and currency, and with how many decimals it is written.
CREATE FUNCTION erp_webhook.bank_knowledge(items erp_webhook.bank_item[])
RETURNS TABLE (source_id int, currency text, known_until date, digits int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT k.source_id, k.currency, erp_webhook.bank_known_until(k.company_id, k.currency, k.source_id),
         erp_webhook.digits_of(k.currency)
  FROM (SELECT DISTINCT i.company_id, i.source_id, i.currency FROM unnest(items) i) k
$$;
COMMENT ON FUNCTION erp_webhook.bank_knowledge(erp_webhook.bank_item[]) IS
  'per source and currency of the items: bank_known_until() and decimals';
