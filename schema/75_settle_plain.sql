-- The short path: payments that name one open invoice with enough due, and of which nothing else is known.
--
-- Why the result is the same: where an invoice has room left after all that is allocated to it, no receipt was cut
-- short there, so one more receipt that fits changes nobody else's share, whatever its place in the order; and a
-- receipt that is spent on the first invoice it names leaves nothing for a second pass. So one conditional UPDATE
-- decides it: it waits for whoever holds the invoice and looks again at the row it then finds. No other row need be
-- locked or read.
--
-- There is one way for a lone payment and one for many, to the same rows: simple statements where there is one event
-- (the statement for many has thirty nodes to set up), one statement where there are more.

-- Over its columns rather than the event, so that it is inlined where it is asked of many.
CREATE FUNCTION erp_webhook.is_plain(
  kind text, state text, amount numeric, currency text, object_ref text, payment_ref text, subscription_ref text,
  correlation text[], correlation_amounts numeric[], origin text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN kind = 'payment.succeeded' AND state = 'applied' AND amount > 0 AND currency IS NOT NULL
   AND object_ref IS NOT NULL AND coalesce(payment_ref, object_ref) = object_ref AND subscription_ref IS NULL
   AND array_length(correlation, 1) = 1 AND correlation_amounts IS NULL AND origin <> 'person';
COMMENT ON FUNCTION erp_webhook.is_plain(text, text, numeric, text, text, text, text, text[], numeric[], text) IS
  'may an event go the short path, as far as it says itself?';

-- What a company's policies say about plain payments. Most companies have no policy of these,
-- so they are not looked for.
CREATE TYPE erp_webhook.house AS (
  currency text, digits int, tolerance numeric, time_zone text, time_zones int, closed_until date, has_rules boolean);
COMMENT ON TYPE erp_webhook.house IS
  'a company''s currency, those of its policies that payments ask for, and whether it has event rules';

CREATE FUNCTION erp_webhook.read_house(company_id int) RETURNS erp_webhook.house
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
  h erp_webhook.house;
  has_policies boolean;
BEGIN
  SELECT c.currency, EXISTS (SELECT FROM erp_webhook.policy p WHERE p.company_id = c.company_id),
         EXISTS (SELECT FROM erp_webhook.event_rule r WHERE r.company_id = c.company_id)
  INTO h.currency, has_policies, h.has_rules
  FROM erp_webhook.company c WHERE c.company_id = read_house.company_id;
  IF has_policies THEN
    SELECT max(CASE WHEN p.policy = 'tolerance' THEN p.value::numeric END), min(p.value) FILTER (WHERE p.policy = 'time_zone'),
           count(*) FILTER (WHERE p.policy = 'time_zone'), erp_webhook.closed_until(read_house.company_id)
    INTO h.tolerance, h.time_zone, h.time_zones, h.closed_until
    FROM erp_webhook.policy p WHERE p.company_id = read_house.company_id;
  ELSE
    h.closed_until := '-infinity';
  END IF;
  h.digits := erp_webhook.digits_of(h.currency);
  h.time_zone := coalesce(h.time_zone, erp_webhook.policy_default('time_zone'));
  RETURN h;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_house(int) IS 'a company''s currency and policies, as the tables say; ask house_of()';

CREATE FUNCTION erp_webhook.house_of(company_id int) RETURNS erp_webhook.house
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'erp_webhook_house_of';
COMMENT ON FUNCTION erp_webhook.house_of(int) IS 'read_house(), kept by the backend until configuration changes';

-- One payment, where its invoice is there, has that much due, and is a plain one.
CREATE FUNCTION erp_webhook.settle_payment(company_id int, e erp_webhook.event) RETURNS int
LANGUAGE plpgsql VOLATILE
SET erp_webhook.settling = on
SET lock_timeout = '800ms'  -- see 74_scope
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_payment.company_id;
  house constant erp_webhook.house := erp_webhook.house_of(company);
  at constant timestamptz := coalesce(e.occurred_at, e.signed_at, e.received_at);
  day constant date := CASE WHEN house.time_zones > 1 THEN erp_webhook.day_of(company, at)
                            ELSE (at AT TIME ZONE house.time_zone)::date END;
  booked_on constant date := erp_webhook.open_day(day, house.closed_until);
  fee_currency constant text := CASE WHEN e.fee IS NOT NULL THEN coalesce(e.fee_currency, e.currency) END;
  clearing text;
  pays bigint;
  voucher bigint;
BEGIN
  UPDATE erp_webhook.invoice i
  SET paid = round(i.paid + e.amount, greatest(min_scale(i.paid + e.amount),
               CASE e.currency WHEN house.currency THEN house.digits ELSE erp_webhook.digits_of(e.currency) END)),
      state = CASE WHEN i.due = e.amount THEN 'paid' ELSE 'partial' END
  WHERE i.company_id = company AND i.number = e.correlation[1] AND i.currency = e.currency AND i.due >= e.amount
    AND i.state IN ('open', 'partial') AND i.written_off = 0 AND i.subscription_ref IS NULL AND i.erp_key IS NULL
    AND (house.tolerance IS NULL OR i.due = e.amount OR i.due - e.amount > house.tolerance)
  RETURNING i.invoice_id,
            (SELECT 'clearing:' || s.name FROM erp_webhook.source s WHERE s.company_id = company AND s.source_id = e.source_id)
  INTO pays, clearing;
  IF pays IS NULL THEN
    -- Raised, so that all is let go: who waited for the invoice and then found it paid by another holds it, and what
    -- the long way takes first comes before it.
    RAISE EXCEPTION USING ERRCODE = 'EW002', MESSAGE = 'not a plain one';
  END IF;

  INSERT INTO erp_webhook.money_object
    (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective, decided_by,
     fee, fee_currency, fee_by, value_date, payout_ref, bank_ref, end_to_end_id, refs, account_ref, facts)
  VALUES (company, e.source_id, 'payment', e.object_ref, e.object_ref, e.currency, e.amount,
    erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at), true, e.event_id,
    e.fee, fee_currency, CASE WHEN e.fee IS NOT NULL THEN e.event_id END,
    e.value_date, e.payout_ref, e.bank_ref, e.end_to_end_id, e.correlation, e.account_ref, ARRAY[e.event_id]);

  INSERT INTO erp_webhook.voucher
    (company_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
  VALUES (company, e.source_id, 'payment', e.object_ref, 1, e.event_id, booked_on, day, e.amount, e.currency,
    erp_webhook.voucher_digest(company, e.source_id, 'payment', e.object_ref, 1, e.event_id, booked_on, day,
      erp_webhook.entry_text(clearing, 'receivable', e.amount, e.currency)
      || CASE WHEN e.fee > 0 THEN erp_webhook.entry_text('fees', clearing, e.fee, fee_currency) ELSE '' END))
  RETURNING voucher_id INTO voucher;
  INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
  VALUES (company, voucher, 1, clearing, 'receivable', e.amount, e.currency);
  IF e.fee > 0 THEN
    INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    VALUES (company, voucher, 2, 'fees', clearing, e.fee, fee_currency);
  END IF;

  INSERT INTO erp_webhook.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
  VALUES (company, pays, e.source_id, 'payment', e.object_ref, e.amount);
  RETURN 1;
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_payment(int, erp_webhook.event) IS
  'the short path of settle() for one payment; raises EW002 where it does not lead to the result, or a unique violation where the payment is known: the caller then undoes it';

-- Many payments, each of an invoice of its own: one that two of them name is updated but once, and then the count is
-- short. Invoices in the order of their numbers; the join settings keep that order: a hash join would take the rows as
-- they lie, and two batches could deadlock. The plan and join settings are those of settle(), the only caller.
CREATE FUNCTION erp_webhook.settle_plain(company_id int, events erp_webhook.event[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET lock_timeout = '800ms'  -- see 74_scope
SET erp_webhook.settling = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_plain.company_id;
  house constant erp_webhook.house := erp_webhook.house_of(company);
  settled bigint;
BEGIN
  -- Joined by the company of the event, not by the constant: see keyed().
  WITH said AS MATERIALIZED (
    SELECT e.company_id, e.source_id, e.object_ref, e.event_id, e.amount::numeric AS amount, e.currency,
           e.correlation, e.account_ref,
           e.fee::numeric AS fee, CASE WHEN e.fee IS NOT NULL THEN coalesce(e.fee_currency, e.currency) END AS fee_currency,
           e.value_date, e.payout_ref, e.bank_ref, e.end_to_end_id, 'clearing:' || s.name AS clearing,
           erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at) AS moment,
           CASE WHEN house.time_zones > 1 THEN erp_webhook.day_of(company, coalesce(e.occurred_at, e.signed_at, e.received_at))
                ELSE (coalesce(e.occurred_at, e.signed_at, e.received_at) AT TIME ZONE house.time_zone)::date END AS day
    FROM unnest(events) e
    JOIN erp_webhook.source s ON s.company_id = e.company_id AND s.source_id = e.source_id
    WHERE erp_webhook.is_plain(e.kind, e.state, e.amount, e.currency, e.object_ref, e.payment_ref, e.subscription_ref,
                               e.correlation, e.correlation_amounts, e.origin)
    ORDER BY e.correlation[1] COLLATE "C"
  ), paid AS (
    UPDATE erp_webhook.invoice i
    SET paid = round(i.paid + f.amount, greatest(min_scale(i.paid + f.amount),
                 CASE i.currency WHEN house.currency THEN house.digits ELSE erp_webhook.digits_of(i.currency) END)),
        state = CASE WHEN i.due = f.amount THEN 'paid' ELSE 'partial' END
    FROM said f
    WHERE (SELECT count(*) FROM said) = cardinality(events)
      AND i.company_id = f.company_id AND i.number = f.correlation[1] AND i.currency = f.currency AND i.due >= f.amount
      AND i.state IN ('open', 'partial') AND i.written_off = 0 AND i.subscription_ref IS NULL AND i.erp_key IS NULL
      AND (house.tolerance IS NULL OR i.due = f.amount OR i.due - f.amount > house.tolerance)
    RETURNING f.*, i.invoice_id, nextval('erp_webhook.voucher_voucher_id_seq') AS voucher_id
  ), object AS (
    INSERT INTO erp_webhook.money_object
      (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective, decided_by,
       fee, fee_currency, fee_by, value_date, payout_ref, bank_ref, end_to_end_id, refs, account_ref, facts)
    SELECT company, p.source_id, 'payment', p.object_ref, p.object_ref, p.currency, p.amount, p.moment, true, p.event_id,
           p.fee, p.fee_currency, CASE WHEN p.fee IS NOT NULL THEN p.event_id END,
           p.value_date, p.payout_ref, p.bank_ref, p.end_to_end_id, p.correlation, p.account_ref, ARRAY[p.event_id]
    FROM paid p ORDER BY p.source_id, p.object_ref COLLATE "C"
  ), voucher AS (
    INSERT INTO erp_webhook.voucher
      (company_id, voucher_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
    SELECT company, p.voucher_id, p.source_id, 'payment', p.object_ref, 1, p.event_id,
           erp_webhook.open_day(p.day, house.closed_until), p.day, p.amount, p.currency,
           erp_webhook.voucher_digest(company, p.source_id, 'payment', p.object_ref, 1, p.event_id,
             erp_webhook.open_day(p.day, house.closed_until), p.day,
             erp_webhook.entry_text(p.clearing, 'receivable', p.amount, p.currency)
             || CASE WHEN p.fee > 0 THEN erp_webhook.entry_text('fees', p.clearing, p.fee, p.fee_currency) ELSE '' END)
    FROM paid p
  ), entry AS (
    INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    SELECT company, p.voucher_id, 1, p.clearing, 'receivable', p.amount, p.currency FROM paid p
    UNION ALL
    SELECT company, p.voucher_id, 2, 'fees', p.clearing, p.fee, p.fee_currency FROM paid p WHERE p.fee > 0
  ), allocation AS (
    INSERT INTO erp_webhook.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
    SELECT company, p.invoice_id, p.source_id, 'payment', p.object_ref, p.amount FROM paid p
  )
  SELECT count(*) INTO settled FROM paid;
  IF settled <> cardinality(events) THEN
    RAISE EXCEPTION USING ERRCODE = 'EW002', MESSAGE = 'not all are plain';
  END IF;
  RETURN settled;
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_plain(int, erp_webhook.event[]) IS
  'the short path of settle(); raises EW002 where it does not lead to the result, or a unique violation where something is known already: the caller then undoes it';

-- Which of many events may go the short path although others may not: those whose invoice has room and no other payer
-- in the call, of whose payment nothing is known, and which no other event of the call speaks of.
CREATE FUNCTION erp_webhook.part_plain(
  company_id int, events erp_webhook.event[], OUT plain erp_webhook.event[], OUT others erp_webhook.event[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := part_plain.company_id;
BEGIN
  WITH said AS (
    SELECT e::erp_webhook.event AS e, e.source_id, e.object_ref, e.payment_ref, e.correlation, e.amount, e.currency,
           coalesce(erp_webhook.is_plain(e.kind, e.state, e.amount, e.currency, e.object_ref, e.payment_ref, e.subscription_ref,
                                         e.correlation, e.correlation_amounts, e.origin), false) AS plain
    FROM unnest(events) e
  ), invoiced AS (
    SELECT s.e, count(*) OVER (PARTITION BY s.source_id, s.object_ref) = 1
           AND count(*) OVER (PARTITION BY i.invoice_id) = 1 AND s.amount <= i.due
           AND s.object_ref NOT IN (SELECT x.ref FROM said o CROSS JOIN LATERAL (VALUES (o.object_ref), (o.payment_ref)) x (ref)
                                    WHERE NOT o.plain AND x.ref IS NOT NULL)
           AND i.number NOT IN (SELECT n FROM said o CROSS JOIN LATERAL unnest(erp_webhook.numbers_in(o.correlation)) n
                                WHERE NOT o.plain)
           AND NOT EXISTS (SELECT FROM erp_webhook.money_object m WHERE m.company_id = company AND m.source_id = s.source_id
                             AND m.object = 'payment' AND m.object_ref = s.object_ref) AS plain
    FROM said s
    CROSS JOIN LATERAL (SELECT i.* FROM erp_webhook.invoice i
                        WHERE i.company_id = company AND i.number = s.correlation[1] AND i.currency = s.currency OFFSET 0) i
    WHERE s.plain AND i.state IN ('open', 'partial') AND i.written_off = 0 AND i.subscription_ref IS NULL AND i.erp_key IS NULL
  )
  SELECT (SELECT array_agg(i.e) FROM invoiced i WHERE i.plain),
         (SELECT array_agg(s.e) FROM said s WHERE (s.e).event_id NOT IN (SELECT (i.e).event_id FROM invoiced i WHERE i.plain))
  INTO plain, others;
  IF others IS NULL THEN  -- they were tried together, in vain
    others := plain;
    plain := NULL;
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.part_plain(int, erp_webhook.event[]) IS
  'events parted: plain payments that nothing else of the call concerns, and the others';
