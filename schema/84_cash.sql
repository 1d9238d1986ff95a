-- Cash: where it is, and when the rest will come.
--
-- The forecast is a list of items, each with its most likely day, an early and a late one, and why; days are sums over it.
-- Nothing is stored, so what became real is out of the forecast by itself.

CREATE FUNCTION erp_webhook.closing_balances(company_id int, day date)
RETURNS TABLE (account text, ledger_account text, currency text, balance numeric, said_on date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (s.account, s.currency)
         s.account, 'bank' || coalesce(':' || b.name, ''), s.currency, s.closing_balance::numeric, s.to_date
  FROM erp_webhook.bank_statement s
  LEFT JOIN erp_webhook.bank_account b ON b.company_id = s.company_id AND b.account = s.account
  WHERE s.company_id = closing_balances.company_id AND s.to_date <= closing_balances.day AND s.closing_balance IS NOT NULL
  ORDER BY s.account, s.currency, s.to_date DESC, s.statement_id DESC
$$;
COMMENT ON FUNCTION erp_webhook.closing_balances(int, date) IS
  'per bank account what the latest statement up to a day closes with';

CREATE FUNCTION erp_webhook.cash_position(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (kind text, ledger_account text, currency text, balance numeric, bank_says numeric, said_on date, difference numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT a.company_id AS id, a.day FROM erp_webhook.asked_day(cash_position.company, cash_position.at) a),
  ledger AS (
    SELECT l.account, e.currency, sum(l.sign * e.amount) AS balance
    FROM asked a CROSS JOIN LATERAL erp_webhook.ledger_moves(a.id, '-infinity', a.day) e
    CROSS JOIN LATERAL (VALUES (e.debit, 1), (e.credit, -1)) l (account, sign)
    WHERE l.account = 'bank' OR l.account LIKE 'bank:%' OR l.account LIKE 'clearing:%' OR l.account IN ('in_transit', 'bank_unassigned')
    GROUP BY l.account, e.currency),
  bank AS (
    SELECT c.ledger_account AS account, c.currency, sum(c.balance) AS balance, min(c.said_on) AS said_on
    FROM asked a CROSS JOIN LATERAL erp_webhook.closing_balances(a.id, a.day) c GROUP BY 1, 2)
  SELECT CASE WHEN account LIKE 'clearing:%' THEN 'clearing' WHEN account = 'in_transit' THEN 'in_transit' WHEN account = 'bank_unassigned' THEN 'unassigned' ELSE 'bank' END,
         account, currency, round(coalesce(l.balance, 0), erp_webhook.digits_of(currency)), b.balance, b.said_on, b.balance - coalesce(l.balance, 0)
  FROM ledger l FULL JOIN bank b USING (account, currency) WHERE coalesce(l.balance, 0) <> 0 OR b.balance IS NOT NULL
  ORDER BY 1, account COLLATE "C", currency
$$;
COMMENT ON FUNCTION erp_webhook.cash_position(text, timestamptz) IS
  'money at the end of a day (default: today) per bank, clearing account and currency, as the ledger says; bank_says: the closing balance of the latest statements by then. kind: bank, clearing, in_transit, or unassigned (debits that left the bank and have no place yet: no cash)';

-- How long a source took from capture to the bank, by its payouts of the last 180 days: first captured, first paid out. The day of a
-- payout's last cent is the first on which what had been captured reached what was paid out up to it.
CREATE FUNCTION erp_webhook.settlement_delay(company_id int, day date)
RETURNS TABLE (source_id int, currency text, payouts bigint, early int, usual int, late int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH moved AS MATERIALIZED (
    SELECT s.source_id, e.currency, e.booked_on, e.object = 'payout' AS paid_out, sum(CASE e.debit WHEN 'clearing:' || s.name THEN e.amount ELSE -e.amount END) AS amount
    FROM erp_webhook.ledger_moves(settlement_delay.company_id, settlement_delay.day - 179, settlement_delay.day) e
    JOIN erp_webhook.source s ON s.company_id = settlement_delay.company_id AND 'clearing:' || s.name IN (e.debit, e.credit)
    GROUP BY 1, 2, 3, 4),
  captured AS (SELECT source_id, currency, booked_on, sum(amount) OVER (PARTITION BY source_id, currency ORDER BY booked_on) AS so_far FROM moved WHERE NOT paid_out),
  paid AS (SELECT source_id, currency, booked_on, sum(-amount) OVER (PARTITION BY source_id, currency ORDER BY booked_on) AS so_far FROM moved WHERE paid_out),
  arrives AS (
    SELECT i.source_id, i.currency, v.booked_on, max(i.day) AS day
    FROM erp_webhook.bank_item i
    JOIN erp_webhook.voucher v ON v.company_id = i.company_id AND v.source_id = i.source_id AND v.object = 'payout' AND v.object_ref = i.object_ref
    WHERE i.company_id = settlement_delay.company_id AND i.item = 'payout' AND i.state = 'paid' AND i.day BETWEEN settlement_delay.day - 180 AND settlement_delay.day + 14
    GROUP BY 1, 2, 3),
  delay AS (
    SELECT p.source_id, p.currency, greatest(a.day - c.booked_on, 0) AS days
    FROM paid p
    JOIN arrives a ON a.source_id = p.source_id AND a.currency = p.currency AND a.booked_on = p.booked_on
    CROSS JOIN LATERAL (SELECT min(c.booked_on) AS booked_on FROM captured c WHERE c.source_id = p.source_id AND c.currency = p.currency AND c.so_far >= p.so_far) c
    WHERE c.booked_on IS NOT NULL)
  SELECT d.source_id, d.currency, count(*), percentile_disc(0.1) WITHIN GROUP (ORDER BY days), percentile_disc(0.5) WITHIN GROUP (ORDER BY days),
         percentile_disc(0.9) WITHIN GROUP (ORDER BY days)
  FROM delay d GROUP BY d.source_id, d.currency
$$;
COMMENT ON FUNCTION erp_webhook.settlement_delay(int, date) IS 'days from capture to the bank per source and currency: the early tenth, the middle, the late tenth of its payouts';

-- How long after the due date a customer pays: over the invoices it has paid; without three of its own, as all customers do.
CREATE FUNCTION erp_webhook.paying_habit(company_id int) RETURNS TABLE (account_id int, invoices bigint, early int, usual int, late int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH paid AS (
    SELECT i.account_id, max(o.succeeded_at AT TIME ZONE z.zone)::date - i.due_on AS days
    FROM erp_webhook.invoice i
    CROSS JOIN (SELECT erp_webhook.company_zone(paying_habit.company_id)) z (zone)
    JOIN erp_webhook.allocation l ON l.company_id = i.company_id AND l.invoice_id = i.invoice_id
    JOIN erp_webhook.money_object o ON o.company_id = l.company_id AND o.source_id = l.source_id AND o.object = l.object AND o.object_ref = l.object_ref
    WHERE i.company_id = paying_habit.company_id AND i.state = 'paid' AND o.succeeded_at < now() + interval '1000 years'
    GROUP BY i.account_id, i.invoice_id, i.due_on)
  SELECT p.account_id, count(*), percentile_disc(0.1) WITHIN GROUP (ORDER BY days), percentile_disc(0.5) WITHIN GROUP (ORDER BY days),
         percentile_disc(0.9) WITHIN GROUP (ORDER BY days)
  FROM paid p GROUP BY GROUPING SETS ((p.account_id), ()) HAVING count(*) >= 3
$$;
COMMENT ON FUNCTION erp_webhook.paying_habit(int) IS 'days after due_on that a customer pays (account_id NULL: all customers): the early tenth, the middle, the late tenth';

CREATE TYPE erp_webhook.forecast_item AS (
  day date, early date, late date, kind text, source text, ref text, amount numeric, currency text, sure boolean, why text);
COMMENT ON TYPE erp_webhook.forecast_item IS 'money expected at the bank (negative: leaving it): when most likely, when at the earliest and latest, and why';

-- Payouts the provider has announced or paid and the bank does not have yet.
CREATE FUNCTION erp_webhook.payouts_to_come(company_id int, today date) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.day, d.day, d.day, 'payout', s.name, p.object_ref, p.amount - coalesce(b.arrived, 0), p.currency, true,
         CASE WHEN p.day <= today THEN format('due since %s, not at the bank', to_char(p.day, 'YYYY-MM-DD'))
              WHEN p.day = today + 1 THEN 'will be credited tomorrow' ELSE format('will be credited in %s days', p.day - today) END
         || CASE p.state WHEN 'scheduled' THEN ' (announced)' ELSE '' END
  FROM erp_webhook.bank_item p
  JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
  CROSS JOIN LATERAL (SELECT greatest(p.day, today + 1)) d (day)
  CROSS JOIN LATERAL (
    SELECT sum(CASE WHEN e.credit = 'in_transit' THEN e.amount ELSE -e.amount END) AS arrived
    FROM erp_webhook.voucher v JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id AND 'in_transit' IN (e.debit, e.credit)
    WHERE v.company_id = p.company_id AND v.source_id = p.source_id AND v.object = 'arrival' AND v.object_ref = p.object_ref AND v.booked_on <= today
      AND e.currency = p.currency) b
  WHERE p.company_id = payouts_to_come.company_id AND p.item = 'payout' AND p.state IN ('scheduled', 'paid') AND p.booked_on > today - 60
    AND p.amount <> coalesce(b.arrived, 0)
$$;
COMMENT ON FUNCTION erp_webhook.payouts_to_come(int, date) IS 'announced and paid payouts that are not at the bank yet';

-- What is with the provider and in no announced payout: the latest captures, as many as make it up, each after the usual delay.
CREATE FUNCTION erp_webhook.captures_to_come(company_id int, today date) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH held AS MATERIALIZED (
    SELECT s.source_id, s.name, e.currency, sum(CASE e.debit WHEN 'clearing:' || s.name THEN e.amount ELSE -e.amount END) AS amount
    FROM erp_webhook.source s
    JOIN erp_webhook.ledger_moves(captures_to_come.company_id, '-infinity', today) e ON 'clearing:' || s.name IN (e.debit, e.credit)
    WHERE s.company_id = captures_to_come.company_id GROUP BY 1, 2, 3),
  free AS (
    SELECT h.source_id, h.name, h.currency, h.amount - coalesce((SELECT sum(i.amount) FROM erp_webhook.bank_item i WHERE i.company_id = captures_to_come.company_id
             AND i.item = 'payout' AND i.state = 'scheduled' AND i.source_id = h.source_id AND i.currency = h.currency), 0) AS amount
    FROM held h),
  day_ AS (
    SELECT f.source_id, f.name, f.currency, f.amount AS free, e.booked_on, sum(CASE e.debit WHEN 'clearing:' || f.name THEN e.amount ELSE -e.amount END) AS amount
    FROM free f
    JOIN erp_webhook.ledger_moves(captures_to_come.company_id, today - 60, today) e ON e.object <> 'payout' AND e.currency = f.currency AND 'clearing:' || f.name IN (e.debit, e.credit)
    WHERE f.amount > 0 GROUP BY 1, 2, 3, 4, 5),
  chunk AS (
    SELECT d.*, least(d.amount, d.free - coalesce(sum(d.amount) OVER (PARTITION BY d.source_id, d.currency ORDER BY d.booked_on DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS part
    FROM day_ d WHERE d.amount > 0)
  SELECT greatest(c.booked_on + coalesce(h.usual, 2), today + 1), greatest(c.booked_on + coalesce(h.early, 1), today + 1), greatest(c.booked_on + coalesce(h.late, 7), today + 1),
         'capture', c.name, 'of ' || to_char(c.booked_on, 'YYYY-MM-DD'), c.part, c.currency, false,
         CASE WHEN h.payouts IS NULL THEN 'no payout of this source yet: 2 days assumed' ELSE format('usually %s days to the bank (%s payouts)', h.usual, h.payouts) END
  FROM chunk c LEFT JOIN erp_webhook.settlement_delay(captures_to_come.company_id, today) h ON h.source_id = c.source_id AND h.currency = c.currency
  WHERE c.part > 0
$$;
COMMENT ON FUNCTION erp_webhook.captures_to_come(int, date) IS 'captured money that is in no announced payout, after the source''s usual delay';

-- The day a customer will pay: its usual day; if that has passed, the due day; if that too, its late day; else a week from now.
CREATE FUNCTION erp_webhook.likely_day(due_on date, usual int, late int, today date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN due_on + usual > today THEN due_on + usual WHEN due_on > today THEN due_on WHEN due_on + late > today THEN due_on + late ELSE today + 7 END;
COMMENT ON FUNCTION erp_webhook.likely_day(date, int, int, date) IS 'when an open invoice will be paid, by a habit';

-- Open invoices, disputed ones left out: the customer's habit and then the way through the provider.
CREATE FUNCTION erp_webhook.invoices_to_come(company_id int, today date) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH habit AS MATERIALIZED (SELECT * FROM erp_webhook.paying_habit(invoices_to_come.company_id)),
  disputed AS MATERIALIZED (SELECT d.invoice_id FROM erp_webhook.disputed_invoices(invoices_to_come.company_id, today) d),
  way AS MATERIALIZED (SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY d.usual), 0) AS days FROM erp_webhook.settlement_delay(invoices_to_come.company_id, today) d),
  open_ AS (
    SELECT i.number, i.due_on, i.due::numeric AS due, i.currency, a.account_no, w.days AS way,
           coalesce(own.usual, everybody.usual, 0) AS usual, coalesce(own.early, everybody.early, 0) AS early, coalesce(own.late, everybody.late, 30) AS late,
           CASE WHEN own.invoices IS NOT NULL THEN 'usually pays' WHEN everybody.invoices IS NOT NULL THEN 'customers usually pay' END AS who
    FROM erp_webhook.invoice i
    CROSS JOIN way w
    JOIN erp_webhook.account a ON a.company_id = i.company_id AND a.account_id = i.account_id
    LEFT JOIN habit own ON own.account_id = i.account_id
    LEFT JOIN habit everybody ON everybody.account_id IS NULL
    WHERE i.company_id = invoices_to_come.company_id AND i.due > 0 AND i.state IN ('open', 'partial') AND NOT EXISTS (SELECT FROM disputed d WHERE d.invoice_id = i.invoice_id))
  SELECT d.day + o.way, least(greatest(o.due_on + o.early, today + 1), d.day) + o.way, greatest(o.due_on + o.late, d.day) + o.way, 'invoice', o.account_no, o.number, o.due, o.currency, false,
         CASE WHEN today > o.due_on THEN format('%s days over due; ', today - o.due_on) ELSE '' END
         || CASE WHEN o.who IS NULL THEN 'no habit known'
                 ELSE format('%s %s', o.who, CASE WHEN o.usual = 0 THEN 'when due' WHEN o.usual < 0 THEN format('%s days early', -o.usual) ELSE format('%s days late', o.usual) END) END
  FROM open_ o CROSS JOIN LATERAL (SELECT erp_webhook.likely_day(o.due_on, o.usual, o.late, today)) d (day)
$$;
COMMENT ON FUNCTION erp_webhook.invoices_to_come(int, date) IS 'open invoices on the day their customers usually pay';

CREATE FUNCTION erp_webhook.forecast_items(company text DEFAULT 'default', days int DEFAULT 30, scenario text DEFAULT 'expected') RETURNS SETOF erp_webhook.forecast_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
  id int := erp_webhook.company_named(company);
  today date := erp_webhook.report_day(id);
BEGIN
  IF scenario NOT IN ('expected', 'cautious', 'sure') THEN
    RAISE EXCEPTION 'no scenario "%"', scenario USING ERRCODE = 'invalid_parameter_value', HINT = 'Scenarios: expected, cautious (everything at its late day, nothing over 90 days late), sure (payouts and plans only).';
  END IF;
  RETURN QUERY
  SELECT CASE scenario WHEN 'cautious' THEN i.late ELSE i.day END, i.early, i.late, i.kind, i.source, i.ref, round(i.amount, erp_webhook.digits_of(i.currency)), i.currency, i.sure, i.why
  FROM (
    SELECT * FROM erp_webhook.payouts_to_come(id, today)
    UNION ALL SELECT * FROM erp_webhook.captures_to_come(id, today) WHERE scenario <> 'sure'
    UNION ALL SELECT * FROM erp_webhook.invoices_to_come(id, today) f WHERE scenario = 'expected' OR scenario = 'cautious' AND f.late - today <= 90
    UNION ALL
    SELECT d.day, d.day, d.day, 'planned', 'planned_cash', p.what, p.amount::numeric, p.currency, true, CASE WHEN p.due_on < today THEN format('planned for %s', to_char(p.due_on, 'YYYY-MM-DD')) ELSE 'planned' END
    FROM erp_webhook.planned_cash p CROSS JOIN LATERAL (SELECT greatest(p.due_on, today + 1)) d (day)
    WHERE p.company_id = id AND p.came_on IS NULL AND p.scenario IN ('expected', forecast_items.scenario)) i
  WHERE CASE scenario WHEN 'cautious' THEN i.late ELSE i.day END <= today + days
  ORDER BY 1, i.currency, i.kind, i.ref COLLATE "C";
END
$$;
COMMENT ON FUNCTION erp_webhook.forecast_items(text, int, text) IS
  'the money expected at the bank within so many days, one row each; scenario expected, cautious (late days) or sure (payouts and plans only)';

CREATE FUNCTION erp_webhook.cash_forecast(company text DEFAULT 'default', days int DEFAULT 30, scenario text DEFAULT 'expected')
RETURNS TABLE (day date, currency text, opening numeric, payouts numeric, captures numeric, invoices numeric, planned numeric, closing numeric,
               closing_low numeric, closing_high numeric, scenario text, note text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT c.id, erp_webhook.report_day(c.id) AS today FROM (SELECT erp_webhook.company_named(cash_forecast.company)) c (id)),
  item AS MATERIALIZED (SELECT * FROM erp_webhook.forecast_items(cash_forecast.company, cash_forecast.days, cash_forecast.scenario)),
  start AS MATERIALIZED (SELECT p.currency, sum(p.balance) AS balance FROM asked a, LATERAL erp_webhook.cash_position(cash_forecast.company, a.today::timestamptz) p WHERE p.kind = 'bank' GROUP BY 1),
  grid AS (
    SELECT d.day, c.currency, coalesce(s.balance, 0) AS balance
    FROM asked a CROSS JOIN LATERAL (SELECT a.today + n FROM generate_series(1, cash_forecast.days) n) d (day)
    CROSS JOIN (SELECT i.currency FROM item i UNION SELECT t.currency FROM start t) c LEFT JOIN start s USING (currency)),
  summed AS (
    SELECT g.day, g.currency, g.balance, coalesce(i.payouts, 0) AS payouts, coalesce(i.captures, 0) AS captures, coalesce(i.invoices, 0) AS invoices, coalesce(i.planned, 0) AS planned,
           coalesce(i.total, 0) AS total, coalesce(e.early, 0) AS early, coalesce(l.late, 0) AS late, i.note
    FROM grid g
    LEFT JOIN LATERAL (SELECT sum(amount) FILTER (WHERE kind = 'payout') AS payouts, sum(amount) FILTER (WHERE kind = 'capture') AS captures,
        sum(amount) FILTER (WHERE kind = 'invoice') AS invoices, sum(amount) FILTER (WHERE kind = 'planned') AS planned, sum(amount) AS total,
        string_agg(x.source || ' ' || x.ref || ' ' || x.why, '; ' ORDER BY x.ref) FILTER (WHERE kind = 'payout') AS note
      FROM item x WHERE x.day = g.day AND x.currency = g.currency) i ON true
    LEFT JOIN LATERAL (SELECT sum(amount) AS early FROM item x WHERE x.early = g.day AND x.currency = g.currency) e ON true
    LEFT JOIN LATERAL (SELECT sum(amount) AS late FROM item x WHERE x.late = g.day AND x.currency = g.currency) l ON true)
  SELECT s.day, s.currency, round(s.balance + sum(s.total) OVER w - s.total, d.digits), round(s.payouts, d.digits), round(s.captures, d.digits), round(s.invoices, d.digits), round(s.planned, d.digits),
         round(s.balance + sum(s.total) OVER w, d.digits), round(s.balance + sum(s.late) OVER w, d.digits), round(s.balance + sum(s.early) OVER w, d.digits), cash_forecast.scenario, s.note
  FROM summed s CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(s.currency)) d (digits)
  WINDOW w AS (PARTITION BY s.currency ORDER BY s.day) ORDER BY s.currency, s.day
$$;
COMMENT ON FUNCTION erp_webhook.cash_forecast(text, int, text) IS
  'money at the bank day by day from tomorrow: opening + payouts + captures + invoices + planned = closing, per currency; closing_low and closing_high: if all that is not sure comes at its late or early day';

CREATE FUNCTION erp_webhook.cash_to_come(company text DEFAULT 'default', days int DEFAULT 14)
RETURNS TABLE (day date, amount numeric, currency text, source text, what text, why text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT i.day, i.amount, i.currency, i.source, i.kind || ' ' || i.ref, i.why FROM erp_webhook.forecast_items(company, days) i
$$;
COMMENT ON FUNCTION erp_webhook.cash_to_come(text, int) IS 'the expected items of the next days, to print';

CREATE FUNCTION erp_webhook.store_forecast(company_id int, days int, scenario text) RETURNS int
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH kept AS (
    INSERT INTO erp_webhook.kept_forecast AS k (company_id, made_on, day, currency, scenario, inflow, outflow, closing)
    SELECT c.company_id, erp_webhook.report_day(c.company_id), f.day, f.currency, f.scenario, f.payouts + f.captures + f.invoices + greatest(f.planned, 0), least(f.planned, 0), f.closing
    FROM erp_webhook.company c CROSS JOIN LATERAL erp_webhook.cash_forecast(c.name, store_forecast.days, store_forecast.scenario) f
    WHERE c.company_id = store_forecast.company_id
    ON CONFLICT ON CONSTRAINT kept_forecast_pkey DO UPDATE SET inflow = EXCLUDED.inflow, outflow = EXCLUDED.outflow, closing = EXCLUDED.closing
    RETURNING 1)
  SELECT count(*)::int FROM kept
$$;
COMMENT ON FUNCTION erp_webhook.store_forecast(int, int, text) IS 'write down today''s forecast; made again on the same day, the later one counts';

CREATE FUNCTION erp_webhook.keep_forecast(company text DEFAULT 'default', days int DEFAULT 30, scenario text DEFAULT 'expected') RETURNS int
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
  'keep today''s forecast, to be held against what comes (forecast_against_actual()); returns the days kept. From then on the worker keeps one every day, for as many days ahead';

-- A company that kept one once is served every day: the scenarios of its last day, as far ahead.
CREATE FUNCTION erp_webhook.keep_forecasts() RETURNS int
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH latest AS (
    SELECT c.company_id, erp_webhook.report_day(c.company_id) AS today, (SELECT max(k.made_on) FROM erp_webhook.kept_forecast k WHERE k.company_id = c.company_id) AS made_on
    FROM erp_webhook.company c)
  SELECT coalesce(sum(erp_webhook.store_forecast(f.company_id, f.days, f.scenario)), 0)::int
  FROM (SELECT k.company_id, k.scenario, max(k.day - k.made_on) AS days
        FROM latest l JOIN erp_webhook.kept_forecast k ON k.company_id = l.company_id AND k.made_on = l.made_on
        WHERE l.made_on < l.today GROUP BY k.company_id, k.scenario) f
$$;
COMMENT ON FUNCTION erp_webhook.keep_forecasts() IS 'worker, once a day: the forecast of each company that keeps them';

CREATE FUNCTION erp_webhook.forecast_against_actual(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (day date, currency text, scenario text, made_on date, days_ahead int, forecast numeric, actual numeric, difference numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT a.company_id AS id, a.day FROM erp_webhook.asked_day(forecast_against_actual.company, forecast_against_actual.at) a),
  actual AS MATERIALIZED (SELECT p.currency, sum(p.balance) AS balance FROM asked a, LATERAL erp_webhook.cash_position(forecast_against_actual.company, a.day::timestamptz) p WHERE p.kind = 'bank' GROUP BY 1)
  SELECT k.day, k.currency, k.scenario, k.made_on, k.day - k.made_on, k.closing::numeric, coalesce(t.balance, 0), coalesce(t.balance, 0) - k.closing
  FROM asked a JOIN erp_webhook.kept_forecast k ON k.company_id = a.id AND k.day = a.day LEFT JOIN actual t USING (currency)
  ORDER BY k.currency, k.scenario, k.made_on DESC
$$;
COMMENT ON FUNCTION erp_webhook.forecast_against_actual(text, timestamptz) IS 'what was forecast for a day (default: today), by when, and what the bank accounts then held';
