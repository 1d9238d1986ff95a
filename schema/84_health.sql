-- How the webhooks themselves are doing, and what one event did.

-- An event is settled in the transaction that receives it; one that failed at first, when its first voucher was posted.
CREATE FUNCTION erp_webhook.posted_for(e erp_webhook.event) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN coalesce(
  (SELECT min(v.posted_at) FROM erp_webhook.voucher v
   WHERE v.company_id = (e).company_id AND v.source_id = (e).source_id
     AND v.object_ref IN ((e).object_ref, (e).payment_ref, (e).payout_ref)
     AND v.object IN ('payment', 'refund', 'refund_total', 'withdrawn', 'reinstated', 'payout', 'bank', 'conversion')
     AND v.event_id = (e).event_id),
  (e).received_at);
COMMENT ON FUNCTION erp_webhook.posted_for(erp_webhook.event) IS
  'when an event that was retried reached the ledger (where it moved nothing: when it was received)';

CREATE FUNCTION erp_webhook.webhook_health(company text DEFAULT 'default', from_date date DEFAULT NULL,
                                           to_date date DEFAULT NULL)
RETURNS TABLE (source text, provider text, events bigint, applied bigint, no_effect bigint, waiting bigint,
               quarantined bigint, failed bigint,
               delay_median interval, delay_p95 interval, delay_max interval, duplicates bigint, rejected bigint,
               found_by_pulling bigint, last_event timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (
    SELECT c.id,
           coalesce(from_date, coalesce(to_date, c.today) - 6)::timestamp
             AT TIME ZONE erp_webhook.company_zone(c.id) AS first_moment,
           (coalesce(to_date, c.today) + 1)::timestamp AT TIME ZONE erp_webhook.company_zone(c.id) AS end_moment
    FROM (SELECT n.id, erp_webhook.report_day(n.id) FROM (SELECT erp_webhook.company_named(company)) n (id)) c (id, today)),
  seen AS (
    SELECT e.source_id, count(*) AS events, count(*) FILTER (WHERE e.state = 'applied') AS applied,
           count(*) FILTER (WHERE e.state = 'no_effect') AS no_effect,
           count(*) FILTER (WHERE e.state = 'waiting') AS waiting,
           count(*) FILTER (WHERE e.state = 'quarantined') AS quarantined,
           count(*) FILTER (WHERE e.state = 'failed') AS failed,
           count(*) FILTER (WHERE e.origin IN ('pull', 'fetch')) AS pulled, max(e.received_at) AS last_event,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY d.delay) AS median,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY d.delay) AS p95, max(d.delay) AS longest
    FROM asked a
    JOIN erp_webhook.event e ON e.company_id = a.id AND e.received_at >= a.first_moment AND e.received_at < a.end_moment
    CROSS JOIN LATERAL (SELECT CASE WHEN e.state = 'applied' AND e.attempts > 0 THEN erp_webhook.posted_for(e)
                                    WHEN e.state IN ('applied', 'no_effect') THEN e.received_at END) t (settled_at)
    CROSS JOIN LATERAL (SELECT CASE WHEN e.occurred_at <= t.settled_at THEN t.settled_at - e.occurred_at END) d (delay)
    WHERE e.source_id <> 0 GROUP BY e.source_id),
  counted AS (
    SELECT t.source, sum(t.n) FILTER (WHERE t.outcome = 'duplicate') AS duplicates,
           sum(t.n) FILTER (WHERE t.outcome IN ('rejected', 'malformed')) AS rejected
    FROM asked a JOIN erp_webhook.stats t ON t.company_id = a.id WHERE t.scope = 'server' GROUP BY t.source)
  SELECT s.name, s.provider, coalesce(n.events, 0), coalesce(n.applied, 0), coalesce(n.no_effect, 0),
         coalesce(n.waiting, 0), coalesce(n.quarantined, 0), coalesce(n.failed, 0),
         n.median, n.p95, n.longest, coalesce(c.duplicates, 0)::bigint, coalesce(c.rejected, 0)::bigint,
         coalesce(n.pulled, 0), n.last_event
  FROM asked a
  JOIN erp_webhook.source s ON s.company_id = a.id AND s.source_id <> 0
  LEFT JOIN seen n ON n.source_id = s.source_id
  LEFT JOIN counted c ON c.source = s.name
  ORDER BY s.name COLLATE "C"
$$;
COMMENT ON FUNCTION erp_webhook.webhook_health(text, date, date) IS
  'per source, for events received on the days (default: the last seven): states, delay from occurrence to settlement '
  '(an event is settled when it is received; a retried one when it was booked), found only by pulling; duplicates and '
  'rejected requests are counted since the server started';

-- What was made or changed because of one event: the rows that name it, and those of the objects it speaks of.
CREATE FUNCTION erp_webhook.what_changed(company text, event_id bigint)
RETURNS TABLE (step int, table_name text, row_key text, what text, amount numeric, currency text, day date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH one AS MATERIALIZED (
    SELECT e.*
    FROM erp_webhook.event e
    WHERE e.company_id = erp_webhook.company_named(what_changed.company) AND e.event_id = what_changed.event_id),
  about AS MATERIALIZED (
    SELECT o.*
    FROM one e
    CROSS JOIN LATERAL erp_webhook.objects_named(ARRAY(SELECT f
                                                       FROM erp_webhook.event f
                                                       WHERE f.company_id = e.company_id AND f.event_id = e.event_id)) n
    JOIN erp_webhook.money_object o
      ON o.company_id = e.company_id AND o.source_id = n.source_id AND o.object = n.object AND o.object_ref = n.object_ref),
  receipt AS (SELECT DISTINCT o.company_id, o.source_id,
              CASE o.object WHEN 'bank' THEN 'bank' ELSE 'payment' END AS object,
              coalesce(o.payment_ref, o.object_ref) AS object_ref
              FROM about o WHERE o.object <> 'payout'),
  paid AS MATERIALIZED (
    SELECT l.*, i.number, i.currency, i.state, i.due FROM receipt r
    JOIN erp_webhook.allocation l
      ON l.company_id = r.company_id AND l.source_id = r.source_id AND l.object = r.object AND l.object_ref = r.object_ref
    JOIN erp_webhook.invoice i ON i.company_id = l.company_id AND i.invoice_id = l.invoice_id),
  posted AS MATERIALIZED (
    SELECT v.*, s.name FROM (
      SELECT o.company_id, o.source_id, k.object, o.object_ref
      FROM about o CROSS JOIN LATERAL (VALUES (o.object), ('arrival')) k (object)
      UNION SELECT p.company_id, 0, k.object, p.number
      FROM paid p CROSS JOIN (VALUES ('credit_note'), ('write_off')) k (object)) w
    JOIN erp_webhook.voucher v
      ON v.company_id = w.company_id AND v.source_id = w.source_id AND v.object = w.object AND v.object_ref = w.object_ref
    JOIN erp_webhook.source s ON s.company_id = v.company_id AND s.source_id = v.source_id
    WHERE v.event_id = what_changed.event_id),
  row_ (step, table_name, row_key, what, amount, currency, day) AS (
    SELECT 1, 'delivery', d.delivery_id::text, format('%s bytes of evidence', octet_length(d.body)), NULL::numeric,
           NULL::text, erp_webhook.day_of(d.company_id, d.received_at)
    FROM one e
    JOIN erp_webhook.delivery d
      ON d.company_id = e.company_id AND d.delivery_id = e.delivery_id AND d.received_at = e.received_at
    UNION ALL SELECT 2, 'event', e.external_id, format('%s, %s', e.kind, concat_ws(': ', e.state, e.reason)), e.amount,
    e.currency, erp_webhook.day_of(e.company_id, e.received_at)
    FROM one e
    UNION ALL SELECT 3, 'money_object', concat_ws(' ', o.object, o.object_ref, nullif(o.denomination, '')),
    CASE WHEN o.effective THEN 'counts' ELSE 'does not count' END, o.amount, o.currency, o.value_date
    FROM about o
    UNION ALL SELECT 4, 'voucher', concat_ws(' ', p.name, p.object, p.object_ref, 'step ' || p.step),
    format('%s ← %s', e.debit, e.credit), e.amount, e.currency, p.booked_on
    FROM posted p JOIN erp_webhook.entry e ON e.company_id = p.company_id AND e.voucher_id = p.voucher_id
    UNION ALL SELECT 5, 'allocation', p.number, format('pays %s', p.number), p.amount, p.currency, NULL FROM paid p
    UNION ALL SELECT 6, 'invoice', p.number, format('%s, due %s', p.state, p.due), p.due, p.currency, NULL FROM paid p
    UNION ALL SELECT 7, 'document', d.number, d.kind, d.amount, d.currency, d.issued_on
    FROM posted p JOIN erp_webhook.document d ON d.company_id = p.company_id AND d.voucher_id = p.voucher_id
    UNION ALL SELECT 8, 'subscription', u.subscription_ref, u.state, NULL, NULL, NULL FROM one e
      JOIN erp_webhook.subscription u
        ON u.company_id = e.company_id AND u.source_id = e.source_id AND u.subscription_ref = e.subscription_ref
    UNION ALL SELECT 9, 'bank_match', concat_ws(' ', m.line_ref, m.payout_ref), m.rule, m.amount, m.line_currency, NULL
    FROM about o JOIN erp_webhook.bank_match m ON m.company_id = o.company_id
      AND (o.object = 'payout' AND m.source_id = o.source_id AND m.payout_ref = o.object_ref AND m.currency = o.denomination
           OR o.object = 'bank' AND m.line_source = o.source_id AND m.line_ref = o.object_ref)
    UNION ALL SELECT 10, 'exceptions', x.kind, x.reason, x.amount, x.currency, erp_webhook.day_of(x.company_id, x.since)
    FROM one e JOIN erp_webhook.source s ON s.company_id = e.company_id AND s.source_id = e.source_id
      JOIN erp_webhook.exceptions x ON x.company_id = e.company_id AND x.source = s.name
        AND (x.external_id = e.external_id OR x.payment_ref = coalesce(e.payment_ref, e.object_ref)
             OR x.object_ref = e.object_ref))
  SELECT DISTINCT * FROM row_ ORDER BY 1, 3, 4
$$;
COMMENT ON FUNCTION erp_webhook.what_changed(text, bigint) IS
  'every row an event made or changed, and how those stand now: evidence, object, vouchers, what they pay, '
  'documents, subscription, bank match, exceptions';

CREATE FUNCTION erp_webhook.what_changed(event_id bigint)
RETURNS TABLE (step int, table_name text, row_key text, what text, amount numeric, currency text, day date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  SELECT w.*
  FROM erp_webhook.event e
  JOIN erp_webhook.company c USING (company_id) CROSS JOIN LATERAL erp_webhook.what_changed(c.name, e.event_id) w
  WHERE e.event_id = what_changed.event_id
$$;
COMMENT ON FUNCTION erp_webhook.what_changed(bigint) IS 'what_changed() of an event whose company is not at hand';
