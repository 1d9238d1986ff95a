-- The floor: the same rows by one hand-written statement, nothing verified, parsed or decided. The client already knows what
-- a body says, and that each event is new and pays its invoice in full.
WITH input AS MATERIALIZED (
  SELECT i.*, nextval('floor.delivery_id') AS delivery_id, nextval('floor.event_event_id_seq') AS event_id,
         nextval('floor.voucher_voucher_id_seq') AS voucher_id, round(cents / 100.0, 2) AS amount
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::jsonb[], $6::bytea[])
       AS i (id, payment, invoice, cents, headers, body)
), delivery AS (
  INSERT INTO floor.delivery (company_id, delivery_id, received_at, source_id, method, url, headers, body, secret_id, signed_at)
  SELECT 1, delivery_id, now(), 1, 'POST', NULL, jsonb_build_object('stripe-signature', headers->'stripe-signature')::text, body, 1, now()
  FROM input
), event AS (
  INSERT INTO floor.event (company_id, event_id, source_id, external_id, type, kind, state, occurred_at, received_at, signed_at,
    delivery_id, object_ref, payment_ref, account_ref, correlation, amount, currency, digest)
  SELECT 1, event_id, 1, id, 'payment_intent.succeeded', 'payment.succeeded', 'applied', date_trunc('second', now()), now(), now(),
    delivery_id, payment, payment, 'cus_B00000001', ARRAY[invoice], amount, 'EUR', decode(repeat('ab', 32), 'hex')
  FROM input
), money_object AS (
  INSERT INTO floor.money_object (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective,
    decided_by, refs, account_ref, facts)
  SELECT 1, 1, 'payment', payment, payment, 'EUR', amount, date_trunc('second', now()), true, event_id, ARRAY[invoice], 'cus_B00000001',
    ARRAY[event_id]
  FROM input
), voucher AS (
  INSERT INTO floor.voucher (company_id, voucher_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency,
    digest)
  SELECT 1, voucher_id, 1, 'payment', payment, 1, event_id, current_date, current_date, amount, 'EUR', decode(repeat('cd', 32), 'hex') FROM input
), entry AS (
  INSERT INTO floor.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
  SELECT 1, voucher_id, 1, 'clearing:stripe', 'receivable', amount, 'EUR' FROM input
), allocation AS (
  INSERT INTO floor.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
  SELECT 1, v.invoice_id, 1, 'payment', i.payment, i.amount
  FROM input i JOIN floor.invoice v ON v.company_id = 1 AND v.number = i.invoice
)
UPDATE floor.invoice v SET paid = v.paid + i.amount, state = 'paid'
FROM input i WHERE v.company_id = 1 AND v.number = i.invoice
