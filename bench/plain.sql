-- What a user would write in the database himself: a PL/pgSQL function with pgcrypto and jsonb, one row at a time, in schema plain.
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE FUNCTION plain.ingest(headers jsonb, body bytea, secret text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  given text := headers->>'stripe-signature';
  stamp text := substring(given FROM 't=(\d+)');
  event jsonb;
  intent jsonb;
  new_event bigint;
  new_delivery bigint := nextval('plain.delivery_id');
  new_voucher bigint;
  open record;
  money numeric;
BEGIN
  IF abs(extract(epoch FROM now()) - stamp::bigint) > 300
     OR encode(public.hmac(convert_to(stamp || '.', 'UTF8') || body, convert_to(secret, 'UTF8'), 'sha256'), 'hex')
        <> substring(given FROM 'v1=([0-9a-f]+)') THEN
    RETURN 'rejected';
  END IF;
  event := convert_from(body, 'UTF8')::jsonb;
  intent := event #> '{data,object}';
  money := round((intent->>'amount_received')::numeric / 100, 2);
  INSERT INTO plain.event (company_id, source_id, external_id, type, kind, state, occurred_at, received_at, signed_at, delivery_id,
      object_ref, payment_ref, account_ref, correlation, amount, currency, digest)
    VALUES (1, 1, event->>'id', event->>'type', 'payment.succeeded', 'applied', to_timestamp((event->>'created')::bigint), now(),
      to_timestamp(stamp::bigint), new_delivery, intent->>'id', intent->>'id', intent->>'customer',
      ARRAY[intent #>> '{metadata,invoice_number}'], money, upper(intent->>'currency'), public.digest(body, 'sha256'))
    ON CONFLICT (company_id, source_id, external_id) DO NOTHING RETURNING event_id INTO new_event;
  IF new_event IS NULL THEN
    RETURN 'duplicate';
  END IF;
  INSERT INTO plain.delivery (company_id, delivery_id, received_at, source_id, method, headers, body, secret_id, signed_at)
    VALUES (1, new_delivery, now(), 1, 'POST', jsonb_build_object('stripe-signature', given)::text, body, 1, to_timestamp(stamp::bigint));
  SELECT invoice_id, due INTO open FROM plain.invoice
    WHERE company_id = 1 AND number = intent #>> '{metadata,invoice_number}' FOR UPDATE;
  INSERT INTO plain.money_object (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective,
      decided_by, refs, account_ref, facts)
    VALUES (1, 1, 'payment', intent->>'id', intent->>'id', upper(intent->>'currency'), money, to_timestamp((event->>'created')::bigint), true,
      new_event, ARRAY[intent #>> '{metadata,invoice_number}'], intent->>'customer', ARRAY[new_event]);
  INSERT INTO plain.voucher (company_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
    VALUES (1, 1, 'payment', intent->>'id', 1, new_event, current_date, current_date, money, upper(intent->>'currency'),
      public.digest(event->>'id', 'sha256'))
    RETURNING voucher_id INTO new_voucher;
  INSERT INTO plain.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    VALUES (1, new_voucher, 1, 'clearing:stripe', 'receivable', money, upper(intent->>'currency'));
  IF open.due > 0 THEN
    INSERT INTO plain.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
      VALUES (1, open.invoice_id, 1, 'payment', intent->>'id', least(money, open.due));
    UPDATE plain.invoice SET paid = paid + least(money, open.due),
        state = CASE WHEN money >= open.due THEN 'paid' ELSE 'partial' END
      WHERE company_id = 1 AND invoice_id = open.invoice_id;
  END IF;
  RETURN 'accepted';
END
$$;
