-- What ought to be booked, and the one place that books it (SETTLEMENT 1 to 3).
--
-- The rules stand in two tables of VALUES: when it holds, what is debited, what is credited, how much. A rule that no
-- longer holds gives zero, with the fact that ended it, so that the difference knows its day.

CREATE TYPE erp_webhook.booking AS (
  source_id int, object text, object_ref text, debit text, credit text, currency text, amount numeric, event_id bigint, day date);
COMMENT ON TYPE erp_webhook.booking IS 'one line that ought to be booked of an object, and the fact that says so';

CREATE FUNCTION erp_webhook.bank_account(settings jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'bank' || coalesce(':' || nullif(settings->>'bank', ''), '');
COMMENT ON FUNCTION erp_webhook.bank_account(jsonb) IS
  'the ledger account of a source''s bank: settings.bank names it where there are several';

CREATE FUNCTION erp_webhook.day_of_event(company_id int, event_id bigint) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT erp_webhook.day_of(e.company_id, coalesce(e.occurred_at, e.signed_at, e.received_at))
        FROM erp_webhook.event e WHERE e.company_id = day_of_event.company_id AND e.event_id = day_of_event.event_id);
END
$$;
COMMENT ON FUNCTION erp_webhook.day_of_event(int, bigint) IS 'the day of a fact';

CREATE FUNCTION erp_webhook.arrives_on_paid(company_id int, event_id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN erp_webhook.policy_on(company_id, 'payout_arrives', erp_webhook.day_of_event(company_id, event_id)) = 'on_paid';
END
$$;
COMMENT ON FUNCTION erp_webhook.arrives_on_paid(int, bigint) IS
  'does a payout of that fact''s day arrive by itself, or wait for its bank line?';

-- Whom a provider's name for a customer stands for. A person who assigns says an account number outright.
CREATE FUNCTION erp_webhook.linked_account(company_id int, source_id int, account_ref text) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN coalesce(
  (SELECT l.account_id FROM erp_webhook.account_link l
   WHERE l.company_id = linked_account.company_id AND l.source_id = linked_account.source_id AND l.external_ref = account_ref),
  (SELECT a.account_id FROM erp_webhook.account a
   WHERE a.company_id = linked_account.company_id AND account_ref LIKE 'account_no:%' AND a.account_no = substr(account_ref, 12)));
END
$$;
COMMENT ON FUNCTION erp_webhook.linked_account(int, int, text) IS 'the account a provider''s customer is linked to';

-- A reference is an invoice number if there is such an invoice; else its words are.
CREATE FUNCTION erp_webhook.words(reference text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN reference ~ '[,;|\s]' THEN array_remove(regexp_split_to_array(reference, '[,;|\s]+'), '')
            ELSE ARRAY[reference] END;
COMMENT ON FUNCTION erp_webhook.words(text) IS 'a reference split at comma, semicolon, bar and white space';

CREATE FUNCTION erp_webhook.numbers_in(refs text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT n.number), '{}')
        FROM unnest(refs) r (ref) CROSS JOIN LATERAL (SELECT r.ref UNION SELECT unnest(erp_webhook.words(r.ref))) n (number)
        WHERE n.number <> '');
END
$$;
COMMENT ON FUNCTION erp_webhook.numbers_in(text[]) IS 'every invoice number that references may mean: each whole, and its words';

-- A debit of the bank concerns a customer only if it names one: by a receipt it takes back, an invoice,
-- or a linked account.
CREATE FUNCTION erp_webhook.debit_concerns(company_id int, o erp_webhook.money_object) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN CASE
  WHEN EXISTS (SELECT FROM erp_webhook.money_object r
               WHERE r.company_id = debit_concerns.company_id AND r.source_id = (o).source_id
                 AND r.object IN ('payment', 'bank') AND r.object_ref = (o).payment_ref
                 AND r.succeeded_at IS NOT NULL AND NOT r.debit_side) THEN 'receipt'
  WHEN EXISTS (SELECT FROM erp_webhook.invoice i
               WHERE i.company_id = debit_concerns.company_id
                 AND i.number = ANY (erp_webhook.numbers_in((o).refs))) THEN 'invoice'
  WHEN erp_webhook.linked_account(debit_concerns.company_id, (o).source_id, (o).account_ref) IS NOT NULL THEN 'account'
END;
END
$$;
COMMENT ON FUNCTION erp_webhook.debit_concerns(int, erp_webhook.money_object) IS
  'what makes a bank debit a customer''s: receipt, invoice, account; NULL: nothing, it waits in bank_unassigned';

-- A cumulative refund adds what it exceeds the refunds we know by themselves, failed later or not.
CREATE FUNCTION erp_webhook.refunded_unseen(company_id int, source_id int, payment_ref text, currency text, total numeric)
RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN greatest(0, total - (
  SELECT coalesce(sum(r.amount), 0) FROM erp_webhook.money_object r
  WHERE r.company_id = refunded_unseen.company_id AND r.source_id = refunded_unseen.source_id
    AND r.payment_ref = refunded_unseen.payment_ref AND (r.object <> 'payment' OR r.object_ref <> r.payment_ref)
    AND r.object = 'refund' AND r.currency = refunded_unseen.currency AND r.succeeded_at IS NOT NULL));
END
$$;
COMMENT ON FUNCTION erp_webhook.refunded_unseen(int, int, text, text, numeric) IS
  'SETTLEMENT 1.6: a cumulative refund less the refunds known one by one';

CREATE FUNCTION erp_webhook.ought_of_objects(company_id int, keys erp_webhook.object_key[]) RETURNS SETOF erp_webhook.booking
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH known AS (
    SELECT o.*, 'clearing:' || s.name AS clearing,
           CASE WHEN o.object = 'bank' THEN erp_webhook.line_bank(o.company_id, o.source_id, o.object_ref)
                ELSE erp_webhook.bank_account(s.settings) END AS bank,
           CASE WHEN o.effective THEN o.amount ELSE 0 END AS counts,
           CASE WHEN o.object = 'bank' AND o.debit_side THEN erp_webhook.debit_concerns(o.company_id, o) END AS concerns,
           CASE WHEN o.object = 'bank' AND o.debit_side
                THEN erp_webhook.line_account(o.company_id, o.source_id, o.object_ref) END AS goes_to
    FROM erp_webhook.objects_at(ought_of_objects.company_id,
           ARRAY(SELECT DISTINCT k::erp_webhook.object_key FROM unnest(ought_of_objects.keys) k)) o
    JOIN erp_webhook.source s ON s.company_id = o.company_id AND s.source_id = o.source_id
    WHERE o.succeeded_at IS NOT NULL
  )
  SELECT o.source_id, r.books, o.object_ref, r.debit, r.credit, r.currency, coalesce(r.amount, 0), r.event_id,
         coalesce(r.day, erp_webhook.day_of_event(o.company_id, r.event_id))
  FROM known o
  CROSS JOIN LATERAL (VALUES
    -- A payment, each capture: the provider holds it for us, the customer owes it no more.
    (o.object = 'payment' AND NOT o.reversal, 'payment', o.clearing, 'receivable', o.currency, o.counts, o.decided_by, NULL::date),
    -- What went back to the customer, by reversal, refund or dispute, is owed again.
    (o.object = 'payment' AND o.reversal, 'payment', 'receivable', o.clearing, o.currency, o.counts, o.decided_by, NULL),
    (o.object IN ('refund', 'withdrawn'), o.object, 'receivable', o.clearing, o.currency, o.counts, o.decided_by, NULL),
    (o.object = 'refund_total', 'refund_total', 'receivable', o.clearing, o.currency,
       CASE WHEN o.object = 'refund_total'
            THEN erp_webhook.refunded_unseen(o.company_id, o.source_id, o.payment_ref, o.currency, o.amount) END,
       o.decided_by, NULL),
    (o.object = 'reinstated', 'reinstated', o.clearing, 'receivable', o.currency, o.counts, o.decided_by, NULL),
    -- A fee, of whatever object, is taken where the money is, and stays when the object is taken back.
    (o.fee IS NOT NULL, o.object, 'fees', CASE WHEN o.object = 'bank' THEN o.bank ELSE o.clearing END,
       o.fee_currency, o.fee, o.fee_by, NULL),
    -- A payout leaves the provider, and then arrives.
    (o.object = 'payout', 'payout', 'in_transit', o.clearing, o.currency, o.counts, o.decided_by, NULL),
    (o.object = 'payout', 'arrival', o.bank, 'in_transit', o.currency,
       CASE WHEN o.object = 'payout'
              AND erp_webhook.arrives_by_itself(o.company_id, o.source_id, o.object_ref, o.denomination, o.decided_by)
            THEN o.counts ELSE 0 END,
       o.decided_by, CASE WHEN o.effective THEN o.value_date END),
    -- Money changed at the provider.
    (o.object = 'conversion', 'conversion', 'exchange', o.clearing, o.currency, o.counts, o.decided_by, NULL),
    (o.object = 'conversion', 'conversion', o.clearing, 'exchange', o.to_currency, o.to_amount, o.decided_by, NULL),
    -- A bank line: what comes in is a customer's, what goes out only if it says whose.
    (o.object = 'bank' AND NOT o.debit_side, 'bank', o.bank, 'receivable', o.currency, o.counts, o.decided_by, o.value_date),
    (o.object = 'bank' AND o.debit_side, 'bank',
       CASE WHEN o.concerns IS NULL THEN coalesce(o.goes_to, 'bank_unassigned') ELSE 'receivable' END, o.bank,
       o.currency, o.counts, o.decided_by, o.value_date)
  ) r (holds, books, debit, credit, currency, amount, event_id, day)
  WHERE r.holds AND r.currency IS NOT NULL
  UNION ALL
  SELECT a.source_id, 'arrival', a.object_ref, a.debit, 'in_transit', a.currency, a.amount, a.event_id, a.day
  FROM erp_webhook.arrivals(ought_of_objects.company_id, ought_of_objects.keys) a;
END
$$;
COMMENT ON FUNCTION erp_webhook.ought_of_objects(int, erp_webhook.object_key[]) IS
  'what ought to be booked of objects, rule by rule';

-- The rules of invoices. What they were credited and written off follows from allocation, which also says the fact
-- behind it.
CREATE TYPE erp_webhook.invoice_cause AS (
  invoice_id bigint, credited_by bigint, credited_on date, written_off_by bigint, written_off_on date);
COMMENT ON TYPE erp_webhook.invoice_cause IS
  'which facts, of which days, made an invoice''s credit notes and write-off what they are';

CREATE FUNCTION erp_webhook.ought_of_invoices(company_id int, causes erp_webhook.invoice_cause[]) RETURNS SETOF erp_webhook.booking
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH known AS (
    SELECT i.*, c.credited_by, c.credited_on, c.written_off_by, c.written_off_on, coalesce(i.issued_on, CURRENT_DATE) AS issued,
           CASE WHEN i.state = 'void' THEN 0 ELSE i.total - i.tax END AS sold,
           CASE WHEN i.state = 'void' THEN 0 ELSE i.tax END AS taxed,
           CASE WHEN i.tax > 0 THEN round(i.credited * i.tax / i.total, erp_webhook.digits_of(i.currency)) ELSE 0 END AS untaxed
    FROM (SELECT ought_of_invoices.company_id AS company_id, c.* FROM unnest(ought_of_invoices.causes) c OFFSET 0) c  -- see keyed()
    JOIN erp_webhook.invoice i ON i.company_id = c.company_id AND i.invoice_id = c.invoice_id
  )
  SELECT 0, r.books, i.number, r.debit, r.credit, i.currency, r.amount, r.event_id, coalesce(r.day, i.issued)
  FROM known i
  CROSS JOIN LATERAL (VALUES
    -- An invoice: the customer owes it, part of it is the tax office's. A bound ERP books its own.
    (i.erp_key IS NULL, 'invoice', 'receivable', 'revenue', i.sold, NULL::bigint, i.issued),
    (i.erp_key IS NULL, 'invoice', 'receivable', 'tax', i.taxed, NULL, i.issued),
    -- A credit note: the sale is taken back, and with it its share of the tax, rounded on the whole
    -- so that a full one is exact.
    (true, 'credit_note', 'returns', 'receivable', i.credited - i.untaxed, i.credited_by, i.credited_on),
    (true, 'credit_note', 'tax', 'receivable', i.untaxed, i.credited_by, i.credited_on),
    -- What is too little to ask for, or was given up.
    (true, 'write_off', 'write_off', 'receivable', i.written_off, i.written_off_by, i.written_off_on)
  ) r (holds, books, debit, credit, amount, event_id, day)
  WHERE r.holds;
END
$$;
COMMENT ON FUNCTION erp_webhook.ought_of_invoices(int, erp_webhook.invoice_cause[]) IS
  'what ought to be booked of invoices, rule by rule';

CREATE FUNCTION erp_webhook.booked_of(company_id int, keys erp_webhook.object_key[])
RETURNS TABLE (source_id int, object text, object_ref text, debit text, credit text, currency text, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  WITH asked AS (
    SELECT DISTINCT k.* FROM erp_webhook.keyed(booked_of.company_id, booked_of.keys) k
  )
  SELECT v.source_id, v.object, v.object_ref, least(e.debit, e.credit), greatest(e.debit, e.credit), e.currency,
         sum(CASE WHEN e.debit < e.credit THEN e.amount ELSE -e.amount END)
  FROM asked k
  CROSS JOIN LATERAL (SELECT v.* FROM erp_webhook.voucher v
                      WHERE v.company_id = k.company_id AND v.source_id = k.source_id
                        AND v.object = k.object AND v.object_ref = k.object_ref OFFSET 0) v
  CROSS JOIN LATERAL (SELECT e.* FROM erp_webhook.entry e
                      WHERE e.company_id = v.company_id AND e.voucher_id = v.voucher_id OFFSET 0) e
  GROUP BY v.source_id, v.object, v.object_ref, least(e.debit, e.credit), greatest(e.debit, e.credit), e.currency;
END;
COMMENT ON FUNCTION erp_webhook.booked_of(int, erp_webhook.object_key[]) IS
  'what is booked of objects, per pair of ledger accounts (first by name, debit positive)';

-- What is still to be posted: ought − booked, per object and pair of accounts,
-- each with the fact that made the difference.
CREATE FUNCTION erp_webhook.differences(company_id int, keys erp_webhook.object_key[], ought erp_webhook.booking[])
RETURNS SETOF erp_webhook.booking
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH due AS (
    SELECT o.source_id, o.object, o.object_ref, least(o.debit, o.credit) AS debit, greatest(o.debit, o.credit) AS credit,
           o.currency, sum(CASE WHEN o.debit < o.credit THEN o.amount ELSE -o.amount END) AS amount,
           max(o.event_id) AS event_id, max(o.day) AS day
    FROM unnest(differences.ought) o
    GROUP BY o.source_id, o.object, o.object_ref, least(o.debit, o.credit), greatest(o.debit, o.credit), o.currency
  ), difference AS (
    SELECT source_id, object, object_ref, debit, credit, currency,
           coalesce(d.amount, 0) - coalesce(b.amount, 0) AS amount, d.event_id, d.day
    FROM due d
    FULL JOIN erp_webhook.booked_of(differences.company_id, differences.keys) b
      USING (source_id, object, object_ref, debit, credit, currency)
  )
  SELECT f.source_id, f.object, f.object_ref,
         CASE WHEN f.amount > 0 THEN f.debit ELSE f.credit END, CASE WHEN f.amount > 0 THEN f.credit ELSE f.debit END,
         f.currency, abs(f.amount), coalesce(f.event_id, c.event_id), coalesce(f.day, c.day)
  FROM difference f
  LEFT JOIN LATERAL (
    SELECT max(d.event_id) AS event_id, max(d.day) AS day FROM due d
    -- Asked inside, not beside the join: else every line is compared with every other.
    WHERE f.day IS NULL AND (d.source_id, d.object, d.object_ref) = (f.source_id, f.object, f.object_ref)) c ON true
  WHERE f.amount <> 0;
END
$$;
COMMENT ON FUNCTION erp_webhook.differences(int, erp_webhook.object_key[], erp_webhook.booking[]) IS 'ought − booked';

-- The one place that posts. One voucher per object, its next step, dated by the fact or the first open day.
CREATE FUNCTION erp_webhook.post(company_id int, keys erp_webhook.object_key[], ought erp_webhook.booking[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := post.company_id;
  closed constant date := erp_webhook.closed_until(company);
  lines erp_webhook.booking[];
  posted bigint[];
BEGIN
  SELECT array_agg(d ORDER BY d.source_id, d.object, d.object_ref, d.debit, d.credit, d.currency)
  INTO lines FROM erp_webhook.differences(company, keys, ought) d;
  IF lines IS NULL THEN
    RETURN '{}';
  END IF;

  WITH head AS (
    SELECT l.source_id, l.object, l.object_ref, max(l.event_id) AS event_id, coalesce(max(l.day), CURRENT_DATE) AS day,
           (array_agg(l.amount ORDER BY l.n))[1] AS amount, (array_agg(l.currency ORDER BY l.n))[1] AS currency,
           string_agg(erp_webhook.entry_text(l.debit, l.credit, l.amount, l.currency), '' ORDER BY l.n) AS entries
    FROM unnest(lines) WITH ORDINALITY l (source_id, object, object_ref, debit, credit, currency, amount, event_id, day, n)
    GROUP BY l.source_id, l.object, l.object_ref
  ), stepped AS (
    SELECT h.*, erp_webhook.open_day(h.day, closed) AS booked_on,
           1 + coalesce((SELECT max(p.step) FROM erp_webhook.voucher p WHERE p.company_id = company AND p.source_id = h.source_id
                           AND p.object = h.object AND p.object_ref = h.object_ref), 0) AS step
    FROM head h
  ), voucher AS (
    INSERT INTO erp_webhook.voucher AS v
      (company_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
    SELECT company, h.source_id, h.object, h.object_ref, h.step, h.event_id, h.booked_on, h.day, h.amount, h.currency,
           erp_webhook.voucher_digest(company, h.source_id, h.object, h.object_ref, h.step, h.event_id,
             h.booked_on, h.day, h.entries)
    FROM stepped h ORDER BY h.source_id, h.object, h.object_ref
    RETURNING v.voucher_id, v.source_id, v.object, v.object_ref
  ), entry AS (
    INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    SELECT company, v.voucher_id, row_number() OVER (PARTITION BY v.voucher_id ORDER BY l.n),
           l.debit, l.credit, l.amount, l.currency
    FROM unnest(lines) WITH ORDINALITY l (source_id, object, object_ref, debit, credit, currency, amount, event_id, day, n)
    JOIN voucher v USING (source_id, object, object_ref)
  )
  SELECT array_agg(v.voucher_id ORDER BY v.voucher_id) INTO posted FROM voucher v;
  RETURN posted;
END
$$;
COMMENT ON FUNCTION erp_webhook.post(int, erp_webhook.object_key[], erp_webhook.booking[]) IS
  'post what differs; returns the vouchers';
