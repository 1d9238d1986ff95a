-- audit(): empty on sound books; each law fires when it alone is broken, by one who can: a superuser past the triggers.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SELECT add_company('audit', 'EUR') AS company \gset
SELECT add_source('audit', 'generic', 'audit') AS source \gset
INSERT INTO account (company_id, account_no, name, currency) VALUES (:company, 'A-1', 'One', 'EUR'), (:company, 'A-2', 'Two', 'EUR');
INSERT INTO invoice (company_id, number, account_id, currency, total, tax, issued_on, due_on, subscription_ref)
SELECT :company, n, account_id, 'EUR', t, x, '2025-10-01', '2025-11-01', sub FROM account,
  (VALUES ('A-1', 'AU-1', 121, 21, NULL), ('A-1', 'AU-2', 50, 0, NULL), ('A-2', 'AU-3', 30, 0, 'au-sub')) v (a, n, t, x, sub)
WHERE company_id = :company AND account_no = a;
CREATE FUNCTION pg_temp.fact(id text, kind text, ref text, amount numeric, refs text[] DEFAULT NULL, payment text DEFAULT NULL, sub text DEFAULT NULL,
                             minute int DEFAULT 0, fee numeric DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency, subscription_ref, fee, value_date)
  SELECT company_id, source_id, id, kind, 'applied', '2025-10-09T09:00:00Z'::timestamptz + make_interval(mins => minute), now(), ref, coalesce(payment, CASE WHEN kind LIKE 'payment%' THEN ref END),
         refs, amount, 'EUR', sub, fee, CASE WHEN kind LIKE 'payout%' THEN '2025-10-11'::date END
  FROM source_name WHERE name = 'audit' $$;
SELECT count(*) FROM (SELECT pg_temp.fact(id, kind, ref, amount, refs, payment, sub, minute, fee) FROM (VALUES
  ('1', 'payment.succeeded', 'p1', 121, '{AU-1}'::text[], NULL, NULL, 1, 2.5),
  ('2', 'refund.succeeded', 'r1', 21, NULL, 'p1', NULL, 2, NULL),
  ('3', 'refund.succeeded', 'r2', 10, NULL, 'p1', NULL, 3, NULL),
  ('4', 'payment.succeeded', 'p2', 80, '{AU-2}', NULL, NULL, 4, NULL),
  ('5', 'subscription.payment_failed', 'f1', 30, '{AU-3}', NULL, 'au-sub', 5, NULL),
  ('6', 'payout.paid', 'po1', 100, NULL, NULL, NULL, 6, NULL),
  ('7', 'dispute.withdrawn', 'd1', 15, NULL, 'p2', NULL, 7, NULL)) f (id, kind, ref, amount, refs, payment, sub, minute, fee)) facts;
SELECT * FROM audit('audit');
SELECT settle_again('audit');

-- Break one thing, ask, undo.
CREATE FUNCTION pg_temp.broken(damage text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE found text[];
BEGIN
  BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE damage;
    SET LOCAL session_replication_role = origin;
    SELECT array_agg(law) INTO found FROM audit('audit');
    RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
  EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN NULL;
  END;
  RETURN QUERY SELECT unnest(coalesce(found, '{(nothing)}'));
END $$;
SELECT what, law FROM (VALUES
  ('a fact that its object forgot',
   'UPDATE money_object SET facts = ''{}'' WHERE company_id = %s AND object_ref = ''p1'''),
  ('an object that says something else',
   'UPDATE money_object SET amount = 79 WHERE company_id = %s AND object_ref = ''p2'' AND object = ''payment'''),
  ('an entry changed',
   'UPDATE entry SET amount = amount + 1 WHERE company_id = %s AND debit = ''in_transit'''),
  ('a voucher without entries',
   'INSERT INTO voucher (company_id, source_id, object, object_ref, step, booked_on, occurred_on, amount, currency, digest) VALUES (%s, 0, ''invoice'', ''AU-2'', 3, now(), now(), 1, ''EUR'', '''')'),
  ('a voucher that is gone',
   'DELETE FROM voucher WHERE company_id = %s AND object = ''arrival'''),
  ('a booked event that is no fact',
   'UPDATE event SET state = ''quarantined'' WHERE company_id = %s AND external_id = ''4'''),
  ('a credit note that is gone',
   'DELETE FROM document WHERE company_id = %s AND sequence = 1'),
  ('paid is less than allocated',
   'UPDATE invoice SET paid = paid - 1 WHERE company_id = %s AND number = ''AU-2'''),
  ('a total below what was paid',
   'UPDATE invoice SET total = 40 WHERE company_id = %s AND number = ''AU-2'''),
  ('a state that does not follow',
   'UPDATE invoice SET state = ''open'' WHERE company_id = %s AND number = ''AU-2'''),
  ('an invoice that is gone',
   'DELETE FROM invoice WHERE company_id = %s AND number = ''AU-2'''),
  ('an allocation changed',
   'UPDATE allocation SET amount = 70 WHERE company_id = %s AND object_ref = ''p2'''),
  ('a receipt said to have paid less',
   'UPDATE receipt_standing SET allocated = 49 WHERE company_id = %s AND object_ref = ''p2'''),
  ('money kept from its invoice',
   'WITH a AS (DELETE FROM allocation WHERE company_id = %1$s AND object_ref = ''p2''), r AS (UPDATE receipt_standing SET allocated = 0 WHERE company_id = %1$s AND object_ref = ''p2'')
    UPDATE invoice SET paid = 0, state = ''open'' WHERE company_id = %1$s AND number = ''AU-2'''),
  ('an account that should be suspended',
   'UPDATE account SET state = ''active'' WHERE company_id = %s AND account_no = ''A-2'''),
  ('a day''s sum of what was never booked',
   'INSERT INTO day_sum SELECT company_id, booked_on, object, debit, ''fees'', e.currency, e.amount FROM voucher JOIN entry e USING (company_id, voucher_id) WHERE company_id = %s AND object_ref = ''p2'''),
  ('vouchers said to be summed that are not',
   'INSERT INTO day_sum_state (company_id, upto) SELECT company_id, max(voucher_id) FROM voucher WHERE company_id = %s GROUP BY company_id ON CONFLICT (company_id) DO UPDATE SET upto = EXCLUDED.upto')
) d (what, damage) CROSS JOIN LATERAL pg_temp.broken(format(damage, :company)) law;

-- And whole again.
SELECT * FROM audit('audit');
