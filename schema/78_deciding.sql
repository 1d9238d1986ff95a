-- What people decide: policies, links, voids, and facts by hand. Each settles again what it touches.

CREATE FUNCTION erp_webhook.company_named(company text) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found int := (SELECT c.company_id FROM erp_webhook.company c WHERE c.name = company_named.company);
BEGIN
  IF found IS NULL THEN
    RAISE EXCEPTION 'there is no company "%"', company USING ERRCODE = 'undefined_object';
  END IF;
  RETURN found;
END
$$;
COMMENT ON FUNCTION erp_webhook.company_named(text) IS 'the id of a company; raises where there is none';

CREATE FUNCTION erp_webhook.source_named(source text, OUT company_id int, OUT source_id int)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  SELECT n.company_id, n.source_id INTO company_id, source_id FROM erp_webhook.source_name n WHERE n.name = source_named.source;
  IF source_named.source_id IS NULL THEN
    RAISE EXCEPTION 'there is no source "%"', source USING ERRCODE = 'undefined_object';
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.source_named(text) IS 'the company and id of a source; raises where there is none';

-- Everything once more, in portions. On sound books it finds nothing to post.
CREATE FUNCTION erp_webhook.settle_again(company text) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(settle_again.company);
  facts erp_webhook.event[];
  ids bigint[];
  after bigint := 0;
  posted int := 0;
BEGIN
  LOOP
    SELECT array_agg(e::erp_webhook.event), max(e.event_id) INTO facts, after
    FROM (SELECT * FROM erp_webhook.event e WHERE e.company_id = this AND e.event_id > after AND e.state = 'applied' ORDER BY e.event_id LIMIT 1000) e;
    EXIT WHEN facts IS NULL;
    posted := posted + erp_webhook.settle(this, facts);
  END LOOP;
  after := 0;
  LOOP
    SELECT array_agg(i.invoice_id), max(i.invoice_id) INTO ids, after
    FROM (SELECT i.invoice_id FROM erp_webhook.invoice i WHERE i.company_id = this AND i.invoice_id > after ORDER BY i.invoice_id LIMIT 1000) i;
    EXIT WHEN ids IS NULL;
    posted := posted + erp_webhook.settle_invoices(this, ids);
  END LOOP;
  RETURN posted;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_again(text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_again(text) IS 'ask again what ought to be booked of everything; returns the vouchers posted: 0 on sound books';

-- The first value holds from the beginning. A later one holds from its day, by default the first open one, so that what
-- was closed keeps the policy it was booked under; where nothing is closed, that is the beginning too.
CREATE FUNCTION erp_webhook.set_policy(company text, policy text, value text, valid_from date DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(set_policy.company);
  closed constant date := erp_webhook.closed_until(this);
  open_from constant date := CASE WHEN closed = '-infinity' THEN '-infinity'::date ELSE closed + 1 END;
  from_day date := set_policy.valid_from;
BEGIN
  PERFORM erp_webhook.check_policy(set_policy.policy, set_policy.value);
  IF set_policy.policy = 'closed_until' THEN
    from_day := coalesce(from_day, set_policy.value::date);
  ELSIF EXISTS (SELECT FROM erp_webhook.policy p WHERE p.company_id = this AND p.policy = set_policy.policy)
     OR EXISTS (SELECT FROM erp_webhook.voucher v WHERE v.company_id = this AND v.booked_on <= closed) THEN
    from_day := coalesce(from_day, open_from);
    IF closed > '-infinity' AND from_day <= closed THEN
      RAISE EXCEPTION 'policy "%" cannot change on %: the books are closed until %', set_policy.policy, from_day, closed
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- For what is booked and closed, the default was the first value.
    IF NOT EXISTS (SELECT FROM erp_webhook.policy p WHERE p.company_id = this AND p.policy = set_policy.policy) AND from_day > '-infinity' THEN
      INSERT INTO erp_webhook.policy (company_id, policy, valid_from, value)
      VALUES (this, set_policy.policy, '-infinity', erp_webhook.policy_default(set_policy.policy));
    END IF;
  ELSE
    from_day := coalesce(from_day, '-infinity');
  END IF;
  INSERT INTO erp_webhook.policy AS p (company_id, policy, valid_from, value, set_at) VALUES (this, set_policy.policy, from_day, set_policy.value, clock_timestamp())
  ON CONFLICT ON CONSTRAINT policy_pkey DO UPDATE SET value = EXCLUDED.value, set_at = EXCLUDED.set_at, set_by = EXCLUDED.set_by;
  IF set_policy.policy NOT IN ('closed_until', 'time_zone') THEN
    PERFORM erp_webhook.settle_again(set_policy.company);
  END IF;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.set_policy(text, text, text, date) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.set_policy(text, text, text, date) IS 'say from when on a company books which way';
