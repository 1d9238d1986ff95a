-- The forecast: the items of 84_cash_expected.sql by scenario, summed by day; and yesterday's, held against what came.

CREATE FUNCTION erp_webhook.forecast_items(
  company text DEFAULT 'default', days int DEFAULT 30,
  scenario text DEFAULT 'expected') RETURNS SETOF erp_webhook.forecast_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
  id int := erp_webhook.company_named(company);
  today date := erp_webhook.report_day(id);
BEGIN
  IF scenario NOT IN ('expected', 'cautious', 'sure') THEN
    RAISE EXCEPTION 'no scenario "%"', scenario
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Scenarios: expected, cautious (everything at its late day, nothing over 90 days late), '
                   'sure (payouts and plans only).';
  END IF;
  RETURN QUERY
  WITH item AS (
    SELECT * FROM erp_webhook.payouts_to_come(id, today)
    UNION ALL
    SELECT * FROM erp_webhook.plans_to_come(id, today, scenario)
    UNION ALL
    SELECT * FROM erp_webhook.captures_to_come(id, today) WHERE scenario <> 'sure'
    UNION ALL
    SELECT * FROM erp_webhook.invoices_to_come(id, today) f
    WHERE scenario = 'expected' OR scenario = 'cautious' AND f.late - today <= 90)
  SELECT d.day, i.early, i.late, i.kind, i.source, i.ref, round(i.amount, erp_webhook.digits_of(i.currency)), i.currency,
         i.sure, i.why
  FROM item i
  CROSS JOIN LATERAL (SELECT CASE scenario WHEN 'cautious' THEN i.late ELSE i.day END) d (day)
  WHERE d.day <= today + days
  ORDER BY d.day, i.currency, i.kind, i.ref COLLATE "C";
END
$$;
COMMENT ON FUNCTION erp_webhook.forecast_items(text, int, text) IS
  'the money expected at the bank within so many days, one row each; scenario expected, cautious (late days) or sure '
  '(payouts and plans only)';

CREATE FUNCTION erp_webhook.cash_to_come(company text DEFAULT 'default', days int DEFAULT 14)
RETURNS TABLE (day date, amount numeric, currency text, source text, what text, why text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT i.day, i.amount, i.currency, i.source, i.kind || ' ' || i.ref, i.why
  FROM erp_webhook.forecast_items(company, days) i
$$;
COMMENT ON FUNCTION erp_webhook.cash_to_come(text, int) IS 'the expected items of the next days, to print';

-- Every item counts on its day, and for the band once more on its early and on its late one.
CREATE FUNCTION erp_webhook.forecast_by_day(company text, days int, scenario text)
RETURNS TABLE (day date, currency text, payouts numeric, captures numeric, invoices numeric, planned numeric, total numeric,
               early numeric, late numeric, note text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH item AS MATERIALIZED (SELECT * FROM erp_webhook.forecast_items(company, days, scenario)),
  counted (day, currency, kind, amount, note) AS (
    SELECT i.day, i.currency, i.kind, i.amount,
           CASE i.kind WHEN 'payout' THEN concat_ws(' ', i.source, i.ref, i.why) END
    FROM item i
    UNION ALL SELECT i.early, i.currency, 'early', i.amount, NULL FROM item i
    UNION ALL SELECT i.late, i.currency, 'late', i.amount, NULL FROM item i)
  SELECT c.day, c.currency,
         coalesce(sum(c.amount) FILTER (WHERE c.kind = 'payout'), 0),
         coalesce(sum(c.amount) FILTER (WHERE c.kind = 'capture'), 0),
         coalesce(sum(c.amount) FILTER (WHERE c.kind = 'invoice'), 0),
         coalesce(sum(c.amount) FILTER (WHERE c.kind = 'planned'), 0),
         coalesce(sum(c.amount) FILTER (WHERE c.kind NOT IN ('early', 'late')), 0),
         coalesce(sum(c.amount) FILTER (WHERE c.kind = 'early'), 0),
         coalesce(sum(c.amount) FILTER (WHERE c.kind = 'late'), 0),
         string_agg(c.note, '; ' ORDER BY c.note)
  FROM counted c
  GROUP BY c.day, c.currency
$$;
COMMENT ON FUNCTION erp_webhook.forecast_by_day(text, int, text) IS
  'forecast_items() summed by day and currency; early, late: what may come on that day at the earliest, at the latest';

CREATE FUNCTION erp_webhook.cash_forecast(company text DEFAULT 'default', days int DEFAULT 30,
                                          scenario text DEFAULT 'expected')
RETURNS TABLE (day date, currency text, opening numeric, payouts numeric, captures numeric, invoices numeric,
               planned numeric,
               closing numeric, closing_low numeric, closing_high numeric, scenario text, note text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH today AS MATERIALIZED (SELECT a.day FROM erp_webhook.asked_day(cash_forecast.company, NULL) a),
  expected AS MATERIALIZED (
    SELECT * FROM erp_webhook.forecast_by_day(cash_forecast.company, cash_forecast.days, cash_forecast.scenario)),
  bank AS MATERIALIZED (
    SELECT p.currency, sum(p.balance) AS balance
    FROM erp_webhook.cash_position(cash_forecast.company) p WHERE p.kind = 'bank' GROUP BY p.currency),
  grid AS (
    SELECT t.day + n AS day, c.currency
    FROM today t
    CROSS JOIN generate_series(1, cash_forecast.days) n
    CROSS JOIN (SELECT e.currency FROM expected e UNION SELECT b.currency FROM bank b) c),
  filled AS (
    SELECT day, currency, coalesce(b.balance, 0) AS balance, e.note,
           coalesce(e.payouts, 0) AS payouts, coalesce(e.captures, 0) AS captures, coalesce(e.invoices, 0) AS invoices,
           coalesce(e.planned, 0) AS planned, coalesce(e.total, 0) AS total,
           coalesce(e.early, 0) AS early, coalesce(e.late, 0) AS late
    FROM grid LEFT JOIN expected e USING (day, currency) LEFT JOIN bank b USING (currency)),
  running AS (
    SELECT f.*,
           f.balance + sum(f.total) OVER so_far AS closing,
           f.balance + sum(f.early) OVER so_far AS closing_early,
           f.balance + sum(f.late) OVER so_far AS closing_late
    FROM filled f WINDOW so_far AS (PARTITION BY f.currency ORDER BY f.day))
  SELECT r.day, r.currency, round(r.closing - r.total, d.digits),
         round(r.payouts, d.digits), round(r.captures, d.digits), round(r.invoices, d.digits), round(r.planned, d.digits),
         round(r.closing, d.digits), round(r.closing_late, d.digits), round(r.closing_early, d.digits),
         cash_forecast.scenario, r.note
  FROM running r CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(r.currency)) d (digits)
  ORDER BY r.currency, r.day
$$;
COMMENT ON FUNCTION erp_webhook.cash_forecast(text, int, text) IS
  'money at the bank day by day from tomorrow: opening + payouts + captures + invoices + planned = closing, per currency; '
  'closing_low and closing_high: if all that is not sure comes at its late or early day';

CREATE FUNCTION erp_webhook.store_forecast(company_id int, days int, scenario text) RETURNS int
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH kept AS (
    INSERT INTO erp_webhook.kept_forecast AS k (company_id, made_on, day, currency, scenario, inflow, outflow, closing)
    SELECT c.company_id, erp_webhook.report_day(c.company_id), f.day, f.currency, f.scenario,
           f.payouts + f.captures + f.invoices + greatest(f.planned, 0), least(f.planned, 0), f.closing
    FROM erp_webhook.company c
    CROSS JOIN LATERAL erp_webhook.cash_forecast(c.name, store_forecast.days, store_forecast.scenario) f
    WHERE c.company_id = store_forecast.company_id
    ON CONFLICT ON CONSTRAINT kept_forecast_pkey DO UPDATE
      SET inflow = EXCLUDED.inflow, outflow = EXCLUDED.outflow, closing = EXCLUDED.closing
    RETURNING 1)
  SELECT count(*)::int FROM kept
$$;
COMMENT ON FUNCTION erp_webhook.store_forecast(int, int, text) IS
  'write down today''s forecast; made again on the same day, the later one counts';

CREATE FUNCTION erp_webhook.keep_forecast(company text DEFAULT 'default', days int DEFAULT 30,
                                          scenario text DEFAULT 'expected')
RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id int := erp_webhook.company_named(company);
BEGIN
  PERFORM erp_webhook.check_access(id, 'admin');
  RETURN erp_webhook.store_forecast(id, days, scenario);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.keep_forecast(text, int, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.keep_forecast(text, int, text) IS
  'keep today''s forecast, to be held against what comes (forecast_against_actual()); returns the days kept. From then on the '
  'worker keeps one every day, for as many days ahead';

-- A company that kept one once is served every day: the scenarios of its last day, as far ahead.
CREATE FUNCTION erp_webhook.keep_forecasts() RETURNS int
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH latest AS (
    SELECT c.company_id, erp_webhook.report_day(c.company_id) AS today,
           (SELECT max(k.made_on) FROM erp_webhook.kept_forecast k WHERE k.company_id = c.company_id) AS made_on
    FROM erp_webhook.company c),
  due AS (
    SELECT k.company_id, k.scenario, max(k.day - k.made_on) AS days
    FROM latest l
    JOIN erp_webhook.kept_forecast k ON k.company_id = l.company_id AND k.made_on = l.made_on
    WHERE l.made_on < l.today
    GROUP BY k.company_id, k.scenario)
  SELECT coalesce(sum(erp_webhook.store_forecast(d.company_id, d.days, d.scenario)), 0)::int FROM due d
$$;
COMMENT ON FUNCTION erp_webhook.keep_forecasts() IS 'worker, once a day: the forecast of each company that keeps them';

CREATE FUNCTION erp_webhook.forecast_against_actual(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (day date, currency text, scenario text, made_on date, days_ahead int, forecast numeric, actual numeric,
               difference numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT *
                              FROM erp_webhook.asked_day(forecast_against_actual.company, forecast_against_actual.at)),
  bank AS MATERIALIZED (
    SELECT p.currency, sum(p.balance) AS balance
    FROM asked a CROSS JOIN LATERAL erp_webhook.cash_position(forecast_against_actual.company, a.day::timestamptz) p
    WHERE p.kind = 'bank' GROUP BY p.currency)
  SELECT k.day, k.currency, k.scenario, k.made_on, k.day - k.made_on,
         k.closing::numeric, round(coalesce(b.balance, 0), scale(k.closing)), coalesce(b.balance, 0) - k.closing
  FROM asked a
  JOIN erp_webhook.kept_forecast k ON k.company_id = a.company_id AND k.day = a.day
  LEFT JOIN bank b USING (currency)
  ORDER BY k.currency, k.scenario, k.made_on DESC
$$;
COMMENT ON FUNCTION erp_webhook.forecast_against_actual(text, timestamptz) IS
  'what was forecast for a day (default: today), by when, and what the bank accounts then held';
