-- The page: what needs somebody first, then cash, who owes, how the webhooks do, and who signs.

CREATE FUNCTION erp_webhook.page_section(id text, title text, body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('<section id="%s" aria-labelledby="h-%s"><h2 id="h-%s">%s</h2>%s</section>',
              id, id, id, erp_webhook.html(title), body);
COMMENT ON FUNCTION erp_webhook.page_section(text, text, text) IS 'a section of the page';

CREATE FUNCTION erp_webhook.page_tile(label text, value text, class text DEFAULT '') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('<div class="tile %s"><dt>%s</dt><dd>%s</dd></div>', class, erp_webhook.html(label), erp_webhook.html(value));
COMMENT ON FUNCTION erp_webhook.page_tile(text, text, text) IS 'one figure to see at a glance';

CREATE FUNCTION erp_webhook.day_text(day date) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(day, 'YYYY-MM-DD');
COMMENT ON FUNCTION erp_webhook.day_text(date) IS 'a day as the page writes it';

CREATE FUNCTION erp_webhook.page_states(rows erp_webhook.reconciled[]) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(string_agg(erp_webhook.page_tile(replace(s.state, '_', ' '), s.n::text, replace(s.class, 'wait', '')), ''
                             ORDER BY s.class, s.state),
                  erp_webhook.page_tile('payouts and lines', '0'))
  FROM (SELECT r.state, erp_webhook.state_class(r.state) AS class, count(*) AS n FROM unnest(rows) r GROUP BY r.state) s
$$;
COMMENT ON FUNCTION erp_webhook.page_states(erp_webhook.reconciled[]) IS
  'how many rows of the reconciliation have which state';

CREATE FUNCTION erp_webhook.page_exceptions(rows erp_webhook.reconciled[]) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('exceptions', 'Needs somebody',
    '{State,Payout or line,Source or account,Value date,In,Provider,Ledger,Bank,Difference,Days,Who and what for,What to do,With}',
    '{state,ref,ref,date,text,money,money,money,difference,number,long,long,text}',
    (SELECT jsonb_agg(jsonb_build_array(
              r.state, coalesce(r.payout_ref, split_part(r.line_ref, '/', 2)), coalesce(r.source, r.account),
              erp_webhook.day_text(r.value_date), r.currency, r.provider_says, r.ledger_says, r.bank_says, r.difference,
              r.age,
              nullif(concat_ws(' · ', r.counterparty, r.reference), ''), r.advice, r.assigned_to) ORDER BY n)
     FROM (SELECT r.*, row_number() OVER () AS n FROM unnest(rows) r) r
     WHERE erp_webhook.state_class(r.state) = 'bad'),
    'Nothing: provider, ledger and bank agree wherever all three have spoken.')
$$;
COMMENT ON FUNCTION erp_webhook.page_exceptions(erp_webhook.reconciled[]) IS 'the table of what needs somebody';

CREATE FUNCTION erp_webhook.page_agreed(rows erp_webhook.reconciled[]) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('reconciliation', 'Agreed, expected and in transit',
    '{State,Payout or line,Source or account,Value date,Booked on,In,Provider,Ledger,Bank,Difference,Found by and note}',
    '{state,ref,ref,date,date,text,money,money,money,difference,long}',
    (SELECT jsonb_agg(jsonb_build_array(
              r.state, coalesce(r.payout_ref, split_part(r.line_ref, '/', 2)), coalesce(r.source, r.account),
              erp_webhook.day_text(r.value_date), erp_webhook.day_text(r.booked_on), r.currency,
              r.provider_says, r.ledger_says, r.bank_says, r.difference,
              nullif(concat_ws('; ', r.matched_by, r.advice), '')) ORDER BY n)
     FROM (SELECT r.*, row_number() OVER () AS n FROM unnest(rows) r) r
     WHERE erp_webhook.state_class(r.state) <> 'bad'),
    'No payout and no bank line in these days.')
$$;
COMMENT ON FUNCTION erp_webhook.page_agreed(erp_webhook.reconciled[]) IS 'the table of what agrees, or is not due yet';

CREATE FUNCTION erp_webhook.page_equations(rows erp_webhook.reconciled[], payouts erp_webhook.bank_item[]) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH equation AS MATERIALIZED (
    SELECT e.itemised, r.value_date, e.source, e.payout_ref, e.currency,
           jsonb_build_array(e.payout_ref, e.source, erp_webhook.day_text(r.value_date), e.currency, e.payments,
                             e.gross, -e.fees, -e.refunds, -e.disputes, e.adjustments, e.payout) AS cells
    FROM erp_webhook.equations(payouts) e
    JOIN unnest(rows) r
      ON r.item = 'payout' AND r.payout_ref = e.payout_ref AND r.source = e.source AND r.currency = e.currency)
  SELECT erp_webhook.page_table('payouts', 'What is in each payout: gross − fees − refunds − disputes ± adjustments',
      '{Payout,Source,Value date,In,Parts,Gross,Fees,Refunds,Disputes,Adjustments,Payout amount}',
      '{ref,text,date,text,number,money,money,money,money,difference,money}',
      (SELECT jsonb_agg(e.cells ORDER BY e.value_date, e.source COLLATE "C", e.payout_ref COLLATE "C", e.currency)
       FROM equation e WHERE e.itemised),
      'No provider says what is in its payouts of these days.')
    || coalesce(
      (SELECT format('<p class="legend">%s payouts are not itemised: their providers do not say which payments are in them.</p>',
                     count(*))
       FROM equation e WHERE NOT e.itemised HAVING count(*) > 0), '')
$$;
COMMENT ON FUNCTION erp_webhook.page_equations(erp_webhook.reconciled[], erp_webhook.bank_item[]) IS
  'the table of payout equations';

CREATE FUNCTION erp_webhook.page_reconciliation(company text, from_date date, to_date date) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id int := erp_webhook.company_named(company);
  rows erp_webhook.reconciled[] := ARRAY(SELECT r FROM erp_webhook.reconciliation(company, from_date, to_date) r);
  payouts erp_webhook.bank_item[] := ARRAY(SELECT p FROM erp_webhook.payouts_of_days(id, from_date, to_date) p);
BEGIN
  RETURN format('<dl class="tiles">%s</dl>', erp_webhook.page_states(rows))
    || erp_webhook.page_exceptions(rows)
    || erp_webhook.page_agreed(rows)
    || erp_webhook.page_equations(rows, payouts);
END
$$;
COMMENT ON FUNCTION erp_webhook.page_reconciliation(text, date, date) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_books(company text, company_id int, from_date date, to_date date) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.page_table('open-questions', 'Money and events without a place',
      '{Kind,Source,Payment or object,Invoice,Reason,Amount,Currency,Since,What to do}',
      '{text,text,ref,ref,text,money,text,date,long}',
      (SELECT jsonb_agg(jsonb_build_array(
                replace(x.kind, '_', ' '), x.source, coalesce(x.payment_ref, x.object_ref, x.external_id), x.invoice_number,
                replace(x.reason, '_', ' '),
                round(x.amount, greatest(erp_webhook.digits_of(x.currency), min_scale(x.amount))),
                x.currency, erp_webhook.day_text(erp_webhook.day_of(x.company_id, x.since)), x.advice)
              ORDER BY x.since, x.external_id, x.object_ref)
       FROM erp_webhook.exceptions x WHERE x.company_id = page_books.company_id),
      'Nothing: every fact has found its invoice, payment and customer.')
    || erp_webhook.page_table('clearing', 'With the providers: opening, what came and went, closing',
      '{Source,Currency,Opening,Captured,Refunds,Disputes,Fees,Conversions,Payouts,Closing}',
      '{text,text,money,money,money,money,money,money,money,money}',
      (SELECT jsonb_agg(jsonb_build_array(c.source, c.currency, c.opening, c.captured, c.refunds, c.disputes, c.fees,
                                          c.conversions, c.payouts, c.closing))
       FROM erp_webhook.clearing_rollforward(page_books.company, from_date, to_date) c),
      'Nothing has moved at a provider.')
$$;
COMMENT ON FUNCTION erp_webhook.page_books(text, int, date, date) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_proof(company text, at timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(string_agg(
    format('<p class="proof%s">%s: ageing %s + credit %s + nobody''s %s = %s; receivable in the ledger %s%s</p>',
      CASE p.difference WHEN 0 THEN '' ELSE ' broken' END, erp_webhook.html(p.currency),
      erp_webhook.money_text(p.ageing), erp_webhook.money_text(p.credit), erp_webhook.money_text(p.nobodys),
      erp_webhook.money_text(p.ageing + p.credit + p.nobodys), erp_webhook.money_text(p.ledger_receivable),
      CASE p.difference WHEN 0 THEN ': proven.'
                        ELSE format(': a difference of %s, which is an error of ours.',
                                    erp_webhook.money_text(p.difference)) END),
    '' ORDER BY p.currency), '')
  FROM erp_webhook.receivables_proof(company, at) p
$$;
COMMENT ON FUNCTION erp_webhook.page_proof(text, timestamptz) IS 'the line that proves the ageing';

CREATE FUNCTION erp_webhook.page_receivables(company text, at timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH customer AS MATERIALIZED (SELECT * FROM erp_webhook.receivables_aging(company, at)),
  total AS (
    SELECT c.currency, count(*) AS customers, sum(c.not_due) AS not_due, sum(c.days_1_30) AS days_1_30,
           sum(c.days_31_60) AS days_31_60, sum(c.days_61_90) AS days_61_90, sum(c.over_90) AS over_90, sum(c.due) AS due,
           sum(c.disputed) AS disputed, sum(c.credit) AS credit, sum(c.balance) AS balance
    FROM customer c GROUP BY c.currency),
  tiles AS (
    SELECT string_agg(concat(
             erp_webhook.page_tile('Not due, ' || t.currency, erp_webhook.money_text(t.not_due)),
             erp_webhook.page_tile('Over due, ' || t.currency, erp_webhook.money_text(t.due - t.not_due),
                                   CASE WHEN t.due > t.not_due THEN 'bad' ELSE 'good' END),
             erp_webhook.page_tile('Days sales outstanding, ' || t.currency, p.days_sales_outstanding::text)), ''
           ORDER BY t.currency) AS html
    FROM total t LEFT JOIN erp_webhook.receivables_proof(company, at) p USING (currency))
  SELECT format('<dl class="tiles">%s</dl>', (SELECT t.html FROM tiles t))
    || erp_webhook.page_table('ageing-total', 'By days after the due date',
      '{Currency,Customers,Not due,1–30,31–60,61–90,Over 90,Due,Disputed,Credit,Balance}',
      '{text,number,money,money,money,money,money,money,money,money,money}',
      (SELECT jsonb_agg(jsonb_build_array(t.currency, t.customers, t.not_due, t.days_1_30, t.days_31_60, t.days_61_90,
                                          t.over_90, t.due, t.disputed, t.credit, t.balance) ORDER BY t.currency)
       FROM total t), '')
    || erp_webhook.page_table('ageing', 'By customer and days after the due date',
      '{Account,Customer,Currency,Not due,1–30,31–60,61–90,Over 90,Due,Disputed,Credit,Balance,Likely duplicates}',
      '{text,ref,text,money,money,money,money,money,money,money,money,money,number}',
      (SELECT jsonb_agg(jsonb_build_array(c.account_no, c.name, c.currency, c.not_due, c.days_1_30, c.days_31_60,
                                          c.days_61_90,
                                          c.over_90, c.due, c.disputed, c.credit, c.balance, nullif(c.duplicates, 0))
                        ORDER BY c.currency, c.balance DESC, c.account_no)
       FROM customer c), 'Nobody owes anything.')
    || erp_webhook.page_proof(company, at)
$$;
COMMENT ON FUNCTION erp_webhook.page_receivables(text, timestamptz) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_health(company text, from_date date, to_date date, zone text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
  SELECT erp_webhook.page_table('webhooks', 'Events received in the period, by source',
      '{Source,Provider,Events,Settled,No effect,Waiting,Quarantined,Failed,Usual delay,Slowest 5%,Found by pulling,Duplicates,'
      'Rejected,Last event}',
      '{text,text,number,number,number,number,number,number,text,text,number,number,number,text}',
      (SELECT jsonb_agg(jsonb_build_array(
                h.source, h.provider, h.events, h.applied, h.no_effect, h.waiting, h.quarantined, h.failed,
                date_trunc('second', h.delay_median)::text, date_trunc('second', h.delay_p95)::text,
                h.found_by_pulling, h.duplicates, h.rejected,
                to_char(h.last_event AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI')) ORDER BY h.source)
       FROM erp_webhook.webhook_health(company, from_date, to_date) h),
      'No source yet.')
    || '<p class="legend">Delay: from when it happened to when it was settled. '
       'Duplicates and rejected requests are counted since the server started.</p>'
$$;
COMMENT ON FUNCTION erp_webhook.page_health(text, date, date, text) IS 'section of the page';

CREATE FUNCTION erp_webhook.page_signature(prepared_by text, reviewed_by text, moment timestamptz, zone text) RETURNS text
LANGUAGE sql STABLE
RETURN format('<p>Made at %s %s from one snapshot of the books, %s, on server %s.</p><div class="sign">'
              '<div>%s<span>Prepared by, date</span></div><div>%s<span>Reviewed by, date</span></div></div>',
  to_char(moment AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI:SS'), erp_webhook.html(zone),
  erp_webhook.html(pg_current_snapshot()::text),
  erp_webhook.html(current_setting('cluster_name') || ' ' || current_setting('server_version')),
  erp_webhook.html(prepared_by), erp_webhook.html(reviewed_by));
COMMENT ON FUNCTION erp_webhook.page_signature(text, text, timestamptz, text) IS 'the block to sign';

CREATE FUNCTION erp_webhook.page_head(title text, days text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN concat(
  '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
  '<meta name="viewport" content="width=device-width,initial-scale=1">'
  '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; img-src data:; style-src ''unsafe-inline''; '
  'base-uri ''none''; form-action ''none''">'
  '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,"><title>', erp_webhook.html(title),
  '</title><style>', erp_webhook.page_style(), '</style></head><body>'
  '<a class="skip" href="#reconciliation">To the reconciliation</a><header><h1>', erp_webhook.html(title),
  '</h1><p class="sub">', erp_webhook.html(days), '</p><nav aria-label="Sections"><ul>'
  '<li><a href="#reconciliation">Reconciliation</a></li><li><a href="#books">Open questions</a></li>'
  '<li><a href="#cash">Cash</a></li><li><a href="#receivables">Receivables</a></li>'
  '<li><a href="#webhooks">Webhooks</a></li><li><a href="#signed">Signed off</a></li></ul></nav></header>');
COMMENT ON FUNCTION erp_webhook.page_head(text, text) IS 'the page up to its sections';

CREATE FUNCTION erp_webhook.report_html(
  company text DEFAULT 'default', from_date date DEFAULT NULL, to_date date DEFAULT NULL,
  prepared_by text DEFAULT NULL, reviewed_by text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
  asked record := erp_webhook.asked_days(company, from_date, to_date);
  id int := asked.company_id;
  first_day date := asked.first_day;
  last_day date := asked.last_day;
  owed_on date := least(asked.last_day, asked.today);
  zone text := erp_webhook.company_zone(id);
BEGIN
  RETURN concat(
    erp_webhook.page_head(
      format('%s: reconciliation and cash', company),
      format('%s to %s, as known on %s',
             erp_webhook.day_text(first_day), erp_webhook.day_text(last_day), erp_webhook.day_text(asked.today))),
    '<main>',
    erp_webhook.page_section('reconciliation', 'Provider, ledger and bank',
      erp_webhook.page_reconciliation(company, first_day, last_day)),
    erp_webhook.page_section('books', 'Open questions, and the clearing accounts',
      erp_webhook.page_books(company, id, first_day, last_day)),
    erp_webhook.page_section('cash', 'Cash, and cash to come',
      erp_webhook.page_cash(company, id)),
    erp_webhook.page_section('receivables', format('Who owes what on %s', erp_webhook.day_text(owed_on)),
      erp_webhook.page_receivables(company, owed_on::timestamptz)),
    erp_webhook.page_section('webhooks', 'How the webhooks are doing',
      erp_webhook.page_health(company, first_day, last_day, zone)),
    erp_webhook.page_section('signed', 'Signed off',
      erp_webhook.page_signature(prepared_by, reviewed_by, erp_webhook.report_now(), zone)),
    '</main><footer><p>Amounts are exact decimals in the currency beside them. '
    'Every table is also there as CSV.</p></footer></body></html>');
END
$$;
COMMENT ON FUNCTION erp_webhook.report_html(text, date, date, text, text) IS
  'one self-contained page (no script, no outside resource) to read, print and sign: reconciliation with its exceptions on top, '
  'cash and forecast, ageing, webhook health; default: this month. '
  'psql -XAtc "SELECT erp_webhook.report_html()" > report.html';
