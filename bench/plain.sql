-- What a competent user would write in the database himself to the same end: PL/pgSQL, pgcrypto and jsonb, one webhook a call,
-- in schema plain. For a Stripe payment it decides what the extension decides: the secrets of the source that are live, each
-- v1 of the header, the tolerance; which events are payments; the amount by the currency's digits; new or known; references
-- as a list in one string; locks in one order; closed days, time zone, tolerance for small rests; event, evidence, object,
-- voucher with its digest, entry, allocation, invoice. What it leaves out: constant-time comparison, sealed secrets, other
-- kinds and orders of events (a refund before its payment), what names an invoice that is not there yet, messages, audit.
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE TABLE plain.source (name text PRIMARY KEY, company_id int, source_id int, active boolean);
CREATE TABLE plain.secret (source_id int, secret_id int, value text, valid tstzrange, PRIMARY KEY (source_id, secret_id));
CREATE TABLE plain.currency (currency text PRIMARY KEY, digits int);
CREATE TABLE plain.policy (company_id int PRIMARY KEY, closed_until date, time_zone text, tolerance numeric);
INSERT INTO plain.source VALUES ('stripe', 1, 1, true);
INSERT INTO plain.secret VALUES (1, 1, :'secret', '[2020-01-01,)');
INSERT INTO plain.currency VALUES ('EUR', 2), ('USD', 2), ('JPY', 0), ('KWD', 3);
INSERT INTO plain.policy VALUES (1, '-infinity', 'UTC', 0);

CREATE FUNCTION plain.is_genuine(source int, given text, body bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  stamp text := substring(given FROM '(?:^|,)t=(\d{1,12})(?:,|$)');
BEGIN
  RETURN stamp IS NOT NULL AND abs(extract(epoch FROM now()) - stamp::bigint) <= 300
    AND EXISTS (SELECT FROM plain.secret s JOIN regexp_matches(given, '(?:^|,)v1=([0-9a-f]{64})(?=,|$)', 'g') v (found)
                  ON v.found[1] = encode(public.hmac(convert_to(stamp || '.', 'UTF8') || body, convert_to(s.value, 'UTF8'), 'sha256'), 'hex')
                WHERE s.source_id = source AND s.valid @> now());
END
$$;

CREATE FUNCTION plain.ingest(source text, headers jsonb, body bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  given text := headers->>'stripe-signature';
  origin plain.source;
  rule plain.policy;
  event jsonb;
  intent jsonb;
  said text;
  refs text[];
  at timestamptz;
  day date;
  money numeric;
  unit text;
  rest numeric;
  part numeric;
  new_event bigint;
  new_delivery bigint;
  new_voucher bigint;
  open record;
BEGIN
  SELECT * INTO origin FROM plain.source s WHERE s.name = ingest.source AND s.active;
  IF origin.source_id IS NULL OR NOT plain.is_genuine(origin.source_id, given, body) THEN
    RETURN 'rejected';
  END IF;
  event := convert_from(body, 'UTF8')::jsonb;
  IF event->>'type' <> 'payment_intent.succeeded' THEN
    RETURN 'no_effect';
  END IF;
  intent := event #> '{data,object}';
  unit := upper(intent->>'currency');
  money := (intent->>'amount_received')::numeric / 10 ^ coalesce((SELECT c.digits FROM plain.currency c WHERE c.currency = unit), 2);
  money := round(money, coalesce((SELECT c.digits FROM plain.currency c WHERE c.currency = unit), 2));
  at := to_timestamp((event->>'created')::bigint);
  said := intent #>> '{metadata,invoice_number}';
  new_delivery := nextval('plain.delivery_id');
  INSERT INTO plain.event (company_id, source_id, external_id, type, kind, state, occurred_at, received_at, signed_at, delivery_id,
      object_ref, payment_ref, account_ref, correlation, amount, currency, digest)
    VALUES (origin.company_id, origin.source_id, event->>'id', event->>'type', 'payment.succeeded', 'applied', at, now(),
      to_timestamp(substring(given FROM 't=(\d+)')::bigint), new_delivery, intent->>'id', intent->>'id', intent->>'customer',
      ARRAY[said], money, unit, public.digest(intent::text, 'sha256'))
    ON CONFLICT (company_id, source_id, external_id) DO NOTHING RETURNING event_id INTO new_event;
  IF new_event IS NULL THEN
    RETURN 'duplicate';
  END IF;
  INSERT INTO plain.delivery (company_id, delivery_id, received_at, source_id, method, headers, body, secret_id, signed_at)
    VALUES (origin.company_id, new_delivery, now(), origin.source_id, 'POST', jsonb_build_object('stripe-signature', given)::text, body, 1,
      to_timestamp(substring(given FROM 't=(\d+)')::bigint));
  INSERT INTO plain.money_object (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective,
      decided_by, refs, account_ref, facts)
    VALUES (origin.company_id, origin.source_id, 'payment', intent->>'id', intent->>'id', unit, money, at, true,
      new_event, ARRAY[said], intent->>'customer', ARRAY[new_event]);

  SELECT * INTO rule FROM plain.policy p WHERE p.company_id = origin.company_id;
  day := (at AT TIME ZONE rule.time_zone)::date;
  INSERT INTO plain.voucher (company_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
    VALUES (origin.company_id, origin.source_id, 'payment', intent->>'id', 1, new_event, greatest(day, rule.closed_until + 1), day, money, unit,
      public.digest(concat_ws('|', origin.source_id, 'payment', intent->>'id', 1, new_event, day, 'clearing:stripe', 'receivable', money, unit), 'sha256'))
    RETURNING voucher_id INTO new_voucher;
  INSERT INTO plain.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    VALUES (origin.company_id, new_voucher, 1, 'clearing:stripe', 'receivable', money, unit);

  -- The whole string is a number, or each of its words.
  refs := CASE WHEN EXISTS (SELECT FROM plain.invoice i WHERE i.company_id = origin.company_id AND i.number = said) THEN ARRAY[said]
               ELSE regexp_split_to_array(said, '[,;|\s]+') END;
  rest := money;
  FOR open IN
    SELECT i.invoice_id, i.due FROM plain.invoice i
    WHERE i.company_id = origin.company_id AND i.number = ANY (refs) AND i.currency = unit AND i.state IN ('open', 'partial')
    ORDER BY array_position(refs, i.number) FOR NO KEY UPDATE
  LOOP
    part := least(rest, open.due);
    EXIT WHEN part <= 0;
    rest := rest - part;
    INSERT INTO plain.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
      VALUES (origin.company_id, open.invoice_id, origin.source_id, 'payment', intent->>'id', part);
    UPDATE plain.invoice SET paid = paid + part,
        written_off = CASE WHEN open.due - part <= rule.tolerance THEN open.due - part ELSE 0 END,
        state = CASE WHEN open.due - part <= rule.tolerance THEN 'paid' ELSE 'partial' END
      WHERE company_id = origin.company_id AND invoice_id = open.invoice_id;
  END LOOP;
  RETURN 'accepted';
END
$$;
