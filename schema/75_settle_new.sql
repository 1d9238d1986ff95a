-- New invoices. Most are spoken of by nobody yet and need only their voucher; the others settle what waits for them.

-- Which of new invoices something already known may concern: a reference, a subscription, money of the account that
-- goes to its oldest invoices. That fills them in their order: where an older one has room, none of it comes so far.
-- Asked after meeting whoever names one just now.
CREATE FUNCTION erp_webhook.spoken_of(company_id int, invoices bigint[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := spoken_of.company_id;
  by_due_date constant boolean := EXISTS (SELECT FROM erp_webhook.policy p
    WHERE p.company_id = company AND p.policy = 'allocate' AND p.value = 'due_date');
BEGIN
  RETURN ARRAY(
    SELECT i.invoice_id FROM erp_webhook.invoice i
    WHERE i.company_id = company AND i.invoice_id = ANY (invoices)
      AND (i.total = i.tax
           OR EXISTS (SELECT FROM erp_webhook.reference r WHERE r.company_id = i.company_id AND r.ref = i.number)
           OR i.subscription_ref IS NOT NULL AND (
             EXISTS (SELECT FROM erp_webhook.subscription s
                     WHERE s.company_id = i.company_id AND s.subscription_ref = i.subscription_ref)
             OR EXISTS (SELECT FROM erp_webhook.money_object o
                        WHERE o.company_id = i.company_id AND o.subscription_ref = i.subscription_ref))
           OR by_due_date
             AND EXISTS (SELECT FROM erp_webhook.receipt_standing r
                         WHERE r.company_id = i.company_id AND r.account_id = i.account_id)
             AND NOT EXISTS (SELECT FROM erp_webhook.invoice o
                             WHERE o.company_id = i.company_id AND o.account_id = i.account_id AND o.currency = i.currency
                               AND o.due_on <= i.due_on AND (o.due_on, o.number COLLATE "C") < (i.due_on, i.number COLLATE "C")
                               AND o.state <> 'void' AND o.total - o.elsewhere - o.paid - o.credited > 0)));
END
$$;
COMMENT ON FUNCTION erp_webhook.spoken_of(int, bigint[]) IS 'new invoices that something known may concern';

CREATE FUNCTION erp_webhook.issue(company_id int, invoices bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  company constant int := issue.company_id;
  closed date;
  numbers text[];
  concerned bigint[];
  by_due_date boolean;
BEGIN
  PERFORM erp_webhook.keep_policies(company);
  by_due_date := EXISTS (SELECT FROM erp_webhook.policy p
    WHERE p.company_id = company AND p.policy = 'allocate' AND p.value = 'due_date');
  closed := erp_webhook.closed_until(company);
  SELECT array_agg(i.number) INTO numbers FROM erp_webhook.invoice i WHERE i.company_id = company AND i.invoice_id = ANY (invoices);
  BEGIN
    PERFORM erp_webhook.meet(company, array_fill('invoice'::text, ARRAY[cardinality(numbers)]), numbers);
    IF by_due_date THEN
      -- Money of the account may be on its way to the oldest invoice just now, and could not see these.
      PERFORM FROM erp_webhook.account a
      WHERE a.company_id = company AND a.account_id IN (
        SELECT i.account_id FROM erp_webhook.invoice i WHERE i.company_id = company AND i.invoice_id = ANY (invoices))
      ORDER BY a.account_id FOR NO KEY UPDATE;
    END IF;
    concerned := erp_webhook.spoken_of(company, invoices);
    IF concerned <> '{}' AND cardinality(invoices) <= 100 THEN
      RAISE EXCEPTION USING ERRCODE = 'EW001', MESSAGE = 'spoken of';
    END IF;
  EXCEPTION WHEN SQLSTATE 'EW001' THEN
    -- Let go of again: the long way takes more meetings than these, and they come before accounts. Only in a load of
    -- many do those that something waits for go alone.
    PERFORM erp_webhook.settle_invoices(company, invoices, created => true);
    RETURN;
  END;

  WITH issued AS MATERIALIZED (
    SELECT i.number, i.total - i.tax AS sold, i.tax, i.currency, nextval('erp_webhook.voucher_voucher_id_seq') AS voucher_id,
           coalesce(i.issued_on, CURRENT_DATE) AS day,
           erp_webhook.open_day(coalesce(i.issued_on, CURRENT_DATE), closed) AS booked_on
    FROM erp_webhook.invoice i
    WHERE i.company_id = company AND i.invoice_id = ANY (invoices) AND (concerned = '{}' OR i.invoice_id <> ALL (concerned))
      -- An earlier portion of the same load may have settled the whole account.
      AND NOT (by_due_date AND EXISTS (SELECT FROM erp_webhook.voucher v
               WHERE v.company_id = company AND v.source_id = 0 AND v.object = 'invoice' AND v.object_ref = i.number))
  ), voucher AS (
    INSERT INTO erp_webhook.voucher
      (company_id, voucher_id, source_id, object, object_ref, step, booked_on, occurred_on, amount, currency, digest)
    SELECT company, i.voucher_id, 0, 'invoice', i.number, 1, i.booked_on, i.day, i.sold, i.currency,
           erp_webhook.voucher_digest(company, 0, 'invoice', i.number, 1, NULL, i.booked_on, i.day,
             erp_webhook.entry_text('receivable', 'revenue', i.sold, i.currency)
             || CASE WHEN i.tax > 0 THEN erp_webhook.entry_text('receivable', 'tax', i.tax, i.currency) ELSE '' END)
    FROM issued i
  )
  INSERT INTO erp_webhook.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
  SELECT company, i.voucher_id, 1, 'receivable', 'revenue', i.sold, i.currency FROM issued i
  UNION ALL
  SELECT company, i.voucher_id, 2, 'receivable', 'tax', i.tax, i.currency FROM issued i WHERE i.tax > 0;

  IF concerned <> '{}' THEN
    PERFORM erp_webhook.settle_invoices(company, concerned, created => true);
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.issue(int, bigint[]) IS 'book new invoices, and settle what waited for them';
