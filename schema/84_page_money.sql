-- The page's section on cash: tiles, chart, where the money is and why, what is expected.

CREATE FUNCTION erp_webhook.page_cash_tiles(company text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH place AS (
    SELECT p.kind, p.currency, sum(p.balance) AS amount
    FROM erp_webhook.cash_position(company) p GROUP BY p.kind, p.currency)
  SELECT coalesce(
    string_agg(erp_webhook.page_tile(k.label || ', ' || p.currency, erp_webhook.money_text(p.amount)), ''
               ORDER BY p.kind, p.currency),
    erp_webhook.page_tile('At the bank', '0'))
  FROM place p
  JOIN (VALUES ('bank', 'At the bank'), ('in_transit', 'In transit'), ('clearing', 'With providers'),
               ('unassigned', 'Left the bank, no place yet')) k (kind, label) USING (kind)
$$;
COMMENT ON FUNCTION erp_webhook.page_cash_tiles(text) IS 'how much money is where, at a glance';

CREATE FUNCTION erp_webhook.page_places(company text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('cash-position', 'Where the money is',
      '{Place,Account,Currency,Ledger,Bank statement,Statement of,Difference}',
      '{text,text,text,balance,balance,date,money}',
      (SELECT jsonb_agg(jsonb_build_array(replace(p.kind, '_', ' '), p.ledger_account, p.currency, p.balance, p.bank_says,
                                          erp_webhook.day_text(p.said_on), p.difference))
       FROM erp_webhook.cash_position(company) p),
      'No money anywhere yet.')
    || '<p class="legend">Difference: what the bank has and the ledger has not; the next table says why.</p>'
    || erp_webhook.page_table('cash-proof', 'Why the ledger says so',
      '{Account,Currency,Ledger,Explained,Difference,By}', '{text,text,money,money,difference,long}',
      (SELECT jsonb_agg(jsonb_build_array(f.ledger_account, f.currency, f.ledger, f.explained, f.difference, f.how))
       FROM erp_webhook.cash_proof(company) f),
      'No money anywhere yet.')
$$;
COMMENT ON FUNCTION erp_webhook.page_places(text) IS 'the tables of where money is, and why the ledger says so';

CREATE FUNCTION erp_webhook.page_expected(company text, days int) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('cash-to-come', format('What is expected within %s days', days),
      '{Day,Amount,Currency,From,What,Why}', '{date,money,text,text,ref,long}',
      (SELECT jsonb_agg(jsonb_build_array(erp_webhook.day_text(i.day), i.amount, i.currency, i.source,
                                          i.kind || ' ' || i.ref, i.why)
                        ORDER BY i.day, i.currency, i.ref)
       FROM erp_webhook.forecast_items(company, days) i),
      'Nothing is expected.', 60)
$$;
COMMENT ON FUNCTION erp_webhook.page_expected(text, int) IS 'the table of expected items';

CREATE FUNCTION erp_webhook.page_kept_forecast(company text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('forecast-kept', 'What was forecast for today, and what came',
      '{Made on,Days ahead,Scenario,Currency,Forecast,At the bank,Difference}',
      '{date,number,text,text,money,money,difference}',
      (SELECT jsonb_agg(jsonb_build_array(erp_webhook.day_text(k.made_on), k.days_ahead, k.scenario, k.currency,
                                          k.forecast, k.actual, k.difference))
       FROM erp_webhook.forecast_against_actual(company) k),
      'No forecast for today was kept: keep_forecast(), once a day, keeps one.')
$$;
COMMENT ON FUNCTION erp_webhook.page_kept_forecast(text) IS 'the table of what was forecast for today';

CREATE FUNCTION erp_webhook.page_chart(points erp_webhook.chart_point[], currency text, days int) RETURNS text
LANGUAGE sql STABLE
RETURN format(
  '<h3>%s</h3>%s<p class="legend">Solid: what the ledger had at the bank. Dashed: expected. '
  'Band: if all that is not sure comes late, or early.</p>',
  erp_webhook.html(currency),
  erp_webhook.chart_svg(points, currency, format(
    'Money at the bank in %s, the last 30 days and the next %s; the figures are in the tables below', currency, days)));
COMMENT ON FUNCTION erp_webhook.page_chart(erp_webhook.chart_point[], text, int) IS 'a chart with its heading and legend';

-- Charts for at most four currencies: the company's own first, then those in which most days bring something.
CREATE FUNCTION erp_webhook.page_cash(company text, company_id int, days int DEFAULT 30) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH forecast AS MATERIALIZED (SELECT * FROM erp_webhook.cash_forecast(company, days)),
  charted AS (
    SELECT f.currency, f.currency = o.currency AS own
    FROM forecast f JOIN erp_webhook.company o ON o.company_id = page_cash.company_id
    GROUP BY f.currency, o.currency
    ORDER BY 2 DESC, count(*) FILTER (WHERE f.payouts + f.captures + f.invoices + f.planned <> 0) DESC, f.currency LIMIT 4),
  point AS (
    SELECT c.currency, h.day, h.past, h.amount, h.low, h.high
    FROM charted c
    CROSS JOIN LATERAL erp_webhook.bank_history(page_cash.company_id, c.currency,
                                                erp_webhook.report_day(page_cash.company_id), 30) h
    UNION ALL
    SELECT f.currency, f.day, false, f.closing,
           least(f.closing_low, f.closing_high, f.closing), greatest(f.closing_low, f.closing_high, f.closing)
    FROM forecast f JOIN charted c USING (currency)),
  chart AS (
    SELECT c.own, c.currency,
           array_agg(ROW(p.day, p.past, p.amount, p.low, p.high)::erp_webhook.chart_point ORDER BY p.day) AS points
    FROM charted c JOIN point p USING (currency) GROUP BY c.own, c.currency)
  SELECT format('<dl class="tiles">%s</dl>', erp_webhook.page_cash_tiles(company))
    || coalesce((SELECT string_agg(erp_webhook.page_chart(c.points, c.currency, days), '' ORDER BY c.own DESC, c.currency)
                 FROM chart c), '')
    || erp_webhook.page_places(company)
    || erp_webhook.page_expected(company, days)
    || format('<details open><summary>The chart in figures</summary>%s</details>',
         erp_webhook.page_table('cash-forecast', 'Scenario: expected',
           '{Day,Currency,Opening,Payouts,Captured,Invoices,Planned,Closing,Late,Early}',
           '{date,text,balance,money,money,money,money,balance,balance,balance}',
           (SELECT jsonb_agg(jsonb_build_array(erp_webhook.day_text(f.day), f.currency, f.opening, f.payouts, f.captures,
                                               f.invoices,
                                               f.planned, f.closing, f.closing_low,
                                               f.closing_high) ORDER BY f.currency, f.day)
            FROM forecast f),
           'No forecast.'))
    || erp_webhook.page_kept_forecast(company)
$$;
COMMENT ON FUNCTION erp_webhook.page_cash(text, int, int) IS 'section of the page';
