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
  PERFORM erp_webhook.check_named(found);
  RETURN found;
END
$$;
COMMENT ON FUNCTION erp_webhook.company_named(text) IS
  'the id of a company that the caller may administer; raises where there is none';

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
  PERFORM erp_webhook.check_named(source_named.company_id);
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
    FROM (SELECT * FROM erp_webhook.event e WHERE e.company_id = this AND e.event_id > after AND e.state = 'applied'
          ORDER BY e.event_id LIMIT 256) e;
    EXIT WHEN facts IS NULL;
    posted := posted + erp_webhook.settle(this, facts);
  END LOOP;
  -- An account's invoices together: where money goes to the oldest, any of them means all of them.
  FOR ids IN
    SELECT array_agg(i.invoice_id)
    FROM (SELECT i.account_id, (sum(count(*)) OVER (ORDER BY i.account_id))::bigint / 1000 AS portion
          FROM erp_webhook.invoice i WHERE i.company_id = this GROUP BY i.account_id) a
    JOIN erp_webhook.invoice i ON i.company_id = this AND i.account_id = a.account_id
    GROUP BY a.portion ORDER BY a.portion
  LOOP
    posted := posted + erp_webhook.settle_invoices(this, ids);
  END LOOP;
  RETURN posted;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_again(text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_again(text) IS
  'ask again what ought to be booked of everything; returns the vouchers posted: 0 on sound books';

-- The first value holds from the beginning. A later one holds from its day, by default the first open one, so that what
-- was closed keeps the policy it was booked under; where nothing is closed, that is the beginning too.
CREATE FUNCTION erp_webhook.set_policy(company text, policy text, value text, valid_from date DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(set_policy.company);
  closed date;
  open_from date;
  from_day date := set_policy.valid_from;
BEGIN
  PERFORM erp_webhook.check_policy(set_policy.policy, set_policy.value);
  PERFORM erp_webhook.change_policies(this);
  closed := erp_webhook.closed_until(this);
  open_from := CASE WHEN closed = '-infinity' THEN '-infinity'::date ELSE closed + 1 END;
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
    IF NOT EXISTS (SELECT FROM erp_webhook.policy p WHERE p.company_id = this AND p.policy = set_policy.policy)
       AND from_day > '-infinity' THEN
      INSERT INTO erp_webhook.policy (company_id, policy, valid_from, value)
      VALUES (this, set_policy.policy, '-infinity', erp_webhook.policy_default(set_policy.policy));
    END IF;
  ELSE
    from_day := coalesce(from_day, '-infinity');
  END IF;
  INSERT INTO erp_webhook.policy AS p (company_id, policy, valid_from, value, set_at)
  VALUES (this, set_policy.policy, from_day, set_policy.value, clock_timestamp())
  ON CONFLICT ON CONSTRAINT policy_pkey DO UPDATE SET value = EXCLUDED.value, set_at = EXCLUDED.set_at, set_by = EXCLUDED.set_by;
  IF set_policy.policy NOT IN ('closed_until', 'time_zone') THEN
    PERFORM erp_webhook.settle_again(set_policy.company);
  END IF;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.set_policy(text, text, text, date) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.set_policy(text, text, text, date) IS 'say from when on a company books which way';

-- A link and an event that names the customer may arrive at once: both meet at the link before they look.
CREATE FUNCTION erp_webhook.link_account(source text, external_ref text, account_no text) RETURNS void
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
  this record := erp_webhook.source_named(link_account.source);
  target int;
  s erp_webhook.scope;
BEGIN
  SELECT a.account_id INTO target FROM erp_webhook.account a
  WHERE a.company_id = this.company_id AND a.account_no = link_account.account_no;
  IF target IS NULL THEN
    RAISE EXCEPTION 'there is no account "%"', link_account.account_no USING ERRCODE = 'undefined_object';
  END IF;
  SELECT '{}', '{}', '{}', '{}', '{}', ARRAY[target], '{}', '{}', '{}', '{}',
         ROW(this.source_id, 'link', link_account.external_ref)::erp_webhook.object_key INTO s;
  PERFORM erp_webhook.settle_scope(this.company_id, s, NULL, linked_to => target);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.link_account(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.link_account(text, text, text) IS
  'say whose account a provider''s customer is; what waited for it happens now';

CREATE FUNCTION erp_webhook.void_invoice(company text, number text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(void_invoice.company);
  target erp_webhook.invoice;
BEGIN
  SELECT i.* INTO target FROM erp_webhook.invoice i WHERE i.company_id = this AND i.number = void_invoice.number;
  IF target.invoice_id IS NULL THEN
    RAISE EXCEPTION 'there is no invoice "%"', void_invoice.number USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM erp_webhook.settle_invoices(this, ARRAY[target.invoice_id], ARRAY[target.account_id], voided => true);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.void_invoice(text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.void_invoice(text, text) IS
  'an invoice that should not have been: its voucher is taken back, what paid it becomes credit, its number stays taken';

-- A fact by hand: an event like any other, with who and why beside it.
CREATE FUNCTION erp_webhook.decide(company_id int, fact erp_webhook.event, why text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  made bigint;
BEGIN
  IF coalesce(trim(why), '') = '' THEN
    RAISE EXCEPTION 'say why' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  INSERT INTO erp_webhook.event AS e (company_id, source_id, external_id, type, kind, state, occurred_at, received_at,
                                      object_ref, payment_ref, account_ref, correlation, correlation_amounts,
                                      amount, currency, origin)
  VALUES (decide.company_id, fact.source_id, 'person:' || gen_random_uuid(), fact.type, fact.kind, 'applied',
          clock_timestamp(), clock_timestamp(),
          fact.object_ref, fact.payment_ref, fact.account_ref, fact.correlation, fact.correlation_amounts,
          fact.amount, fact.currency, 'person')
  RETURNING e.event_id INTO made;
  INSERT INTO erp_webhook.decision (company_id, event_id, why) VALUES (decide.company_id, made, decide.why);
  RETURN made;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.decide(int, erp_webhook.event, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.decide(int, erp_webhook.event, text) IS 'enter a person''s decision as a fact';

CREATE FUNCTION erp_webhook.assign(source text, payment_ref text, invoices text[] DEFAULT NULL, account_no text DEFAULT NULL,
                                   why text DEFAULT NULL, amounts numeric[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this record := erp_webhook.source_named(assign.source);
  fact erp_webhook.event;
BEGIN
  IF assign.invoices IS NULL AND assign.account_no IS NULL THEN
    RAISE EXCEPTION 'say to which invoices or account' USING ERRCODE = 'null_value_not_allowed';
  ELSIF assign.account_no IS NOT NULL AND NOT EXISTS (
    SELECT FROM erp_webhook.account a WHERE a.company_id = this.company_id AND a.account_no = assign.account_no) THEN
    RAISE EXCEPTION 'there is no account "%"', assign.account_no USING ERRCODE = 'undefined_object';
  END IF;
  SELECT o.object INTO fact.type FROM erp_webhook.money_object o
  WHERE o.company_id = this.company_id AND o.source_id = this.source_id
    AND o.object IN ('payment', 'bank') AND o.object_ref = assign.payment_ref;
  IF fact.type IS NULL THEN
    RAISE EXCEPTION 'no fact names a receipt "%" of source "%"', assign.payment_ref, assign.source
      USING ERRCODE = 'undefined_object';
  END IF;
  fact.kind := CASE fact.type WHEN 'bank' THEN 'bank.linked' ELSE 'payment.linked' END;
  fact.type := 'assign';
  fact.source_id := this.source_id;
  fact.object_ref := assign.payment_ref;
  fact.payment_ref := assign.payment_ref;
  fact.correlation := assign.invoices;
  fact.correlation_amounts := assign.amounts;
  fact.account_ref := 'account_no:' || assign.account_no;
  RETURN erp_webhook.decide(this.company_id, fact, assign.why);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.assign(text, text, text[], text, text, numeric[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.assign(text, text, text[], text, text, numeric[]) IS
  'a person says which invoices, or whose account, a receipt is for; the latest word of a person goes before all references';

CREATE FUNCTION erp_webhook.write_off(company text, invoice_number text, amount numeric, why text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(write_off.company);
  fact erp_webhook.event;
BEGIN
  SELECT i.currency INTO fact.currency FROM erp_webhook.invoice i WHERE i.company_id = this AND i.number = write_off.invoice_number;
  IF fact.currency IS NULL THEN
    RAISE EXCEPTION 'there is no invoice "%"', write_off.invoice_number USING ERRCODE = 'undefined_object';
  ELSIF write_off.amount IS NULL OR write_off.amount < 0
        OR write_off.amount <> round(write_off.amount, erp_webhook.digits_of(fact.currency)) THEN
    RAISE EXCEPTION 'an amount of % cannot be %', fact.currency, write_off.amount USING ERRCODE = 'invalid_parameter_value';
  END IF;
  fact.kind := 'books.write_off';
  fact.type := 'write_off';
  fact.source_id := 0;
  fact.object_ref := write_off.invoice_number;
  fact.correlation := ARRAY[write_off.invoice_number];
  fact.amount := write_off.amount;
  RETURN erp_webhook.decide(this, fact, write_off.why);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.write_off(text, text, numeric, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.write_off(text, text, numeric, text) IS
  'give up so much of an invoice (the latest amount holds, 0 takes it back); what is paid after all goes before it';

CREATE FUNCTION erp_webhook.resolve(company text, kind text, source text, ref text, why text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(resolve.company);
  fact erp_webhook.event;
BEGIN
  SELECT s.source_id INTO fact.source_id
  FROM erp_webhook.exceptions x JOIN erp_webhook.source s ON s.company_id = x.company_id AND s.name = x.source
  WHERE x.company_id = this AND x.kind = resolve.kind AND x.source = resolve.source
    AND coalesce(x.external_id, x.payment_ref, x.object_ref) = resolve.ref;
  IF fact.source_id IS NULL THEN
    RAISE EXCEPTION 'there is no exception % of "%" in source "%"', resolve.kind, resolve.ref, resolve.source
      USING ERRCODE = 'undefined_object';
  END IF;
  fact.kind := 'books.resolve';
  fact.type := resolve.kind;
  fact.object_ref := resolve.ref;
  RETURN erp_webhook.decide(this, fact, resolve.why);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.resolve(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.resolve(text, text, text, text, text) IS
  'a person has dealt with an exception (ref: its external id, payment or object): it is no longer shown';
