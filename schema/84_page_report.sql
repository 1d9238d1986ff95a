-- The page: what needs somebody first, then cash, who owes, how the webhooks do, and who signs.

CREATE FUNCTION erp_webhook.page_section(id text, title text, body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('<section id="%s" aria-labelledby="h-%s"><h2 id="h-%s">%s</h2>%s</section>', id, id, id, erp_webhook.html(title), body);
COMMENT ON FUNCTION erp_webhook.page_section(text, text, text) IS 'a section of the page';

CREATE FUNCTION erp_webhook.page_tile(label text, value text, class text DEFAULT '') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('<div class="tile %s"><dt>%s</dt><dd>%s</dd></div>', class, erp_webhook.html(label), erp_webhook.html(value));
COMMENT ON FUNCTION erp_webhook.page_tile(text, text, text) IS 'one figure to see at a glance';

CREATE FUNCTION erp_webhook.page_reconciliation(company text, from_date date, to_date date) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH r AS MATERIALIZED (SELECT * FROM erp_webhook.reconciliation(company, from_date, to_date) WITH ORDINALITY),
  row_ AS (
    SELECT state NOT IN ('matched', 'expected', 'in_transit') AS open, ordinality,
           jsonb_build_array(state, coalesce(payout_ref, split_part(line_ref, '/', 2)), coalesce(source, account), to_char(value_date, 'YYYY-MM-DD'), currency, provider_says, ledger_says, bank_says, difference,
                             CASE WHEN state = 'matched' THEN NULL ELSE age END, nullif(concat_ws(' · ', counterparty, reference), ''), advice, assigned_to) AS exception,
           jsonb_build_array(state, coalesce(payout_ref, split_part(line_ref, '/', 2)), coalesce(source, account), to_char(value_date, 'YYYY-MM-DD'), to_char(booked_on, 'YYYY-MM-DD'), currency,
                             provider_says, ledger_says, bank_says, difference, nullif(concat_ws('; ', matched_by, advice), '')) AS line
    FROM r),
  sum_ AS (
    SELECT e.itemised, r.value_date, r.ordinality,
           jsonb_build_array(e.payout_ref, e.source, to_char(r.value_date, 'YYYY-MM-DD'), e.currency, e.payments, e.gross, -e.fees, -e.refunds, -e.disputes, e.adjustments, e.payout) AS line
    FROM erp_webhook.asked_days(company, from_date, to_date) a
    CROSS JOIN LATERAL erp_webhook.equations(
      ARRAY(SELECT p FROM erp_webhook.payouts_of_days(a.company_id, a.first_day, a.last_day) p)) e
    JOIN r ON r.item = 'payout' AND r.payout_ref = e.payout_ref AND r.source = e.source AND r.currency = e.currency)
  SELECT format('<dl class="tiles">%s</dl>', coalesce((SELECT string_agg(erp_webhook.page_tile(replace(s.state, '_', ' '), s.n::text, CASE erp_webhook.state_class(s.state) WHEN 'wait' THEN '' ELSE erp_webhook.state_class(s.state) END), ''
           ORDER BY erp_webhook.state_class(s.state), s.state) FROM (SELECT state, count(*) AS n FROM r GROUP BY state) s), erp_webhook.page_tile('payouts and lines', '0')))
    || erp_webhook.page_table('exceptions', 'Needs somebody', '{State,Payout or line,Source or account,Value date,In,Provider,Ledger,Bank,Difference,Days,Who and what for,What to do,With}',
         '{state,ref,ref,date,text,money,money,money,difference,number,long,long,text}', (SELECT jsonb_agg(exception ORDER BY ordinality) FROM row_ WHERE open), 'Nothing: provider, ledger and bank agree wherever all three have spoken.')
    || erp_webhook.page_table('reconciliation', 'Agreed, expected and in transit',
         '{State,Payout or line,Source or account,Value date,Booked on,In,Provider,Ledger,Bank,Difference,Found by and note}',
         '{state,ref,ref,date,date,text,money,money,money,difference,long}', (SELECT jsonb_agg(line ORDER BY ordinality) FROM row_ WHERE NOT open), 'No payout and no bank line in these days.')
    || erp_webhook.page_table('payouts', 'What is in each payout: gross − fees − refunds − disputes ± adjustments', '{Payout,Source,Value date,In,Parts,Gross,Fees,Refunds,Disputes,Adjustments,Payout amount}',
         '{ref,text,date,text,number,money,money,money,money,difference,money}', (SELECT jsonb_agg(line ORDER BY value_date, ordinality) FROM sum_ WHERE itemised), 'No provider says what is in its payouts of these days.')
    || coalesce((SELECT format('<p class="legend">%s payouts are not itemised: their providers do not say which payments are in them.</p>', nullif(count(*) FILTER (WHERE NOT itemised), 0)) FROM sum_ HAVING bool_or(NOT itemised)), '')
$$;
COMMENT ON FUNCTION erp_webhook.page_reconciliation(text, date, date) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_books(company text, company_id int, from_date date, to_date date) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('open-questions', 'Money and events without a place', '{Kind,Source,Payment or object,Invoice,Reason,Amount,Currency,Since,What to do}', '{text,text,ref,ref,text,money,text,date,long}',
      (SELECT jsonb_agg(jsonb_build_array(replace(x.kind, '_', ' '), x.source, coalesce(x.payment_ref, x.object_ref, x.external_id), x.invoice_number, replace(x.reason, '_', ' '), x.amount, x.currency,
                                          to_char(x.since, 'YYYY-MM-DD'), x.advice) ORDER BY x.since, x.external_id, x.object_ref)
       FROM erp_webhook.exceptions x WHERE x.company_id = page_books.company_id), 'Nothing: every fact has found its invoice, payment and customer.')
    || erp_webhook.page_table('clearing', 'With the providers: opening, what came and went, closing', '{Source,Currency,Opening,Captured,Refunds,Disputes,Fees,Conversions,Payouts,Closing}',
      '{text,text,money,money,money,money,money,money,money,money}',
      (SELECT jsonb_agg(jsonb_build_array(c.source, c.currency, c.opening, c.captured, c.refunds, c.disputes, c.fees, c.conversions, c.payouts, c.closing))
       FROM erp_webhook.clearing_rollforward(page_books.company, from_date, to_date) c), 'Nothing has moved at a provider.')
$$;
COMMENT ON FUNCTION erp_webhook.page_books(text, int, date, date) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_cash(company text, company_id int, days int DEFAULT 30) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH today AS MATERIALIZED (SELECT erp_webhook.report_day(page_cash.company_id) AS day),
  place AS MATERIALIZED (SELECT p.* FROM today t CROSS JOIN LATERAL erp_webhook.cash_position(company, t.day::timestamptz) p),
  forecast AS MATERIALIZED (SELECT * FROM erp_webhook.cash_forecast(company, days)),
  chart AS (
    SELECT c.currency, c.first, ARRAY(
        SELECT ROW(h.*)::erp_webhook.chart_point FROM erp_webhook.bank_history(page_cash.company_id, c.currency, t.day, 30) h
        UNION ALL SELECT ROW(f.day, false, f.closing, least(f.closing_low, f.closing_high, f.closing), greatest(f.closing_low, f.closing_high, f.closing))::erp_webhook.chart_point FROM forecast f WHERE f.currency = c.currency
        ORDER BY 1) AS points
    FROM today t CROSS JOIN (SELECT f.currency, f.currency = (SELECT o.currency FROM erp_webhook.company o WHERE o.company_id = page_cash.company_id) AS first FROM forecast f GROUP BY 1
                             ORDER BY 2 DESC, count(*) FILTER (WHERE f.payouts + f.captures + f.invoices + f.planned <> 0) DESC, 1 LIMIT 4) c)
  SELECT format('<dl class="tiles">%s</dl>', coalesce((SELECT string_agg(erp_webhook.page_tile(k.label || ', ' || k.currency, erp_webhook.money_text(k.amount)), '' ORDER BY k.place, k.currency)
      FROM (SELECT p.currency, CASE p.kind WHEN 'bank' THEN 'At the bank' WHEN 'in_transit' THEN 'In transit' WHEN 'clearing' THEN 'With providers' ELSE 'Left the bank, no place yet' END AS label, p.kind AS place, sum(p.balance) AS amount FROM place p GROUP BY 1, 2, 3) k),
      erp_webhook.page_tile('At the bank', '0.00')))
    || coalesce((SELECT string_agg(format('<h3>%s</h3>%s<p class="legend">Solid: what the ledger had at the bank. Dashed: expected. Band: if all that is not sure comes late, or early.</p>', erp_webhook.html(c.currency),
        erp_webhook.chart_svg(c.points, c.currency, format('Money at the bank in %s, the last 30 days and the next %s; the figures are in the tables below', c.currency, days))), '' ORDER BY c.first DESC, c.currency) FROM chart c), '')
    || erp_webhook.page_table('cash-position', 'Where the money is', '{Place,Account,Currency,Ledger,Bank statement,Statement of,Difference}', '{text,text,text,balance,balance,date,money}',
        (SELECT jsonb_agg(jsonb_build_array(replace(p.kind, '_', ' '), p.ledger_account, p.currency, p.balance, p.bank_says, to_char(p.said_on, 'YYYY-MM-DD'), p.difference)) FROM place p), 'No money anywhere yet.')
    || '<p class="legend">Difference: what the bank has and the ledger has not; the next table says why.</p>'
    || erp_webhook.page_table('cash-proof', 'Why the ledger says so', '{Account,Currency,Ledger,Explained,Difference,By}', '{text,text,money,money,difference,long}',
        (SELECT jsonb_agg(jsonb_build_array(f.ledger_account, f.currency, f.ledger, f.explained, f.difference, f.how)) FROM erp_webhook.cash_proof(company) f), 'No money anywhere yet.')
    || erp_webhook.page_table('cash-to-come', format('What is expected within %s days', days), '{Day,Amount,Currency,From,What,Why}', '{date,money,text,text,ref,long}',
        (SELECT jsonb_agg(jsonb_build_array(to_char(i.day, 'YYYY-MM-DD'), i.amount, i.currency, i.source, i.kind || ' ' || i.ref, i.why) ORDER BY i.day, i.currency, i.ref) FROM erp_webhook.forecast_items(company, days) i),
        'Nothing is expected.', 60)
    || format('<details open><summary>The chart in figures</summary>%s</details>', erp_webhook.page_table('cash-forecast', 'Scenario: expected', '{Day,Currency,Opening,Payouts,Captured,Invoices,Planned,Closing,Late,Early}',
        '{date,text,balance,money,money,money,money,balance,balance,balance}',
        (SELECT jsonb_agg(jsonb_build_array(to_char(f.day, 'YYYY-MM-DD'), f.currency, f.opening, f.payouts, f.captures, f.invoices, f.planned, f.closing, f.closing_low, f.closing_high) ORDER BY f.currency, f.day) FROM forecast f),
        'No forecast.'))
    || erp_webhook.page_table('forecast-kept', 'What was forecast for today, and what came', '{Made on,Days ahead,Scenario,Currency,Forecast,At the bank,Difference}', '{date,number,text,text,money,money,difference}',
        (SELECT jsonb_agg(jsonb_build_array(to_char(k.made_on, 'YYYY-MM-DD'), k.days_ahead, k.scenario, k.currency, k.forecast, k.actual, k.difference)) FROM erp_webhook.forecast_against_actual(company) k),
        'No forecast for today was kept: keep_forecast(), once a day, keeps one.')
$$;
COMMENT ON FUNCTION erp_webhook.page_cash(text, int, int) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_receivables(company text, at timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH a AS MATERIALIZED (SELECT * FROM erp_webhook.receivables_aging(company, at)),
  p AS MATERIALIZED (SELECT * FROM erp_webhook.receivables_proof(company, at))
  SELECT format('<dl class="tiles">%s</dl>', coalesce((SELECT string_agg(erp_webhook.page_tile('Not due, ' || s.currency, erp_webhook.money_text(s.not_due)) || erp_webhook.page_tile('Over due, ' || s.currency, erp_webhook.money_text(s.late), CASE WHEN s.late > 0 THEN 'bad' ELSE 'good' END)
        || coalesce(erp_webhook.page_tile('Days sales outstanding, ' || s.currency, s.dso::text), ''), '' ORDER BY s.currency)
      FROM (SELECT a.currency, sum(a.not_due) AS not_due, sum(a.due - a.not_due) AS late, (SELECT p.days_sales_outstanding FROM p WHERE p.currency = a.currency) AS dso FROM a GROUP BY 1) s), ''))
    || erp_webhook.page_table('ageing-total', 'By days after the due date', '{Currency,Customers,Not due,1–30,31–60,61–90,Over 90,Due,Disputed,Credit,Balance}',
        '{text,number,money,money,money,money,money,money,money,money,money}',
        (SELECT jsonb_agg(jsonb_build_array(t.currency, t.customers, t.not_due, t.to_30, t.to_60, t.to_90, t.beyond, t.due, t.disputed, t.credit, t.balance) ORDER BY t.currency)
         FROM (SELECT a.currency, count(*) AS customers, sum(a.not_due) AS not_due, sum(a.days_1_30) AS to_30, sum(a.days_31_60) AS to_60, sum(a.days_61_90) AS to_90, sum(a.over_90) AS beyond,
                      sum(a.due) AS due, sum(a.disputed) AS disputed, sum(a.credit) AS credit, sum(a.balance) AS balance FROM a GROUP BY a.currency) t), '')
    || erp_webhook.page_table('ageing', 'By customer and days after the due date', '{Account,Customer,Currency,Not due,1–30,31–60,61–90,Over 90,Due,Disputed,Credit,Balance,Likely duplicates}',
        '{text,ref,text,money,money,money,money,money,money,money,money,money,number}',
        (SELECT jsonb_agg(jsonb_build_array(a.account_no, a.name, a.currency, a.not_due, a.days_1_30, a.days_31_60, a.days_61_90, a.over_90, a.due, a.disputed, a.credit, a.balance, nullif(a.duplicates, 0))
                          ORDER BY a.currency, a.balance DESC, a.account_no) FROM a), 'Nobody owes anything.')
    || coalesce((SELECT string_agg(format('<p class="proof%s">%s: ageing %s + credit %s + nobody''s %s = %s; receivable in the ledger %s%s</p>', CASE p.difference WHEN 0 THEN '' ELSE ' broken' END, p.currency,
        erp_webhook.money_text(p.ageing), erp_webhook.money_text(p.credit), erp_webhook.money_text(p.nobodys), erp_webhook.money_text(p.ageing + p.credit + p.nobodys), erp_webhook.money_text(p.ledger_receivable),
        CASE p.difference WHEN 0 THEN ': proven.' ELSE format(': a difference of %s, which is an error of ours.', erp_webhook.money_text(p.difference)) END), '' ORDER BY p.currency) FROM p), '')
$$;
COMMENT ON FUNCTION erp_webhook.page_receivables(text, timestamptz) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_health(company text, from_date date, to_date date) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
  SELECT erp_webhook.page_table('webhooks', 'Events received in the period, by source', '{Source,Provider,Events,Settled,No effect,Waiting,Quarantined,Failed,Usual delay,Slowest 5%,Found by pulling,Duplicates,Rejected,Last event}',
    '{text,text,number,number,number,number,number,number,text,text,number,number,number,text}',
    (SELECT jsonb_agg(jsonb_build_array(h.source, h.provider, h.events, h.applied, h.no_effect, h.waiting, h.quarantined, h.failed, date_trunc('second', h.delay_median)::text, date_trunc('second', h.delay_p95)::text,
                                        h.found_by_pulling, h.duplicates, h.rejected, to_char(h.last_event, 'YYYY-MM-DD HH24:MI')) ORDER BY h.source) FROM erp_webhook.webhook_health(company, from_date, to_date) h),
    'No source yet.') || '<p class="legend">Delay: from when it happened to when it was settled. Duplicates and rejected requests are counted since the server started.</p>'
$$;
COMMENT ON FUNCTION erp_webhook.page_health(text, date, date) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_signature(prepared_by text, reviewed_by text, moment timestamptz) RETURNS text
LANGUAGE sql STABLE
RETURN format('<p>Made at %s from one snapshot of the books, %s, on server %s.</p><div class="sign"><div>%s<span>Prepared by, date</span></div><div>%s<span>Reviewed by, date</span></div></div>',
  to_char(moment, 'YYYY-MM-DD HH24:MI:SS TZ'), erp_webhook.html(pg_current_snapshot()::text), erp_webhook.html(current_setting('cluster_name') || ' ' || current_setting('server_version')), erp_webhook.html(prepared_by), erp_webhook.html(reviewed_by));
COMMENT ON FUNCTION erp_webhook.page_signature(text, text, timestamptz) IS 'the block to sign';

CREATE FUNCTION erp_webhook.report_html(company text DEFAULT 'default', from_date date DEFAULT NULL, to_date date DEFAULT NULL, prepared_by text DEFAULT NULL, reviewed_by text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
  id int := erp_webhook.company_named(company);
  today date := erp_webhook.report_day(id);
  first_day date := coalesce(from_date, date_trunc('month', coalesce(to_date, today))::date);
  last_day date := coalesce(to_date, (date_trunc('month', coalesce(from_date, today)) + interval '1 month')::date - 1);
  title text := format('%s: reconciliation and cash', company);
BEGIN
  RETURN concat(
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; img-src data:; style-src ''unsafe-inline''; base-uri ''none''; form-action ''none''">',
    '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,"><title>', erp_webhook.html(title), '</title><style>', erp_webhook.page_style(), '</style></head><body>',
    '<a class="skip" href="#reconciliation">To the reconciliation</a><header><h1>', erp_webhook.html(title), '</h1><p class="sub">',
    format('%s to %s, as known on %s', to_char(first_day, 'YYYY-MM-DD'), to_char(last_day, 'YYYY-MM-DD'), to_char(today, 'YYYY-MM-DD')),
    '</p><nav aria-label="Sections"><ul><li><a href="#reconciliation">Reconciliation</a></li><li><a href="#books">Open questions</a></li><li><a href="#cash">Cash</a></li>',
    '<li><a href="#receivables">Receivables</a></li><li><a href="#webhooks">Webhooks</a></li><li><a href="#signed">Signed off</a></li></ul></nav></header><main>',
    erp_webhook.page_section('reconciliation', 'Provider, ledger and bank', erp_webhook.page_reconciliation(company, first_day, last_day)),
    erp_webhook.page_section('books', 'Open questions, and the clearing accounts', erp_webhook.page_books(company, id, first_day, last_day)),
    erp_webhook.page_section('cash', 'Cash, and cash to come', erp_webhook.page_cash(company, id)),
    erp_webhook.page_section('receivables', format('Who owes what on %s', to_char(least(last_day, today), 'YYYY-MM-DD')), erp_webhook.page_receivables(company, least(last_day, today)::timestamptz)),
    erp_webhook.page_section('webhooks', 'How the webhooks are doing', erp_webhook.page_health(company, first_day, last_day)),
    erp_webhook.page_section('signed', 'Signed off', erp_webhook.page_signature(prepared_by, reviewed_by, erp_webhook.report_now())),
    '</main><footer><p>Amounts are exact decimals in the currency beside them. Every table is also there as CSV.</p></footer></body></html>');
END
$$;
COMMENT ON FUNCTION erp_webhook.report_html(text, date, date, text, text) IS
  'one self-contained page (no script, no outside resource) to read, print and sign: reconciliation with its exceptions on top, cash and forecast, ageing, webhook health; default: this month. psql -XAtc "SELECT erp_webhook.report_html()" > report.html';
