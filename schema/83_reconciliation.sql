-- Three-way reconciliation: what the provider says, what the ledger says, what the bank says, payout by payout and line by line.
--
--   state                 provider   ledger   bank     what it means
--   matched               x          x        x        all three agree (a failed payout: nothing anywhere)
--   expected              announced  –        –        the provider has announced the payout, not paid it
--   in_transit            x          x        –        paid, and no statement reaches its day yet
--   missing_at_bank       x          x        –        paid, statements reach past its day, no line
--   missing_at_provider   –          –        x        a line that names or looks like a payout nobody announced as paid
--   missing_in_ledger     ?          –        x        money moved that the ledger does not know
--   over, under           x          x        x        the bank has more, or less
--   currency_mismatch     x          x        x        the bank has another currency
--   duplicate             x          x        x x      the bank has it more than once
--
-- Everything here reads one snapshot and the days asked for: bank_item by day, its matches and its vouchers by key. Reports
-- switch jit off: the planner takes every function for a thousand rows, and would compile what runs in milliseconds.

CREATE FUNCTION erp_webhook.report_now() RETURNS timestamptz
LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('erp_webhook.clock', true), '')::timestamptz, now());
COMMENT ON FUNCTION erp_webhook.report_now() IS 'the moment reports are made at: now, or the clock a test has set';

CREATE FUNCTION erp_webhook.report_day(company_id int) RETURNS date
LANGUAGE sql STABLE
RETURN erp_webhook.day_of(company_id, erp_webhook.report_now());
COMMENT ON FUNCTION erp_webhook.report_day(int) IS 'today, where the company is';

CREATE FUNCTION erp_webhook.company_zone(company_id int) RETURNS text
LANGUAGE sql STABLE
RETURN erp_webhook.policy_on(company_id, 'time_zone', erp_webhook.report_day(company_id));
COMMENT ON FUNCTION erp_webhook.company_zone(int) IS 'the time zone in which reports turn moments into days, whoever asks from wherever';

-- Statements that close (or, like CSV, list everything) speak for all days up to their last. A source whose money goes to one
-- bank waits for that bank's statements; where those were never imported, or it names none, for the latest of any.
CREATE FUNCTION erp_webhook.bank_known_until(company_id int, currency text, source_id int DEFAULT NULL) RETURNS date
LANGUAGE sql STABLE
RETURN (
  SELECT coalesce(max(s.to_date) FILTER (WHERE a.name IS NOT DISTINCT FROM (SELECT nullif(o.settings ->> 'bank', '') FROM erp_webhook.source o
                    WHERE o.company_id = bank_known_until.company_id AND o.source_id = bank_known_until.source_id)), max(s.to_date))
  FROM erp_webhook.bank_statement s
  JOIN erp_webhook.bank_file f USING (company_id, file_id)
  LEFT JOIN erp_webhook.bank_account a ON a.company_id = s.company_id AND a.account = s.account
  WHERE s.company_id = bank_known_until.company_id AND s.currency = bank_known_until.currency
    AND (s.closing_balance IS NOT NULL OR f.format LIKE 'csv%'));
COMMENT ON FUNCTION erp_webhook.bank_known_until(int, text, int) IS
  'the last day for which statements of a source''s bank (settings.bank; default: any) say what happened; NULL: none was imported';

-- What stands on one side of the ledger for an object: its vouchers' net effect on accounts like this.
CREATE FUNCTION erp_webhook.booked_on_account(company_id int, source_id int, object text, object_ref text, account text, currency text) RETURNS numeric
LANGUAGE sql STABLE
RETURN (SELECT sum(CASE WHEN e.debit ~ booked_on_account.account THEN e.amount ELSE -e.amount END)
        FROM erp_webhook.voucher v JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
        WHERE v.company_id = booked_on_account.company_id AND v.source_id = booked_on_account.source_id AND v.object = booked_on_account.object
          AND v.object_ref = booked_on_account.object_ref AND e.currency = booked_on_account.currency
          AND (e.debit ~ booked_on_account.account) <> (e.credit ~ booked_on_account.account));
COMMENT ON FUNCTION erp_webhook.booked_on_account(int, int, text, text, text, text) IS 'the net of what an object''s vouchers posted to accounts (a regular expression)';

CREATE TYPE erp_webhook.reconciled AS (
  item text, source text, payout_ref text, line_ref text, account text, currency text, value_date date, booked_on date,
  provider_says numeric, ledger_says numeric, bank_says numeric, state text, difference numeric, age int, advice text,
  matched_by text, equation text, reference text, counterparty text, assigned_to text);
COMMENT ON TYPE erp_webhook.reconciled IS 'one row of the reconciliation: a payout with its bank lines, or a bank line without one';

CREATE FUNCTION erp_webhook.reconciliation_advice(state text, item text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE state
  WHEN 'expected' THEN 'nothing before its value date'
  WHEN 'in_transit' THEN 'import the statement of its value date'
  WHEN 'missing_at_bank' THEN 'ask the provider for a trace, or match() a line'
  WHEN 'missing_at_provider' THEN 'pull() the source, or match() the line'
  WHEN 'missing_in_ledger' THEN CASE item WHEN 'payout' THEN 'its event is not settled: see exceptions' ELSE 'book_line() it, or let statements post' END
  WHEN 'over' THEN 'a second payout in it? else match() with difference_to'
  WHEN 'under' THEN 'charges of the bank? match() with difference_to'
  WHEN 'currency_mismatch' THEN 'match() with difference_to exchange'
  WHEN 'duplicate' THEN 'one is to be returned, or unmatch() it'
END;
COMMENT ON FUNCTION erp_webhook.reconciliation_advice(text, text) IS 'what to do about a state; NULL: nothing';

-- Gross, fees, refunds, disputes of what says it is in this payout; NULL, never a guess, where nothing does. A fee counts once its
-- object ever succeeded, in its own currency (SETTLEMENT 1.7); the payout's own fee is one of them.
CREATE FUNCTION erp_webhook.payout_parts(company_id int, source_id int, payout_ref text, currency text)
RETURNS TABLE (payments bigint, gross numeric, fees numeric, refunds numeric, disputes numeric)
LANGUAGE sql STABLE
AS $$
  WITH part AS (
    SELECT o.object, o.reversal, o.fee, coalesce(o.fee_currency = payout_parts.currency AND o.succeeded_at IS NOT NULL, false) AS charged, o.currency,
           CASE WHEN o.effective AND o.currency = payout_parts.currency THEN o.amount ELSE 0 END AS amount
    FROM erp_webhook.money_object o
    WHERE o.company_id = payout_parts.company_id AND o.source_id = payout_parts.source_id AND o.payout_ref = payout_parts.payout_ref AND o.object <> 'payout'
      AND (o.succeeded_at IS NOT NULL OR o.object = 'refund_total')),
  own AS (
    SELECT sum(o.fee) AS fee FROM erp_webhook.money_object o
    WHERE o.company_id = payout_parts.company_id AND o.source_id = payout_parts.source_id AND o.object = 'payout' AND o.object_ref = payout_parts.payout_ref
      AND o.denomination = payout_parts.currency AND o.fee_currency = payout_parts.currency AND o.succeeded_at IS NOT NULL)
  SELECT s.payments, round(s.gross, d.digits), round(s.fees, d.digits), round(s.refunds, d.digits), round(s.disputes, d.digits)
  FROM (SELECT) one LEFT JOIN (
    SELECT count(*) FILTER (WHERE p.currency = payout_parts.currency OR p.charged) AS payments, coalesce(sum(p.amount) FILTER (WHERE p.object = 'payment' AND NOT p.reversal), 0) AS gross,
           coalesce(sum(p.fee) FILTER (WHERE p.charged), 0) + coalesce((SELECT o.fee FROM own o), 0) AS fees,
           coalesce(sum(p.amount) FILTER (WHERE p.object IN ('refund', 'refund_total') OR p.object = 'payment' AND p.reversal), 0) AS refunds,
           coalesce(sum(CASE p.object WHEN 'withdrawn' THEN p.amount WHEN 'reinstated' THEN -p.amount END), 0) AS disputes
    FROM part p) s ON s.payments > 0
  CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(payout_parts.currency)) d (digits)
$$;
COMMENT ON FUNCTION erp_webhook.payout_parts(int, int, text, text) IS 'what the provider says is in a payout, in the payout''s currency; one row, all NULL where it does not say';

CREATE FUNCTION erp_webhook.equation_text(payments bigint, gross numeric, fees numeric, refunds numeric, disputes numeric, payout numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN payments > 0 THEN
  format('%s − %s fees − %s refunds − %s disputes %s %s adjustments = %s', gross, fees, refunds, disputes,
         CASE WHEN payout - (gross - fees - refunds - disputes) < 0 THEN '−' ELSE '+' END,
         round(abs(payout - (gross - fees - refunds - disputes)), scale(gross)), round(payout, scale(gross)))
  ELSE 'not itemised' END;
COMMENT ON FUNCTION erp_webhook.equation_text(bigint, numeric, numeric, numeric, numeric, numeric) IS 'the payout equation in words; not itemised: the provider does not say what is in it';

CREATE FUNCTION erp_webhook.payout_equation(company text, payout_ref text, source text DEFAULT NULL)
RETURNS TABLE (source text, payout_ref text, currency text, itemised boolean, payments bigint, gross numeric, fees numeric, refunds numeric,
               disputes numeric, adjustments numeric, payout numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT s.name, p.object_ref, p.currency, t.payments IS NOT NULL, t.payments, t.gross, t.fees, t.refunds, t.disputes,
         round(p.amount - (t.gross - t.fees - t.refunds - t.disputes), d.digits), round(p.amount, d.digits)
  FROM erp_webhook.bank_item p
  JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
  CROSS JOIN LATERAL erp_webhook.payout_parts(p.company_id, p.source_id, p.object_ref, p.currency) t
  CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(p.currency)) d (digits)
  WHERE p.company_id = erp_webhook.company_named(payout_equation.company) AND p.item = 'payout' AND p.object_ref = payout_equation.payout_ref
    AND (payout_equation.source IS NULL OR s.name = payout_equation.source)
$$;
COMMENT ON FUNCTION erp_webhook.payout_equation(text, text, text) IS
  'gross − fees − refunds − disputes + adjustments = payout; itemised only where the provider says which payments are in it, else the parts are not known';

CREATE FUNCTION erp_webhook.payout_state(p erp_webhook.bank_item, ledger numeric, bank numeric, lines bigint, same_line boolean, other_currency boolean, known_until date, explained boolean)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p.state = 'failed' THEN CASE WHEN coalesce(bank, 0) = 0 AND NOT other_currency THEN 'matched' WHEN bank > 0 THEN 'over' ELSE 'under' END
  WHEN p.state = 'scheduled' THEN CASE WHEN lines = 0 THEN 'expected' ELSE 'missing_at_provider' END
  WHEN ledger IS DISTINCT FROM p.amount THEN 'missing_in_ledger'
  WHEN explained THEN 'matched'
  WHEN lines = 0 THEN CASE WHEN known_until > p.day + 3 THEN 'missing_at_bank' ELSE 'in_transit' END
  WHEN other_currency THEN 'currency_mismatch'
  WHEN bank = p.amount THEN 'matched'
  WHEN lines > 1 AND same_line AND sign(bank - p.amount) = sign(p.amount) THEN 'duplicate'
  WHEN bank > p.amount THEN 'over'
  ELSE 'under' END;
COMMENT ON FUNCTION erp_webhook.payout_state(erp_webhook.bank_item, numeric, numeric, bigint, boolean, boolean, date, boolean) IS 'the state of a payout, from what the three sides say';
