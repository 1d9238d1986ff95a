-- The chart of the page: what the bank held day by day, and what it will hold, with the band between early and late.
-- Drawn as SVG, all arithmetic in exact decimals; every figure in it stands in the table behind it.

CREATE TYPE erp_webhook.chart_point AS (day date, past boolean, amount numeric, low numeric, high numeric);
COMMENT ON TYPE erp_webhook.chart_point IS 'one day of the chart';

CREATE FUNCTION erp_webhook.bank_history(company_id int, currency text, today date, days int)
RETURNS SETOF erp_webhook.chart_point
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH moved AS (
    SELECT greatest(e.booked_on, today - days) AS day,
           sum(CASE WHEN e.debit ~ '^bank(:|$)' THEN e.amount ELSE -e.amount END) AS amount
    FROM erp_webhook.ledger_moves(bank_history.company_id, '-infinity', today) e
    WHERE e.currency = bank_history.currency AND (e.debit ~ '^bank(:|$)') <> (e.credit ~ '^bank(:|$)')
    GROUP BY 1),
  held AS (
    SELECT d.day, round(coalesce(sum(m.amount), 0), erp_webhook.digits_of(bank_history.currency)) AS amount
    FROM (SELECT today - n FROM generate_series(0, days) n) d (day)
    LEFT JOIN moved m ON m.day <= d.day
    GROUP BY d.day)
  SELECT h.day, true, h.amount, h.amount, h.amount FROM held h ORDER BY h.day
$$;
COMMENT ON FUNCTION erp_webhook.bank_history(int, text, date, int) IS
  'what the ledger had at the bank at the end of each of the last days';

-- The step of the scale: 1, 2 or 5 times a power of ten, at most six of them.
CREATE FUNCTION erp_webhook.chart_step(span numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT min(m * p)
        FROM (VALUES (1), (2), (5), (10)) s (m), (SELECT power(10::numeric, floor(log(greatest(span, 1) / 6)))) t (p)
        WHERE m * p * 6 >= span);
COMMENT ON FUNCTION erp_webhook.chart_step(numeric) IS 'a round distance between the lines of a scale';

-- Where a day and an amount stand: the plot is 920 by 282, with room for the scales on the left and below.
CREATE FUNCTION erp_webhook.chart_x(place bigint, points int) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(104 + 920 * (place - 1)::numeric / greatest(points - 1, 1), 1);
COMMENT ON FUNCTION erp_webhook.chart_x(bigint, int) IS 'from left to right: the place of a day';

CREATE FUNCTION erp_webhook.chart_y(amount numeric, lowest numeric, highest numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(14 + 282 * (highest - amount) / (highest - lowest), 1);
COMMENT ON FUNCTION erp_webhook.chart_y(numeric, numeric, numeric) IS 'from top to bottom: the place of an amount';

CREATE FUNCTION erp_webhook.chart_scale(lowest numeric, highest numeric, step numeric) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(
           format('<line class="%s" x1="104" x2="1024" y1="%s" y2="%s"/><text x="96" y="%s" text-anchor="end">%s</text>',
                  CASE v WHEN 0 THEN 'zero' ELSE 'grid' END, g.y, g.y, g.y + 4,
                  erp_webhook.money_text(round(v))), '' ORDER BY v)
  FROM generate_series(lowest, highest, step) v
  CROSS JOIN LATERAL (SELECT erp_webhook.chart_y(v, lowest, highest)) g (y)
$$;
COMMENT ON FUNCTION erp_webhook.chart_scale(numeric, numeric, numeric) IS 'the lines of the scale with their amounts';

CREATE FUNCTION erp_webhook.chart_dot(x numeric, y numeric, day date, amount numeric, moved numeric, currency text)
RETURNS text
LANGUAGE sql STABLE
RETURN format('<circle class="dot" cx="%s" cy="%s" r="4"><title>%s: %s %s (%s%s)</title></circle>',
  x, y, to_char(day, 'YYYY-MM-DD'), erp_webhook.money_text(amount), erp_webhook.html(currency),
  CASE WHEN moved > 0 THEN '+' ELSE '' END, erp_webhook.money_text(moved));
COMMENT ON FUNCTION erp_webhook.chart_dot(numeric, numeric, date, numeric, numeric, text) IS
  'a day on which something moved; its title says what';

CREATE FUNCTION erp_webhook.chart_day(x numeric, day date, from_today bigint) RETURNS text
LANGUAGE sql STABLE
RETURN format('<text class="%s" x="%s" y="320" text-anchor="middle">%s</text>',
  CASE from_today % 14 WHEN 0 THEN 'day' ELSE 'thin' END, x,
  CASE from_today WHEN 0 THEN 'today' ELSE to_char(day, 'DD Mon') END);
COMMENT ON FUNCTION erp_webhook.chart_day(numeric, date, bigint) IS
  'a day of the scale below; where there is little room, every second is left out';

CREATE FUNCTION erp_webhook.chart_svg(points erp_webhook.chart_point[], currency text, label text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  n int := cardinality(points);
  today int;
  bottom numeric; top numeric; step numeric;
  days text; past text; future text; early text; late text; dots text;
BEGIN
  SELECT least(0, min(p.low), min(p.amount)), greatest(0, max(p.high), max(p.amount)), count(*) FILTER (WHERE p.past)
  INTO bottom, top, today FROM unnest(points) p;
  step := erp_webhook.chart_step(greatest(top - bottom, 1));
  bottom := floor(bottom / step) * step;
  top := greatest(ceil(top / step) * step, bottom + step);

  WITH at AS (
    SELECT p.day, p.amount, p.k, p.k - today AS from_today, erp_webhook.chart_x(p.k, n) AS x,
           erp_webhook.chart_y(p.amount, bottom, top) AS y,
           erp_webhook.chart_y(p.low, bottom, top) AS y_low,
           erp_webhook.chart_y(p.high, bottom, top) AS y_high,
           p.amount - lag(p.amount) OVER (ORDER BY p.k) AS moved
    FROM unnest(points) WITH ORDINALITY p (day, past, amount, low, high, k))
  SELECT string_agg(a.x || ',' || a.y, ' ' ORDER BY a.k) FILTER (WHERE a.from_today <= 0),
         string_agg(a.x || ',' || a.y, ' ' ORDER BY a.k) FILTER (WHERE a.from_today >= 0),
         string_agg(a.x || ',' || a.y_high, ' ' ORDER BY a.k) FILTER (WHERE a.from_today >= 0),
         string_agg(a.x || ',' || a.y_low, ' ' ORDER BY a.k DESC) FILTER (WHERE a.from_today >= 0),
         string_agg(erp_webhook.chart_dot(a.x, a.y, a.day, a.amount, a.moved, currency), ''
                    ORDER BY a.k) FILTER (WHERE a.moved <> 0),
         string_agg(erp_webhook.chart_day(a.x, a.day, a.from_today), '' ORDER BY a.k)
           FILTER (WHERE a.from_today % 7 = 0 AND a.x < 1000)
  INTO past, future, early, late, dots, days FROM at a;

  -- The band goes along the early edge and back along the late one.
  RETURN concat(
    format('<svg viewBox="0 0 1040 330" role="img" aria-label="%s">', erp_webhook.html(label)),
    format('<polygon class="band" points="%s %s"/>', early, late),
    erp_webhook.chart_scale(bottom, top, step), days,
    format('<polyline class="past" points="%s"/>', past),
    format('<polyline class="future" points="%s"/>', future),
    dots, '</svg>');
END
$$;
COMMENT ON FUNCTION erp_webhook.chart_svg(erp_webhook.chart_point[], text, text) IS
  'a line for what was, a dashed one for what is expected, and the band around it';
