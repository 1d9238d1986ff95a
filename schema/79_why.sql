-- Why an invoice stands as it stands: invoice → what was booked of it → what was allocated to it → the movements of
-- that receipt → the facts behind them → the bytes received → the signature. Rows, from the general to the particular.

CREATE FUNCTION erp_webhook.why(company text, invoice_number text)
RETURNS TABLE (depth int, what text, ref text, amount numeric, currency text, at timestamptz, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT erp_webhook.find_company(why.company);  -- raises where there is none; in the query below no row might ask it
  WITH invoice AS (
    SELECT i.* FROM erp_webhook.company c JOIN erp_webhook.invoice i ON i.company_id = c.company_id
    WHERE c.name = why.company AND i.number = why.invoice_number
  ), receipt AS (
    SELECT a.*, i.currency, row_number() OVER (ORDER BY min(o.succeeded_at), a.source_id, a.object_ref COLLATE "C") AS n
    FROM invoice i
    JOIN erp_webhook.allocation a ON a.company_id = i.company_id AND a.invoice_id = i.invoice_id
    LEFT JOIN erp_webhook.money_object o ON o.company_id = a.company_id AND o.source_id = a.source_id AND o.object = a.object
      AND (o.object_ref = a.object_ref OR o.payment_ref = a.object_ref)
    GROUP BY a.company_id, a.invoice_id, a.source_id, a.object, a.object_ref, a.amount, i.currency
  ), taken_back AS (
    -- A payment of this invoice that was taken back whole has no allocation any more;
    -- its references still name the invoice.
    SELECT o.company_id, o.source_id, o.object, o.object_ref, i.currency
    FROM invoice i
    JOIN erp_webhook.reference r ON r.company_id = i.company_id AND r.ref = i.number AND r.object <> 'subscription'
    JOIN erp_webhook.money_object o
      ON o.company_id = r.company_id AND o.source_id = r.source_id AND o.object = r.object AND o.object_ref = r.object_ref
    WHERE NOT EXISTS (SELECT FROM receipt a WHERE a.source_id = o.source_id AND a.object = o.object AND a.object_ref = o.object_ref)
  ), considered AS (
    SELECT company_id, source_id, object, object_ref, amount, currency, n FROM receipt
    UNION ALL
    SELECT company_id, source_id, object, object_ref, 0, currency,
           (SELECT count(*) FROM receipt) + row_number() OVER (ORDER BY source_id, object_ref COLLATE "C")
    FROM taken_back
  ), movement AS (
    SELECT c.n, row_number() OVER (PARTITION BY c.n ORDER BY o.succeeded_at, o.object, o.object_ref COLLATE "C") AS m, o.*
    FROM considered c
    JOIN erp_webhook.money_object o ON o.company_id = c.company_id AND o.source_id = c.source_id
      AND (o.object = c.object AND o.object_ref = c.object_ref OR o.payment_ref = c.object_ref)
  ), fact AS (
    SELECT v.n, v.m, row_number() OVER (PARTITION BY v.n, v.m ORDER BY e.event_id) AS f, e.*
    FROM movement v CROSS JOIN LATERAL unnest(v.facts) k (event_id)
    JOIN erp_webhook.event e ON e.company_id = v.company_id AND e.event_id = k.event_id
  ), line (path, depth, what, ref, amount, currency, at, detail) AS (
    SELECT ARRAY[0], 1, 'invoice', i.number, i.total::numeric, i.currency, NULL::timestamptz,
           format('%s: paid %s, credited %s, written off %s, due %s on %s',
                  i.state, i.paid, i.credited, i.written_off, i.due, i.due_on)
    FROM invoice i
    UNION ALL
    SELECT ARRAY[0, v.voucher_id], 2, 'voucher', format('%s %s', v.object, v.step), e.amount, e.currency, v.posted_at,
           format('%s ← %s, booked on %s', e.debit, e.credit, v.booked_on)
    FROM invoice i
    JOIN erp_webhook.voucher v ON v.company_id = i.company_id AND v.source_id = 0 AND v.object_ref = i.number
      AND v.object IN ('invoice', 'credit_note', 'write_off')
    JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
    UNION ALL
    SELECT ARRAY[1, c.n], 2, 'allocation', format('%s %s', s.name, c.object_ref), c.amount, c.currency, NULL,
           CASE WHEN c.amount > 0 THEN 'pays this invoice' ELSE 'names this invoice, pays nothing of it now' END
    FROM considered c JOIN erp_webhook.source s ON s.company_id = c.company_id AND s.source_id = c.source_id
    UNION ALL
    SELECT ARRAY[1, v.n, v.m], 3, CASE WHEN v.reversal THEN 'reversal' ELSE v.object END,
           v.object_ref, v.amount, v.currency, v.succeeded_at,
           CASE WHEN v.effective THEN 'counts'
                WHEN v.succeeded_at IS NOT NULL THEN 'counted once, was taken back' ELSE 'never succeeded' END
    FROM movement v
    UNION ALL
    SELECT ARRAY[1, v.n, v.m, 0, b.voucher_id], 4, 'voucher', format('%s %s', b.object, b.step), e.amount, e.currency, b.posted_at,
           format('%s ← %s, booked on %s', e.debit, e.credit, b.booked_on)
    FROM movement v
    JOIN erp_webhook.voucher b
      ON b.company_id = v.company_id AND b.source_id = v.source_id AND b.object = v.object AND b.object_ref = v.object_ref
    JOIN erp_webhook.entry e ON e.company_id = b.company_id AND e.voucher_id = b.voucher_id
    UNION ALL
    SELECT ARRAY[1, f.n, f.m, 1, f.f], 4, 'event', f.external_id, f.amount, f.currency,
           coalesce(f.occurred_at, f.signed_at, f.received_at),
           format('%s (%s), event %s, %s', f.kind, coalesce(f.type, f.origin), f.event_id, f.state)
    FROM fact f
    UNION ALL
    SELECT ARRAY[1, f.n, f.m, 1, f.f, 1], 5, 'delivery', d.delivery_id::text, NULL, NULL, d.received_at,
           format('%s, %s bytes, sha256 %s', concat_ws(' ', d.method, d.url), length(d.body), encode(sha256(d.body), 'hex'))
    FROM fact f
    JOIN erp_webhook.delivery d
      ON d.company_id = f.company_id AND d.delivery_id = f.delivery_id AND d.received_at = f.received_at
    UNION ALL
    SELECT ARRAY[1, f.n, f.m, 1, f.f, 2], 5, 'signature', coalesce('secret ' || d.secret_id, 'none'), NULL, NULL, d.signed_at,
           format('scheme %s of source %s; reprove(%L, %s) checks it again', s.provider, s.name, why.company, f.event_id)
    FROM fact f
    JOIN erp_webhook.delivery d ON d.company_id = f.company_id AND d.delivery_id = f.delivery_id AND d.received_at = f.received_at
    JOIN erp_webhook.source s ON s.company_id = f.company_id AND s.source_id = f.source_id
  )
  SELECT l.depth, l.what, l.ref, l.amount, l.currency, l.at, l.detail FROM line l ORDER BY l.path
$$;
COMMENT ON FUNCTION erp_webhook.why(text, text) IS
  'why an invoice stands as it stands: its vouchers, what pays it, the movements and facts behind that, down to the received bytes and their signature; no row: no such invoice';
