-- What cash is expected: items, each with its most likely day, an early and a late one, and why. Nothing is stored, so
-- what became real is out of the forecast by itself.

CREATE TYPE erp_webhook.forecast_item AS (
  day date, early date, late date, kind text, source text, ref text, amount numeric, currency text, sure boolean, why text);
COMMENT ON TYPE erp_webhook.forecast_item IS
  'money expected at the bank (negative: leaving it): when most likely, when at the earliest and latest, and why';

-- What each source's clearing account gained (or lost) on the days.
CREATE FUNCTION erp_webhook.clearing_by_day(company_id int, from_date date, to_date date)
RETURNS TABLE (source_id int, source text, currency text, booked_on date, paid_out boolean, amount numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.source_id, s.name, e.currency, e.booked_on, e.object = 'payout',
         sum(CASE e.debit WHEN 'clearing:' || s.name THEN e.amount ELSE -e.amount END)
  FROM erp_webhook.source s
  JOIN erp_webhook.ledger_moves(clearing_by_day.company_id, from_date, to_date) e
    ON 'clearing:' || s.name IN (e.debit, e.credit)
  WHERE s.company_id = clearing_by_day.company_id
  GROUP BY 1, 2, 3, 4, 5
$$;
COMMENT ON FUNCTION erp_webhook.clearing_by_day(int, date, date) IS
  'the change of each clearing account, day by day, payouts apart from all else';

-- How long a source took from capture to the bank, by its payouts of the last 180 days: first captured, first paid out.
-- The day of a payout's last cent is the first on which what had been captured reached what was paid out up to it.
CREATE FUNCTION erp_webhook.settlement_delay(company_id int, day date)
RETURNS TABLE (source_id int, currency text, payouts bigint, early int, usual int, late int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH moved AS MATERIALIZED (
    SELECT *
    FROM erp_webhook.clearing_by_day(settlement_delay.company_id, settlement_delay.day - 179, settlement_delay.day)),
  captured AS (
    SELECT m.source_id, m.currency, m.booked_on,
           sum(m.amount) OVER (PARTITION BY m.source_id, m.currency ORDER BY m.booked_on) AS so_far
    FROM moved m WHERE NOT m.paid_out),
  paid AS (
    SELECT m.source_id, m.currency, m.booked_on,
           sum(-m.amount) OVER (PARTITION BY m.source_id, m.currency ORDER BY m.booked_on) AS so_far
    FROM moved m WHERE m.paid_out),
  arrives AS (
    SELECT i.source_id, i.currency, v.booked_on, max(i.day) AS day
    FROM erp_webhook.bank_item i
    JOIN erp_webhook.voucher v ON v.company_id = i.company_id AND v.source_id = i.source_id
      AND v.object = 'payout' AND v.object_ref = i.object_ref
    WHERE i.company_id = settlement_delay.company_id AND i.item = 'payout' AND i.state = 'paid'
      AND i.day BETWEEN settlement_delay.day - 180 AND settlement_delay.day + 14
    GROUP BY 1, 2, 3),
  delay AS (
    SELECT p.source_id, p.currency, greatest(a.day - c.booked_on, 0) AS days
    FROM paid p
    JOIN arrives a USING (source_id, currency, booked_on)
    CROSS JOIN LATERAL (
      SELECT min(c.booked_on) AS booked_on
      FROM captured c
      WHERE c.source_id = p.source_id AND c.currency = p.currency AND c.so_far >= p.so_far) c
    WHERE c.booked_on IS NOT NULL)
  SELECT d.source_id, d.currency, count(*),
         percentile_disc(0.1) WITHIN GROUP (ORDER BY d.days),
         percentile_disc(0.5) WITHIN GROUP (ORDER BY d.days),
         percentile_disc(0.9) WITHIN GROUP (ORDER BY d.days)
  FROM delay d GROUP BY d.source_id, d.currency
$$;
COMMENT ON FUNCTION erp_webhook.settlement_delay(int, date) IS
  'days from capture to the bank per source and currency: the early tenth, the middle, the late tenth of its payouts';

-- How long after the due date a customer pays: over the invoices it has paid;
-- without three of its own, as all customers do.
CREATE FUNCTION erp_webhook.paying_habit(company_id int)
RETURNS TABLE (account_id int, invoices bigint, early int, usual int, late int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH paid AS (
    SELECT i.account_id, max(o.succeeded_at AT TIME ZONE z.zone)::date - i.due_on AS days
    FROM erp_webhook.invoice i
    CROSS JOIN (SELECT erp_webhook.company_zone(paying_habit.company_id)) z (zone)
    JOIN erp_webhook.allocation l ON l.company_id = i.company_id AND l.invoice_id = i.invoice_id
    JOIN erp_webhook.money_object o ON o.company_id = l.company_id AND o.source_id = l.source_id
      AND o.object = l.object AND o.object_ref = l.object_ref
    WHERE i.company_id = paying_habit.company_id AND i.state = 'paid' AND o.succeeded_at < now() + interval '1000 years'
    GROUP BY i.account_id, i.invoice_id, i.due_on)
  SELECT p.account_id, count(*),
         percentile_disc(0.1) WITHIN GROUP (ORDER BY p.days),
         percentile_disc(0.5) WITHIN GROUP (ORDER BY p.days),
         percentile_disc(0.9) WITHIN GROUP (ORDER BY p.days)
  FROM paid p
  GROUP BY GROUPING SETS ((p.account_id), ())
  HAVING count(*) >= 3
$$;
COMMENT ON FUNCTION erp_webhook.paying_habit(int) IS
  'days after due_on that a customer pays (account_id NULL: all customers): the early tenth, the middle, the late tenth';

-- Payouts the provider has announced or paid and the bank does not have yet.
CREATE FUNCTION erp_webhook.payouts_to_come(company_id int, today date) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.day, d.day, d.day, 'payout', s.name, p.object_ref, p.amount - coalesce(b.arrived, 0), p.currency, true,
         CASE WHEN p.day <= today THEN format('due since %s, not at the bank', to_char(p.day, 'YYYY-MM-DD'))
              WHEN p.day = today + 1 THEN 'will be credited tomorrow'
              ELSE format('will be credited in %s days', p.day - today) END
         || CASE p.state WHEN 'scheduled' THEN ' (announced)' ELSE '' END
  FROM erp_webhook.bank_item p
  JOIN erp_webhook.source s ON s.company_id = p.company_id AND s.source_id = p.source_id
  CROSS JOIN LATERAL (SELECT greatest(p.day, today + 1)) d (day)
  CROSS JOIN LATERAL (
    SELECT sum(CASE WHEN e.credit = 'in_transit' THEN e.amount ELSE -e.amount END) AS arrived
    FROM erp_webhook.voucher v
    JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
      AND 'in_transit' IN (e.debit, e.credit) AND e.currency = p.currency
    WHERE v.company_id = p.company_id AND v.source_id = p.source_id AND v.object = 'arrival' AND v.object_ref = p.object_ref
      AND v.booked_on <= today) b
  WHERE p.company_id = payouts_to_come.company_id AND p.item = 'payout' AND p.state IN ('scheduled', 'paid')
    AND p.booked_on > today - 60 AND p.amount <> coalesce(b.arrived, 0)
$$;
COMMENT ON FUNCTION erp_webhook.payouts_to_come(int, date) IS 'announced and paid payouts that are not at the bank yet';

-- What is with the providers and in no announced payout.
CREATE FUNCTION erp_webhook.money_without_payout(company_id int, today date)
RETURNS TABLE (source_id int, currency text, amount numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT h.source_id, h.currency, sum(h.amount)
  FROM (
    SELECT c.source_id, c.currency, c.amount
    FROM erp_webhook.clearing_by_day(money_without_payout.company_id, '-infinity', today) c
    UNION ALL
    SELECT i.source_id, i.currency, -i.amount
    FROM erp_webhook.bank_item i
    WHERE i.company_id = money_without_payout.company_id AND i.item = 'payout' AND i.state = 'scheduled') h
  GROUP BY h.source_id, h.currency
  HAVING sum(h.amount) > 0
$$;
COMMENT ON FUNCTION erp_webhook.money_without_payout(int, date) IS
  'what each provider holds that it has not announced to pay out';

-- The latest captures, as many as make up what is held, each after the source's usual delay.
CREATE FUNCTION erp_webhook.captures_to_come(company_id int, today date) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH held AS (
    SELECT c.source_id, c.source, c.currency, c.booked_on, c.amount, m.amount AS of_all,
           coalesce(sum(c.amount) OVER later, 0) AS in_later_days
    FROM erp_webhook.money_without_payout(captures_to_come.company_id, today) m
    JOIN erp_webhook.clearing_by_day(captures_to_come.company_id, today - 60, today) c USING (source_id, currency)
    WHERE NOT c.paid_out AND c.amount > 0
    WINDOW later AS (PARTITION BY c.source_id, c.currency ORDER BY c.booked_on DESC
                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
  part AS (SELECT h.*, least(h.amount, h.of_all - h.in_later_days) AS to_come FROM held h)
  SELECT greatest(p.booked_on + coalesce(d.usual, 2), today + 1),
         greatest(p.booked_on + coalesce(d.early, 1), today + 1),
         greatest(p.booked_on + coalesce(d.late, 7), today + 1),
         'capture', p.source, 'of ' || to_char(p.booked_on, 'YYYY-MM-DD'), p.to_come, p.currency, false,
         CASE WHEN d.payouts IS NULL THEN 'no payout of this source yet: 2 days assumed'
              ELSE format('usually %s days to the bank (%s payouts)', d.usual, d.payouts) END
  FROM part p
  LEFT JOIN erp_webhook.settlement_delay(captures_to_come.company_id, today) d USING (source_id, currency)
  WHERE p.to_come > 0
$$;
COMMENT ON FUNCTION erp_webhook.captures_to_come(int, date) IS
  'captured money that is in no announced payout, after the source''s usual delay';

-- The day a customer will pay: its usual day; if that has passed, the due day; if that too, its late day;
-- else a week from now.
CREATE FUNCTION erp_webhook.likely_day(due_on date, usual int, late int, today date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN due_on + usual > today THEN due_on + usual
            WHEN due_on > today THEN due_on
            WHEN due_on + late > today THEN due_on + late
            ELSE today + 7 END;
COMMENT ON FUNCTION erp_webhook.likely_day(date, int, int, date) IS 'when an open invoice will be paid, by a habit';

CREATE FUNCTION erp_webhook.habit_text(who text, days_late int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN who IS NULL THEN 'no habit known'
            WHEN days_late = 0 THEN who || ' when due'
            WHEN days_late < 0 THEN format('%s %s days early', who, -days_late)
            ELSE format('%s %s days late', who, days_late) END;
COMMENT ON FUNCTION erp_webhook.habit_text(text, int) IS 'a paying habit in words';

-- Open invoices, disputed ones left out: the customer's habit, and then the way through the provider.
CREATE FUNCTION erp_webhook.invoices_to_come(company_id int, today date) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH habit AS MATERIALIZED (SELECT * FROM erp_webhook.paying_habit(invoices_to_come.company_id)),
  disputed AS MATERIALIZED (SELECT d.invoice_id FROM erp_webhook.disputed_invoices(invoices_to_come.company_id, today) d),
  way AS MATERIALIZED (
    SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY d.usual), 0) AS days
    FROM erp_webhook.settlement_delay(invoices_to_come.company_id, today) d),
  open_ AS (
    SELECT i.number, i.due_on, i.due::numeric AS due, i.currency, a.account_no,
           coalesce(own.usual, everybody.usual, 0) AS usual,
           coalesce(own.early, everybody.early, 0) AS early,
           coalesce(own.late, everybody.late, 30) AS late,
           CASE WHEN own.invoices IS NOT NULL THEN 'usually pays'
                WHEN everybody.invoices IS NOT NULL THEN 'customers usually pay' END AS who
    FROM erp_webhook.invoice i
    JOIN erp_webhook.account a ON a.company_id = i.company_id AND a.account_id = i.account_id
    LEFT JOIN habit own ON own.account_id = i.account_id
    LEFT JOIN habit everybody ON everybody.account_id IS NULL
    WHERE i.company_id = invoices_to_come.company_id AND i.due > 0 AND i.state IN ('open', 'partial')
      AND NOT EXISTS (SELECT FROM disputed d WHERE d.invoice_id = i.invoice_id))
  SELECT d.day + w.days,
         least(greatest(o.due_on + o.early, today + 1), d.day) + w.days,
         greatest(o.due_on + o.late, d.day) + w.days,
         'invoice', o.account_no, o.number, o.due, o.currency, false,
         CASE WHEN today > o.due_on THEN format('%s days over due; ', today - o.due_on) ELSE '' END
         || erp_webhook.habit_text(o.who, o.usual)
  FROM open_ o
  CROSS JOIN way w
  CROSS JOIN LATERAL (SELECT erp_webhook.likely_day(o.due_on, o.usual, o.late, today)) d (day)
$$;
COMMENT ON FUNCTION erp_webhook.invoices_to_come(int, date) IS 'open invoices on the day their customers usually pay';

-- The company's own plans. One whose day has passed without came_on is still to come.
CREATE FUNCTION erp_webhook.plans_to_come(company_id int, today date, scenario text) RETURNS SETOF erp_webhook.forecast_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.day, d.day, d.day, 'planned', 'planned_cash', p.what, p.amount::numeric, p.currency, true,
         CASE WHEN p.due_on < today THEN format('planned for %s', to_char(p.due_on, 'YYYY-MM-DD')) ELSE 'planned' END
  FROM erp_webhook.planned_cash p
  CROSS JOIN LATERAL (SELECT greatest(p.due_on, today + 1)) d (day)
  WHERE p.company_id = plans_to_come.company_id AND p.came_on IS NULL
    AND p.scenario IN ('expected', plans_to_come.scenario)
$$;
COMMENT ON FUNCTION erp_webhook.plans_to_come(int, date, text) IS 'planned_cash that has not come yet';
