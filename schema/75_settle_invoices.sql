-- Invoices that appear or change: users INSERT, COPY and UPDATE them; triggers settle what that touches.

CREATE FUNCTION erp_webhook.settle_invoices(
  company_id int, invoices bigint[], accounts int[] DEFAULT '{}', subscriptions text[] DEFAULT '{}',
  created boolean DEFAULT false, voided boolean DEFAULT false)
RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_invoices.company_id;
  s erp_webhook.scope;
  numbers constant text[] := ARRAY(SELECT i.number FROM erp_webhook.invoice i
    WHERE i.company_id = settle_invoices.company_id AND i.invoice_id = ANY (settle_invoices.invoices));
BEGIN
  SELECT '{}', '{}', CASE WHEN settle_invoices.created THEN numbers ELSE '{}' END, '{}',
         erp_webhook.join_ids(settle_invoices.invoices, NULL), settle_invoices.accounts, '{}', '{}', '{}', '{}', NULL INTO s;
  -- An invoice may say whose the subscriptions are that name it.
  SELECT erp_webhook.join_names(settle_invoices.subscriptions, array_agg(u.subscription_ref)) INTO s.subscriptions
  FROM erp_webhook.reference r
  JOIN erp_webhook.subscription u ON u.company_id = company AND u.source_id = r.source_id AND u.subscription_ref = r.object_ref
  WHERE r.company_id = company AND r.ref = ANY (numbers) AND r.object = 'subscription';
  RETURN erp_webhook.settle_scope(company, s, NULL, CASE WHEN settle_invoices.voided THEN settle_invoices.invoices END);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_invoices(int, bigint[], int[], text[], boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_invoices(int, bigint[], int[], text[], boolean, boolean) IS
  'settle what waits for invoices that appeared or changed';

-- What cannot be paid exactly is not issued. Facts are held to the same (SETTLEMENT 1.9).
CREATE FUNCTION erp_webhook.check_decimals(currency text, given int) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF given > erp_webhook.digits_of(currency) THEN
    RAISE EXCEPTION 'an amount of % has at most % decimals, not %', currency, erp_webhook.digits_of(currency), given
      USING ERRCODE = 'check_violation';
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.check_decimals(text, int) IS 'raises where an amount has more decimals than its currency';

CREATE FUNCTION erp_webhook.settle_new_invoices() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  fresh record;
  decimals record;
BEGIN
  IF erp_webhook.restoring() THEN
    RETURN NULL;
  END IF;
  FOR decimals IN
    SELECT n.currency, max(greatest(min_scale(n.total), min_scale(n.tax))) AS given
    FROM new_invoice n WHERE n.erp_key IS NULL GROUP BY n.currency
  LOOP
    PERFORM erp_webhook.check_decimals(decimals.currency, decimals.given);
  END LOOP;
  -- A bulk load is settled in portions, so that memory stays flat.
  FOR fresh IN
    SELECT n.company_id, array_agg(n.invoice_id) AS ids,
           bool_or((n.paid, n.credited, n.written_off, n.elsewhere) <> (0, 0, 0, 0) OR n.state <> 'open') AS derived
    FROM (SELECT i.*, row_number() OVER (PARTITION BY i.company_id ORDER BY i.invoice_id) AS n FROM new_invoice i
          WHERE i.erp_key IS NULL) n  -- the shadow of an ERP's document is settled by whoever read it
    GROUP BY n.company_id, n.n / 10000 ORDER BY n.company_id, n.n / 10000
  LOOP
    IF fresh.derived THEN
      RAISE EXCEPTION 'paid, credited, written_off and state of an invoice are derived' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM erp_webhook.issue(fresh.company_id, fresh.ids);
  END LOOP;
  -- The first load into an empty table: sessions that have planned for one, and will not be told for a minute that it
  -- is none, would read all of it for each payment.
  IF (SELECT count(*) FROM new_invoice) >= 1000
     AND (SELECT c.reltuples < 0 FROM pg_class c WHERE c.oid = 'erp_webhook.invoice'::regclass) THEN
    ANALYZE erp_webhook.invoice;
  END IF;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_new_invoices() FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_new_invoices() IS 'trigger: books new invoices, and settles what waited for them';
CREATE TRIGGER settle_new_invoices AFTER INSERT ON erp_webhook.invoice REFERENCING NEW TABLE AS new_invoice
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.settle_new_invoices();

-- Who corrects invoices holds their rows before we are asked for anything else. Two at once, each with what the other
-- needs next, could only be a deadlock; so one waits before it holds any.
CREATE FUNCTION erp_webhook.correct_in_turn() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock('erp_webhook.invoice'::regclass::oid::int, 0);
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.correct_in_turn() FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.correct_in_turn() IS 'trigger: one transaction at a time corrects invoices by UPDATE';
CREATE TRIGGER correct_in_turn BEFORE UPDATE OF total, tax, account_id, due_on, issued_on, subscription_ref ON erp_webhook.invoice
  FOR EACH STATEMENT WHEN (NOT erp_webhook.is_settling())
  EXECUTE FUNCTION erp_webhook.correct_in_turn();

CREATE FUNCTION erp_webhook.settle_changed_invoice() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  held boolean;
BEGIN
  IF NOT erp_webhook.restoring() THEN
    -- We hold the row already. Waiting long for set_policy() now, which may want that row, would be a deadlock; one
    -- that is just done lets go of its rows a moment before.
    FOR moment IN 1 .. 50 LOOP
      held := pg_try_advisory_xact_lock_shared('erp_webhook.policy'::regclass::oid::int, NEW.company_id);
      EXIT WHEN held;
      PERFORM pg_sleep(0.01);
    END LOOP;
    IF NOT held THEN
      RAISE EXCEPTION 'a policy of this company is just being changed'
        USING ERRCODE = 'lock_not_available', HINT = 'Try again when it is done.';
    END IF;
    PERFORM erp_webhook.check_decimals(NEW.currency, greatest(min_scale(NEW.total), min_scale(NEW.tax)));
    PERFORM erp_webhook.settle_invoices(NEW.company_id, ARRAY[NEW.invoice_id], ARRAY[OLD.account_id, NEW.account_id],
      ARRAY[OLD.subscription_ref, NEW.subscription_ref]);
  END IF;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_changed_invoice() FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_changed_invoice() IS 'trigger: settles again what a corrected invoice changes';
CREATE TRIGGER settle_changed_invoice
  AFTER UPDATE OF total, tax, account_id, due_on, issued_on, subscription_ref ON erp_webhook.invoice
  FOR EACH ROW WHEN (NEW.erp_key IS NULL AND (OLD.total, OLD.tax, OLD.account_id, OLD.due_on, OLD.issued_on, OLD.subscription_ref)
    IS DISTINCT FROM (NEW.total, NEW.tax, NEW.account_id, NEW.due_on, NEW.issued_on, NEW.subscription_ref))
  EXECUTE FUNCTION erp_webhook.settle_changed_invoice();
