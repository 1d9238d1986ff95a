-- What is read of the books.

CREATE VIEW erp_webhook.journal WITH (security_invoker = true) AS
  SELECT v.company_id, v.booked_on, v.occurred_on, v.voucher_id, s.name AS source, v.object, v.object_ref, v.step, e.entry_no,
         l.ledger_account, l.debit, l.credit, e.currency, v.event_id
  FROM erp_webhook.voucher v
  JOIN erp_webhook.source s ON s.company_id = v.company_id AND s.source_id = v.source_id
  JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
  CROSS JOIN LATERAL (VALUES (e.debit, e.amount, NULL::numeric), (e.credit, NULL, e.amount)) l (ledger_account, debit, credit);
COMMENT ON VIEW erp_webhook.journal IS 'every entry as an accountant writes it: a debit line and a credit line';

CREATE VIEW erp_webhook.ledger_balance WITH (security_invoker = true) AS
  SELECT l.company_id, l.ledger_account, l.currency, erp_webhook.written(sum(l.amount), l.currency) AS balance
  FROM (SELECT e.company_id, e.debit AS ledger_account, e.currency, e.amount FROM erp_webhook.entry e
        UNION ALL SELECT e.company_id, e.credit, e.currency, -e.amount FROM erp_webhook.entry e) l
  GROUP BY l.company_id, l.ledger_account, l.currency HAVING sum(l.amount) <> 0;
COMMENT ON VIEW erp_webhook.ledger_balance IS 'balance of each ledger account and currency, debit positive; zero left out';

-- Due of its invoices, less the credit left on its receipts, plus what was taken back beyond them.
CREATE VIEW erp_webhook.account_balance WITH (security_invoker = true) AS
  SELECT a.company_id, a.account_no, b.currency, erp_webhook.written(coalesce(sum(b.amount), 0), b.currency) AS balance, a.state
  FROM erp_webhook.account a
  CROSS JOIN LATERAL (
    SELECT a.currency, 0::numeric AS amount
    UNION ALL
    SELECT i.currency, i.due FROM erp_webhook.invoice i
    WHERE i.company_id = a.company_id AND i.account_id = a.account_id
    UNION ALL
    SELECT r.currency, r.allocated - r.net FROM erp_webhook.receipt_standing r
    WHERE r.company_id = a.company_id AND r.account_id = a.account_id) b
  GROUP BY a.company_id, a.account_id, a.account_no, b.currency, a.currency, a.state
  HAVING b.currency = a.currency OR sum(b.amount) <> 0;
COMMENT ON VIEW erp_webhook.account_balance IS 'what each customer owes (positive) or has to its credit, per currency';

CREATE VIEW erp_webhook.payment WITH (security_invoker = true) AS
  WITH moved AS (
    SELECT o.company_id, o.source_id, o.payment_ref, f.currency, f.amount, f.what, o.decided_by
    FROM erp_webhook.money_object o
    CROSS JOIN LATERAL (VALUES
      (o.object = 'payment' AND NOT o.reversal, o.currency, o.amount, 'captured'),
      (o.object = 'payment' AND NOT o.effective OR o.reversal OR o.object = 'bank' AND o.effective,
         o.currency, o.amount, 'reversed'),
      (o.object = 'refund' AND o.effective, o.currency, o.amount, 'refunded'),
      (o.object = 'refund_total', o.currency,
         CASE WHEN o.object = 'refund_total'
              THEN erp_webhook.refunded_unseen(o.company_id, o.source_id, o.payment_ref, o.currency, o.amount) END, 'refunded'),
      (o.object = 'withdrawn', o.currency, o.amount, 'withdrawn'),
      (o.object = 'reinstated', o.currency, o.amount, 'reinstated'),
      (o.fee IS NOT NULL, coalesce(o.fee_currency, o.currency), o.fee, 'fee')) f (holds, currency, amount, what)
    WHERE o.payment_ref IS NOT NULL AND o.succeeded_at IS NOT NULL AND f.holds AND f.currency IS NOT NULL
  ), figure AS (
    SELECT m.company_id, m.source_id, m.payment_ref, m.currency,
           coalesce(sum(m.amount) FILTER (WHERE m.what = 'captured'), 0) AS captured,
           coalesce(sum(m.amount) FILTER (WHERE m.what = 'refunded'), 0) AS refunded,
           greatest(0, coalesce(sum(m.amount) FILTER (WHERE m.what = 'withdrawn'), 0)
                     - coalesce(sum(m.amount) FILTER (WHERE m.what = 'reinstated'), 0)) AS disputed,
           coalesce(sum(m.amount) FILTER (WHERE m.what = 'reversed'), 0) AS reversed,
           coalesce(sum(m.amount) FILTER (WHERE m.what = 'fee'), 0) AS fee
    FROM moved m GROUP BY m.company_id, m.source_id, m.payment_ref, m.currency
  )
  SELECT f.company_id, s.name AS source, f.payment_ref, f.currency, erp_webhook.written(f.captured, f.currency) AS captured,
         erp_webhook.written(f.refunded, f.currency) AS refunded, erp_webhook.written(f.disputed, f.currency) AS disputed,
         erp_webhook.written(f.reversed, f.currency) AS reversed, erp_webhook.written(f.fee, f.currency) AS fee, f.source_id
  FROM figure f JOIN erp_webhook.source s ON s.company_id = f.company_id AND s.source_id = f.source_id
  WHERE f.captured <> 0 OR f.refunded <> 0 OR f.disputed <> 0 OR f.reversed <> 0 OR f.fee <> 0;
COMMENT ON VIEW erp_webhook.payment IS
  'what each payment came to: captured (ever), refunded, disputed, reversed, fees in its currency';

CREATE VIEW erp_webhook.payout WITH (security_invoker = true) AS
  SELECT o.company_id, s.name AS source, o.object_ref AS payout_ref, nullif(o.denomination, '') AS currency,
         coalesce(o.amount, told.amount) AS amount,
         CASE WHEN o.effective THEN 'paid' WHEN told.failed THEN 'failed' ELSE 'scheduled' END AS state, o.value_date, o.source_id
  FROM erp_webhook.money_object o
  JOIN erp_webhook.source s ON s.company_id = o.company_id AND s.source_id = o.source_id
  CROSS JOIN LATERAL (
    SELECT (array_agg(e.amount ORDER BY erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at) DESC)
              FILTER (WHERE e.amount IS NOT NULL))[1] AS amount,
           bool_or(e.kind = 'payout.failed') AS failed
    FROM unnest(o.facts) f (event_id)
    JOIN erp_webhook.event e ON e.company_id = o.company_id AND e.event_id = f.event_id AND e.state = 'applied') told
  WHERE o.object = 'payout' AND (o.denomination <> '' OR NOT EXISTS (
    SELECT FROM erp_webhook.money_object p WHERE p.company_id = o.company_id AND p.source_id = o.source_id AND p.object = 'payout'
      AND p.object_ref = o.object_ref AND p.denomination <> ''));
COMMENT ON VIEW erp_webhook.payout IS 'payouts: scheduled, paid or failed, and the day their money is ours';

CREATE VIEW erp_webhook.subscription_state WITH (security_invoker = true) AS
  SELECT u.company_id, s.name AS source, u.subscription_ref, a.account_no, u.state
  FROM erp_webhook.subscription u
  JOIN erp_webhook.source s ON s.company_id = u.company_id AND s.source_id = u.source_id
  LEFT JOIN erp_webhook.account a ON a.company_id = u.company_id AND a.account_id = u.account_id;
COMMENT ON VIEW erp_webhook.subscription_state IS 'active, past_due (failed, not yet suspending), suspended or cancelled';
