-- The short path: payments that name one open invoice with enough due, and of which nothing else is known.
--
-- Why the result is the same: where an invoice has room left after all that is allocated to it, no receipt was cut short
-- there, so one more receipt that fits changes nobody else's share, whatever its place in the order; and a receipt that
-- is spent on the first invoice it names leaves nothing for a second pass. So one conditional UPDATE decides it: it waits
-- for whoever holds the invoice and looks again at the row it then finds. No other row need be locked or read.
--
-- One statement for the whole batch, invoices in the order of their numbers. The join settings keep that order: a hash
-- join would take the rows as they lie, and two batches could deadlock.

CREATE FUNCTION erp_webhook.is_plain(e erp_webhook.event) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (e).kind = 'payment.succeeded' AND (e).state = 'applied' AND (e).amount > 0 AND (e).currency IS NOT NULL
   AND (e).object_ref IS NOT NULL AND coalesce((e).payment_ref, (e).object_ref) = (e).object_ref AND (e).subscription_ref IS NULL
   AND array_length((e).correlation, 1) = 1 AND (e).correlation_amounts IS NULL AND (e).origin <> 'person';
COMMENT ON FUNCTION erp_webhook.is_plain(erp_webhook.event) IS 'may an event go the short path, as far as it says itself?';

CREATE FUNCTION erp_webhook.settle_plain(company_id int, events erp_webhook.event[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '800ms'  -- see 74_scope
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_plain.company_id;
  tz constant text := erp_webhook.policy_on(company, 'time_zone', NULL);
  closed constant date := erp_webhook.closed_until(company);
  tolerance constant numeric := (SELECT max(p.value::numeric) FROM erp_webhook.policy p WHERE p.company_id = company AND p.policy = 'tolerance');
  home constant text := (SELECT c.currency FROM erp_webhook.company c WHERE c.company_id = company);
  digits constant int := erp_webhook.digits_of(home);
  settled bigint;
BEGIN
  -- Joined by the company of the event, not by the constant: see keyed().
  WITH fact AS MATERIALIZED (
    SELECT e.company_id, e.source_id, e.object_ref, e.event_id, e.amount::numeric AS amount, e.currency, e.correlation, e.account_ref,
           e.fee, CASE WHEN e.fee IS NOT NULL THEN coalesce(e.fee_currency, e.currency) END AS fee_currency, e.value_date, e.payout_ref, e.bank_ref, e.end_to_end_id,
           coalesce(e.occurred_at, e.signed_at, e.received_at) AS at, erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at) AS moment,
           i.invoice_id, i.number, 'clearing:' || s.name AS clearing, nextval('erp_webhook.voucher_voucher_id_seq') AS voucher_id
    FROM unnest(events) e
    JOIN erp_webhook.source s ON s.company_id = e.company_id AND s.source_id = e.source_id
    JOIN erp_webhook.invoice i ON i.company_id = e.company_id AND i.number = e.correlation[1] AND i.currency = e.currency
  ), paid AS (
    UPDATE erp_webhook.invoice i
    SET paid = round(i.paid + p.amount, greatest(min_scale(i.paid + p.amount), CASE i.currency WHEN home THEN digits ELSE erp_webhook.digits_of(i.currency) END)),
        state = CASE WHEN i.due = p.amount THEN 'paid' ELSE 'partial' END
    FROM (SELECT f.company_id, f.invoice_id, sum(f.amount) AS amount FROM fact f
          GROUP BY f.company_id, f.invoice_id, f.number ORDER BY f.number COLLATE "C") p
    WHERE i.company_id = p.company_id AND i.invoice_id = p.invoice_id AND i.due >= p.amount
      AND i.state IN ('open', 'partial') AND i.written_off = 0 AND i.subscription_ref IS NULL AND i.erp_key IS NULL
      AND (tolerance IS NULL OR i.due = p.amount OR i.due - p.amount > tolerance)
    RETURNING 1
  ), object AS (
    INSERT INTO erp_webhook.money_object AS o (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective, decided_by,
      fee, fee_currency, fee_by, value_date, payout_ref, bank_ref, end_to_end_id, refs, account_ref, facts)
    SELECT company, f.source_id, 'payment', f.object_ref, f.object_ref, f.currency, f.amount, f.moment, true, f.event_id,
           f.fee, f.fee_currency, CASE WHEN f.fee IS NOT NULL THEN f.event_id END,
           f.value_date, f.payout_ref, f.bank_ref, f.end_to_end_id, f.correlation, f.account_ref, ARRAY[f.event_id]
    FROM fact f ORDER BY f.source_id, f.object_ref COLLATE "C"
  ), voucher AS (
    INSERT INTO erp_webhook.voucher AS v (company_id, voucher_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
    SELECT company, f.voucher_id, f.source_id, 'payment', f.object_ref, 1, f.event_id, b.booked_on, d.day, f.amount, f.currency,
           erp_webhook.voucher_digest(company, f.source_id, 'payment', f.object_ref, 1, f.event_id, b.booked_on, d.day,
             erp_webhook.entry_text(f.clearing, 'receivable', f.amount, f.currency)
             || CASE WHEN f.fee > 0 THEN erp_webhook.entry_text('fees', f.clearing, f.fee, f.fee_currency) ELSE '' END)
    FROM fact f
    CROSS JOIN LATERAL (SELECT (f.at AT TIME ZONE tz)::date AS day) d
    CROSS JOIN LATERAL (SELECT CASE WHEN d.day > closed THEN d.day ELSE closed + 1 END AS booked_on) b
  ), entry AS (
    INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    SELECT company, f.voucher_id, 1, f.clearing, 'receivable', f.amount, f.currency FROM fact f
    UNION ALL
    SELECT company, f.voucher_id, 2, 'fees', f.clearing, f.fee, f.fee_currency FROM fact f WHERE f.fee > 0
  ), allocation AS (
    INSERT INTO erp_webhook.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
    SELECT company, f.invoice_id, f.source_id, 'payment', f.object_ref, f.amount FROM fact f
  )
  SELECT cardinality(events) INTO settled
  WHERE (SELECT count(*) FROM fact) = cardinality(events) AND (SELECT count(*) FROM paid) = (SELECT count(DISTINCT f.invoice_id) FROM fact f);
  IF settled IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'EW002', MESSAGE = 'not plain after all';
  END IF;
  RETURN settled;
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_plain(int, erp_webhook.event[]) IS
  'the short path of settle(); raises EW002 where it does not lead to the result, or a unique violation where something is known already: the caller then undoes it';
