-- Policies and days: which way a company books, and on which day.

CREATE FUNCTION erp_webhook.policy_default(policy text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE policy WHEN 'refund' THEN 'credit_note' WHEN 'allocate' THEN 'by_reference' WHEN 'payout_arrives' THEN 'on_paid'
                   WHEN 'statement' THEN 'evidence' WHEN 'suspend' THEN 'immediate' WHEN 'tolerance' THEN '0'
                   WHEN 'closed_until' THEN '-infinity' WHEN 'time_zone' THEN 'UTC' END;
COMMENT ON FUNCTION erp_webhook.policy_default(text) IS 'what holds where a company never set the policy';

CREATE FUNCTION erp_webhook.policy_on(company_id int, policy text, day date) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN coalesce(
  (SELECT p.value FROM erp_webhook.policy p
   WHERE p.company_id = policy_on.company_id AND p.policy = policy_on.policy AND p.valid_from <= day
   ORDER BY p.valid_from DESC LIMIT 1),
  (SELECT p.value FROM erp_webhook.policy p
   WHERE p.company_id = policy_on.company_id AND p.policy = policy_on.policy ORDER BY p.valid_from LIMIT 1),
  erp_webhook.policy_default(policy));
END
$$;
COMMENT ON FUNCTION erp_webhook.policy_on(int, text, date) IS 'the value that holds on a day: the latest valid by then, else the first, else the default';

-- The one policy that is about the present: the last value set closes the books, whatever it was before.
CREATE FUNCTION erp_webhook.closed_until(company_id int) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN coalesce((SELECT p.value::date FROM erp_webhook.policy p
                 WHERE p.company_id = closed_until.company_id AND p.policy = 'closed_until' ORDER BY p.set_at DESC LIMIT 1),
                '-infinity'::date);
END
$$;
COMMENT ON FUNCTION erp_webhook.closed_until(int) IS 'the last day that is closed';

CREATE FUNCTION erp_webhook.day_of(company_id int, at timestamptz) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (at AT TIME ZONE erp_webhook.policy_on(company_id, 'time_zone', (at AT TIME ZONE 'UTC')::date))::date;
END
$$;
COMMENT ON FUNCTION erp_webhook.day_of(int, timestamptz) IS 'the day of a moment where the company is';

CREATE FUNCTION erp_webhook.open_day(day date, closed_until date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN day > closed_until THEN day ELSE closed_until + 1 END;
COMMENT ON FUNCTION erp_webhook.open_day(date, date) IS 'the day itself, or the first open one after it';

CREATE FUNCTION erp_webhook.digits_of(currency text) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN coalesce((SELECT min(c.digits) FROM erp_webhook.provider_currency c
                 WHERE c.provider = '*' AND c.currency = digits_of.currency), 2);
END
$$;
COMMENT ON FUNCTION erp_webhook.digits_of(text) IS 'decimals of a currency (ISO 4217)';

-- The same figure is written the same way whatever path led to it.
CREATE FUNCTION erp_webhook.written(amount numeric, currency text) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
  RETURN CASE WHEN amount = 0 THEN 0 ELSE round(amount, greatest(erp_webhook.digits_of(currency), min_scale(amount))) END;
END
$$;
COMMENT ON FUNCTION erp_webhook.written(numeric, text) IS 'an amount with the decimals of its currency';

-- In C, where the short path of payments asks for it too.
CREATE FUNCTION erp_webhook.moment(occurred_at timestamptz, signed_at timestamptz, received_at timestamptz) RETURNS timestamptz
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_moment';
COMMENT ON FUNCTION erp_webhook.moment(timestamptz, timestamptz, timestamptz) IS 'the time that orders facts: when it occurred; an undated fact stands a thousand years after we were told, behind every dated one';

CREATE FUNCTION erp_webhook.day_of_moment(company_id int, moment timestamptz) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
BEGIN
  RETURN erp_webhook.day_of(company_id, CASE WHEN moment < '2900-01-01 00:00:00+00' THEN moment ELSE moment - interval '8766000 hours' END);
END
$$;
COMMENT ON FUNCTION erp_webhook.day_of_moment(int, timestamptz) IS 'the day of a fact, dated or not';

CREATE FUNCTION erp_webhook.check_policy(policy text, value text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ok boolean;
BEGIN
  ok := CASE policy
    WHEN 'refund' THEN value IN ('credit_note', 'reopen')
    WHEN 'allocate' THEN value IN ('by_reference', 'due_date')
    WHEN 'payout_arrives' THEN value IN ('on_paid', 'on_statement')
    WHEN 'statement' THEN value IN ('evidence', 'post')
    WHEN 'suspend' THEN value = 'immediate' OR value ~ '^after:[1-9][0-9]{0,3}$' OR value ~ '^grace:.+$'
    WHEN 'tolerance' THEN value ~ '^[0-9]{1,12}(\.[0-9]{1,8})?$'
    WHEN 'closed_until' THEN value ~ '^\d{4}-\d\d-\d\d$' OR value = '-infinity'
    WHEN 'time_zone' THEN EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = value)
  END;
  IF ok IS NULL THEN
    RAISE EXCEPTION 'there is no policy "%"', policy USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Policies: refund, allocate, payout_arrives, statement, suspend, tolerance, closed_until, time_zone.';
  ELSIF NOT ok THEN
    RAISE EXCEPTION 'policy "%" cannot be "%"', policy, value USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF policy = 'suspend' AND value LIKE 'grace:%' AND substr(value, 7)::interval <= interval '0' THEN
    RAISE EXCEPTION 'a grace period must be longer than nothing' USING ERRCODE = 'invalid_parameter_value';
  ELSIF policy = 'closed_until' THEN
    PERFORM value::date;
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.check_policy(text, text) IS 'raises where a policy or its value is not one';

-- Whoever settles reads the policies, and all of a batch must be settled by the same. So settling shares this lock of its
-- company until it commits, and set_policy() takes it alone: it waits for those who settle by the old policies and holds up
-- the next until all is settled by the new. None falls between, and none meets its many row locks halfway. Reports take
-- no part in it, nor do other companies.
CREATE FUNCTION erp_webhook.keep_policies(company_id int) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_catalog.pg_advisory_xact_lock_shared('erp_webhook.policy'::regclass::oid::int, company_id) $$;
COMMENT ON FUNCTION erp_webhook.keep_policies(int) IS 'until COMMIT no policy of the company changes; waits for one that is changing';

CREATE FUNCTION erp_webhook.change_policies(company_id int) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_catalog.pg_advisory_xact_lock('erp_webhook.policy'::regclass::oid::int, company_id) $$;
COMMENT ON FUNCTION erp_webhook.change_policies(int) IS 'until COMMIT nobody else settles anything of the company';
