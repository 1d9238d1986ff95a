-- Three-way reconciliation: what the provider says, what the ledger says, what the bank says,
-- payout by payout and line by line.
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
-- Everything here reads one snapshot and the days asked for: bank_item by day, its matches and its vouchers by key.
-- Reports switch jit off: the planner takes every function for a thousand rows, and would compile
-- what runs in milliseconds.

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
COMMENT ON FUNCTION erp_webhook.company_zone(int) IS
  'the time zone in which reports turn moments into days, whoever asks from wherever';

-- Statements that close (or, like CSV, list everything) speak for all days up to their last. A source whose money goes
-- to one bank waits for that bank's statements; where those were never imported, or it names none,
-- for the latest of any.
CREATE FUNCTION erp_webhook.bank_known_until(company_id int, currency text, source_id int DEFAULT NULL) RETURNS date
LANGUAGE sql STABLE
RETURN (
  SELECT coalesce(max(s.to_date) FILTER (WHERE a.name IS NOT DISTINCT FROM (SELECT nullif(o.settings ->> 'bank', '')
                                                                            FROM erp_webhook.source o
                    WHERE o.company_id = bank_known_until.company_id
                      AND o.source_id = bank_known_until.source_id)), max(s.to_date))
  FROM erp_webhook.bank_statement s
  JOIN erp_webhook.bank_file f USING (company_id, file_id)
  LEFT JOIN erp_webhook.bank_account a ON a.company_id = s.company_id AND a.account = s.account
  WHERE s.company_id = bank_known_until.company_id AND s.currency = bank_known_until.currency
    AND (s.closing_balance IS NOT NULL OR f.format LIKE 'csv%'));
COMMENT ON FUNCTION erp_webhook.bank_known_until(int, text, int) IS
  'the last day for which statements of a source''s bank (settings.bank; default: any) say what happened; NULL: none was '
  'imported';

CREATE TYPE erp_webhook.reconciled AS (
  item text, source text, payout_ref text, line_ref text, account text, currency text, value_date date, booked_on date,
  provider_says numeric, ledger_says numeric, bank_says numeric, state text, difference numeric, age int, advice text,
  matched_by text, equation text, reference text, counterparty text, assigned_to text);
COMMENT ON TYPE erp_webhook.reconciled IS
  'one row of the reconciliation: a payout with its bank lines, or a bank line without one';

CREATE FUNCTION erp_webhook.reconciliation_advice(state text, item text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE state
  WHEN 'expected' THEN 'nothing before its value date'
  WHEN 'in_transit' THEN 'import the statement of its value date'
  WHEN 'missing_at_bank' THEN 'ask the provider for a trace, or match() a line'
  WHEN 'missing_at_provider' THEN 'pull() the source, or match() the line'
  WHEN 'missing_in_ledger' THEN CASE item WHEN 'payout' THEN 'its event is not settled: see exceptions'
                                     ELSE 'book_line() it, or let statements post' END
  WHEN 'over' THEN 'a second payout in it? else match() with difference_to'
  WHEN 'under' THEN 'charges of the bank? match() with difference_to'
  WHEN 'currency_mismatch' THEN 'match() with difference_to exchange'
  WHEN 'duplicate' THEN 'one is to be returned, or unmatch() it'
END;
COMMENT ON FUNCTION erp_webhook.reconciliation_advice(text, text) IS 'what to do about a state; NULL: nothing';

CREATE FUNCTION erp_webhook.equation_text(payments bigint, gross numeric, fees numeric, refunds numeric,
                                          disputes numeric, payout numeric)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN payments > 0 THEN
  format('%s − %s fees − %s refunds − %s disputes %s %s adjustments = %s', gross, fees, refunds, disputes,
         CASE WHEN payout - (gross - fees - refunds - disputes) < 0 THEN '−' ELSE '+' END,
         round(abs(payout - (gross - fees - refunds - disputes)), scale(gross)), round(payout, scale(gross)))
  ELSE 'not itemised' END;
COMMENT ON FUNCTION erp_webhook.equation_text(bigint, numeric, numeric, numeric, numeric, numeric) IS
  'the payout equation in words; not itemised: the provider does not say what is in it';
