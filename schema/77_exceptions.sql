-- Exceptions: what needs someone.
-- Each follows from the facts, and is gone when they no longer give rise to it (SETTLEMENT 6).

CREATE FUNCTION erp_webhook.advice(kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE kind
  WHEN 'quarantined' THEN 'Its content is impossible: ask the provider, then resolve() it.'
  WHEN 'unallocated' THEN 'Money without an invoice: issue the invoice, or assign() it.'
  WHEN 'currency_mismatch'
    THEN 'Paid or refunded in another currency than the invoice or payment: assign() it, or agree it with the customer.'
  WHEN 'unattributed' THEN 'It takes back what never came, or suspends nobody known: find the payment, or link_account().'
  WHEN 'over_refunded' THEN 'More went back than came in: ask the customer for the difference.'
  WHEN 'contradiction' THEN 'Two facts say different amounts; the latest is booked: compare with the provider.'
  WHEN 'waiting' THEN 'The provider did not confirm it yet: look at the worker and the API secret.'
  WHEN 'failed' THEN 'Settling it raised the error given; retry_failed() tries again once its cause is gone.'
END;
COMMENT ON FUNCTION erp_webhook.advice(text) IS 'what to do about an exception';

CREATE VIEW erp_webhook.refused WITH (security_invoker = true) AS
  SELECT h.* FROM erp_webhook.handover h
  WHERE h.state = 'refused' AND NOT EXISTS (
    SELECT FROM erp_webhook.handover n
    WHERE n.company_id = h.company_id AND n.source_id = h.source_id AND n.object = h.object AND n.object_ref = h.object_ref
      AND n.invoice_id IS NOT DISTINCT FROM h.invoice_id AND n.handover_id > h.handover_id);
COMMENT ON VIEW erp_webhook.refused IS 'what an ERP refused after queueing it, and was not offered since';

-- A function with a plan of its own, so that the view that asks it of thousands is not compiled for seconds first.
CREATE FUNCTION erp_webhook.about_receipt(company_id int, source_id int, object text, object_ref text, currency text)
RETURNS TABLE (
  known bigint, unknown bigint, first_unknown text, other_currency text,
  captured numeric, refunded numeric, withdrawn numeric, reinstated numeric, reversed numeric, came_elsewhere boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
#variable_conflict use_column
DECLARE
  key constant erp_webhook.object_key[] := ARRAY[ROW(source_id, object, object_ref)::erp_webhook.object_key];
  told constant text := about_receipt.currency;
BEGIN
  SELECT count(*) FILTER (WHERE i.invoice_id IS NOT NULL), count(*) FILTER (WHERE i.invoice_id IS NULL),
         (array_agg(i.number ORDER BY i.n) FILTER (WHERE i.invoice_id IS NULL))[1],
         (array_agg(i.number ORDER BY i.n) FILTER (WHERE i.currency <> told))[1]
  INTO known, unknown, first_unknown, other_currency
  FROM erp_webhook.invoices_named(about_receipt.company_id, key) i;
  SELECT sum(g.captured) FILTER (WHERE g.currency = told), sum(g.refunded) FILTER (WHERE g.currency = told),
         sum(g.withdrawn) FILTER (WHERE g.currency = told), sum(g.reinstated) FILTER (WHERE g.currency = told),
         sum(g.reversed) FILTER (WHERE g.currency = told), coalesce(bool_or(g.captured > 0), false)
  INTO captured, refunded, withdrawn, reinstated, reversed, came_elsewhere
  FROM erp_webhook.receipt_figures(about_receipt.company_id, key) g;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION erp_webhook.about_receipt(int, int, text, text, text) IS
  'what exceptions ask of a receipt: the invoices it names, and what moved of it in a currency';

CREATE VIEW erp_webhook.exceptions WITH (security_invoker = true) AS
WITH of_event AS (
  SELECT e.company_id, e.state AS kind, e.source_id, e.external_id, e.payment_ref, e.object_ref, NULL::text AS invoice_number,
         CASE e.state WHEN 'failed' THEN coalesce(e.sqlstate || ': ' || e.error, e.reason) ELSE e.reason END AS reason,
         e.amount::numeric AS amount, e.currency, e.received_at AS since
  FROM erp_webhook.event e
  WHERE e.state IN ('quarantined', 'failed', 'waiting')
    AND (e.state <> 'waiting' OR e.received_at < now() - interval '1 hour')
  UNION ALL
  SELECT e.company_id, 'contradiction', e.source_id, e.external_id, e.payment_ref, e.object_ref, NULL,
         'one_id_two_contents', e.amount, e.currency, min(c.received_at)
  FROM erp_webhook.event_conflict c JOIN erp_webhook.event e ON e.company_id = c.company_id AND e.event_id = c.event_id
  GROUP BY e.company_id, e.event_id
), of_object AS (
  SELECT o.company_id, 'contradiction' AS kind, o.source_id, NULL::text AS external_id, o.payment_ref, o.object_ref,
         NULL::text AS invoice_number, 'different_amounts' AS reason, o.amount::numeric AS amount, o.currency,
         o.succeeded_at AS since
  FROM erp_webhook.money_object o WHERE o.contradicted
), receipt AS (
  SELECT s.*, a.*
  FROM (SELECT r.*, r.strength - r.allocated AS left_over FROM erp_webhook.receipt_standing r
        WHERE r.net <> r.allocated OR r.net <> r.strength OR r.at IS NULL) s
  CROSS JOIN LATERAL erp_webhook.about_receipt(
    s.company_id, s.source_id, CASE s.object WHEN 'reinstated' THEN 'payment' ELSE s.object END, s.object_ref, s.currency) a
), of_receipt AS (
  SELECT r.company_id, x.kind, r.source_id, NULL::text AS external_id, r.object_ref AS payment_ref, r.object_ref,
         x.invoice_number, x.reason, x.amount, r.currency, r.at AS since
  FROM receipt r
  CROSS JOIN LATERAL (VALUES
    (r.left_over > 0 AND r.other_currency IS NOT NULL,
       'currency_mismatch', r.other_currency, 'invoice_in_another_currency', r.left_over),
    (r.left_over > 0 AND r.other_currency IS NULL AND r.unknown > 0,
       'unallocated', r.first_unknown, 'unknown_invoice', r.left_over),
    (r.left_over > 0 AND r.other_currency IS NULL AND r.unknown = 0 AND r.known = 0,
       'unallocated', NULL, 'no_reference', r.left_over),
    (r.object = 'payment' AND r.captured = 0 AND r.refunded > 0 AND r.came_elsewhere,
       'currency_mismatch', NULL, 'refund_in_another_currency', -r.net),
    (r.object = 'payment' AND NOT r.came_elsewhere AND r.refunded + r.reversed + r.withdrawn + r.reinstated > 0,
       'unattributed', NULL, 'payment_unknown', abs(r.net)),
    (r.object = 'reinstated' AND r.came_elsewhere,
       'unattributed', NULL, 'more_reinstated_than_withdrawn', r.net),
    (r.object <> 'reinstated' AND r.captured > 0
       AND r.refunded + greatest(0, r.withdrawn - r.reinstated) + r.reversed > r.captured,
       'over_refunded', NULL, 'more_back_than_in',
       r.refunded + greatest(0, r.withdrawn - r.reinstated) + r.reversed - r.captured)
  ) x (holds, kind, invoice_number, reason, amount)
  WHERE x.holds
), of_subscription AS (
  SELECT s.company_id, 'unattributed' AS kind, s.source_id, NULL::text AS external_id, NULL::text AS payment_ref,
         s.subscription_ref AS object_ref, NULL::text AS invoice_number, 'account_unknown' AS reason,
         NULL::numeric AS amount, NULL::text AS currency, j.first_failure AS since
  FROM erp_webhook.subscription s
  LEFT JOIN LATERAL erp_webhook.judged_subscriptions(s.company_id, ARRAY[s.subscription_ref]) j
    ON j.source_id = s.source_id AND j.subscription_ref = s.subscription_ref
  WHERE s.suspended AND s.account_id IS NULL
), of_erp AS (
  SELECT r.company_id, 'failed' AS kind, r.source_id, e.external_id, e.payment_ref, r.object_ref, i.number AS invoice_number,
         'refused by the ERP: ' || r.error AS reason, r.amount::numeric AS amount, r.currency,
         coalesce(v.posted_at, e.received_at) AS since
  FROM erp_webhook.refused r
  LEFT JOIN erp_webhook.voucher v ON v.company_id = r.company_id AND v.voucher_id = r.voucher_id
  LEFT JOIN erp_webhook.event e ON e.company_id = v.company_id AND e.event_id = v.event_id
  LEFT JOIN erp_webhook.invoice i ON i.company_id = r.company_id AND i.invoice_id = r.invoice_id
), everything AS (
  SELECT * FROM of_erp UNION ALL SELECT * FROM of_event UNION ALL SELECT * FROM of_object
  UNION ALL SELECT * FROM of_receipt UNION ALL SELECT * FROM of_subscription
)
SELECT x.company_id, x.kind, s.name AS source, x.external_id, x.payment_ref, x.object_ref, x.invoice_number,
       x.reason, x.amount, x.currency,
       CASE WHEN x.since < '2900-01-01 00:00:00+00' THEN x.since ELSE x.since - interval '8766000 hours' END AS since,
       erp_webhook.advice(x.kind) AS advice
FROM everything x
JOIN erp_webhook.source s ON s.company_id = x.company_id AND s.source_id = x.source_id
WHERE NOT EXISTS (
  SELECT FROM erp_webhook.event r
  WHERE r.company_id = x.company_id AND r.origin = 'person' AND r.kind = 'books.resolve' AND r.source_id = x.source_id
    AND r.object_ref = coalesce(x.external_id, x.payment_ref, x.object_ref) AND r.type = x.kind);
COMMENT ON VIEW erp_webhook.exceptions IS
  'what needs someone: kind, where, how much, since when, and what to do; nothing here is stored';
