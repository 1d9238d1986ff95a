-- Summing the ledger by day (46_day_sum.sql), and reading it.

-- One step for one company: add what is certain by now, then note how far the next step may go.
CREATE FUNCTION erp_webhook.sum_days_of(company_id int) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  now_ erp_webhook.day_sum_state;
  given bigint;
BEGIN
  INSERT INTO erp_webhook.day_sum_state (company_id) VALUES (company_id) ON CONFLICT DO NOTHING;
  SELECT * INTO now_ FROM erp_webhook.day_sum_state s WHERE s.company_id = company_id FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  -- Ids of the future are those of another cluster, before a restore: begin that step again.
  IF now_.pending_xid <= pg_snapshot_xmin(pg_current_snapshot()) THEN
    INSERT INTO erp_webhook.day_sum AS d (company_id, booked_on, object, debit, credit, currency, amount)
    SELECT company_id, v.booked_on, v.object, e.debit, e.credit, e.currency, sum(e.amount)
    FROM erp_webhook.voucher v JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
    WHERE v.company_id = company_id AND v.voucher_id > now_.upto AND v.voucher_id <= now_.pending
    GROUP BY v.booked_on, v.object, e.debit, e.credit, e.currency
    ON CONFLICT ON CONSTRAINT day_sum_pkey DO UPDATE SET amount = d.amount + EXCLUDED.amount;
    now_.upto := now_.pending;
  ELSIF now_.pending_xid <= pg_snapshot_xmax(pg_current_snapshot()) THEN
    RETURN;
  END IF;
  -- In this order: a number given before the first statement belongs to a transaction
  -- that the second one's snapshot knows.
  SELECT last_value INTO given FROM erp_webhook.voucher_voucher_id_seq;
  UPDATE erp_webhook.day_sum_state s
  SET upto = now_.upto, pending = given, pending_xid = pg_snapshot_xmax(pg_current_snapshot())
  WHERE s.company_id = company_id;
END
$$;
COMMENT ON FUNCTION erp_webhook.sum_days_of(int) IS
  'one step of summing a company''s ledger by day; it takes two for a voucher to be in the sums';

CREATE FUNCTION erp_webhook.sum_days() RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$ SELECT erp_webhook.sum_days_of(c.company_id) FROM erp_webhook.company c ORDER BY c.company_id $$;
COMMENT ON FUNCTION erp_webhook.sum_days() IS
  'worker, every hour: sum the ledgers of all companies by day, as far as it is certain';

-- The plan is made for the number it is asked with: how few vouchers come after it decides how they are found.
CREATE FUNCTION erp_webhook.ledger_moves(company_id int, from_date date, to_date date)
RETURNS TABLE (booked_on date, object text, debit text, credit text, currency text, amount numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  summed bigint := coalesce((SELECT s.upto FROM erp_webhook.day_sum_state s WHERE s.company_id = ledger_moves.company_id), 0);
BEGIN
  RETURN QUERY
  SELECT d.booked_on, d.object, d.debit, d.credit, d.currency, d.amount::numeric FROM erp_webhook.day_sum d
  WHERE d.company_id = ledger_moves.company_id AND d.booked_on BETWEEN ledger_moves.from_date AND ledger_moves.to_date
  UNION ALL
  SELECT v.booked_on, v.object, e.debit, e.credit, e.currency, sum(e.amount)
  FROM erp_webhook.voucher v JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
  WHERE v.company_id = ledger_moves.company_id AND v.voucher_id > summed AND e.voucher_id > summed
    AND v.booked_on BETWEEN ledger_moves.from_date AND ledger_moves.to_date
  GROUP BY 1, 2, 3, 4, 5;
END
$$;
COMMENT ON FUNCTION erp_webhook.ledger_moves(int, date, date) IS
  'the ledger of the days given, summed by day, kind of object, debit and credit account and currency (a group may come in two rows: what was summed before, and what came since)';
