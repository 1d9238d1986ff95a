-- Doing it again, and doing more: retries, grace that ran out, rules of one's own.

CREATE FUNCTION erp_webhook.retry_failed(company text) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(retry_failed.company);
  e erp_webhook.event;
  done int := 0;
BEGIN
  -- Each by itself: what still fails keeps its error and holds up no other.
  FOR e IN
    SELECT * FROM erp_webhook.event e WHERE e.company_id = this AND e.state = 'failed'
    ORDER BY e.event_id FOR UPDATE SKIP LOCKED
  LOOP
    BEGIN
      UPDATE erp_webhook.event x SET state = 'applied', attempts = x.attempts + 1, sqlstate = NULL, error = NULL
      WHERE x.company_id = this AND x.event_id = e.event_id RETURNING * INTO e;
      PERFORM erp_webhook.settle(this, ARRAY[e]);
      SET CONSTRAINTS ALL IMMEDIATE;
      SET CONSTRAINTS ALL DEFERRED;  -- as src/inbox/deferred.c
      done := done + 1;
    EXCEPTION WHEN OTHERS THEN
      IF left(SQLSTATE, 2) IN ('40', '53', '57', '58', 'XX') OR SQLSTATE = '55P03' THEN
        RAISE;
      END IF;
      UPDATE erp_webhook.event x SET attempts = x.attempts + 1, sqlstate = SQLSTATE, error = SQLERRM
      WHERE x.company_id = this AND x.event_id = e.event_id;
    END;
  END LOOP;
  RETURN done + erp_webhook.offer_refused(this);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.retry_failed(text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.retry_failed(text) IS
  'try again to settle what failed, and offer an ERP again what it refused; returns how many events are settled now, or offered';

-- A grace period ends by the clock, not by an event: run_jobs() and maintain() call this.
CREATE FUNCTION erp_webhook.suspend_due() RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  due record;
  s erp_webhook.scope;
  judged int := 0;
BEGIN
  FOR due IN
    SELECT u.company_id, array_agg(DISTINCT u.subscription_ref) AS refs FROM erp_webhook.subscription u
    WHERE u.due_at <= clock_timestamp() GROUP BY u.company_id ORDER BY u.company_id
  LOOP
    SELECT '{}', '{}', '{}', due.refs, '{}', '{}', '{}', '{}', '{}', '{}', NULL INTO s;
    PERFORM erp_webhook.settle_scope(due.company_id, s, NULL);
    judged := judged + cardinality(due.refs);
  END LOOP;
  RETURN judged;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.suspend_due() FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.suspend_due() IS 'judge again the subscriptions whose grace has ended';

-- A rule of one's own: function(erp_webhook.event), called in the transaction that settles an event of the kind, after
-- its booking. An error in it undoes and marks that event failed, and only that. It runs as its owner.
CREATE FUNCTION erp_webhook.on_event(kind text, function regprocedure, company text DEFAULT 'default') RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM erp_webhook.check_bound_function(function, ARRAY['erp_webhook.event'::regtype]);
  PERFORM erp_webhook.keep_event_rule(erp_webhook.company_named(company), kind, function);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.on_event(text, regprocedure, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.on_event(text, regprocedure, text) IS
  'call function(event) for every event of a kind (* for all), in the same transaction';

-- What we call runs as its owner, and only who could act as that owner may have it called. A function that takes our
-- row type gets the row; one that takes jsonb, the row as jsonb.
CREATE FUNCTION erp_webhook.check_bound_function(function regprocedure, arguments regtype[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  f pg_proc;
  fits boolean;
BEGIN
  SELECT p.* INTO f FROM pg_proc p WHERE p.oid = function;
  SELECT f.pronargs = cardinality(arguments) AND bool_and(a.type IN (arguments[a.n], 'jsonb'::regtype)) INTO fits
  FROM unnest(f.proargtypes::oid[]) WITH ORDINALITY a (type, n);
  IF NOT pg_has_role(current_user, f.proowner, 'MEMBER') THEN
    RAISE EXCEPTION 'must be a member of the role that owns %', function USING ERRCODE = 'insufficient_privilege';
  ELSIF NOT coalesce(fits, false) THEN
    RAISE EXCEPTION '% must take (%)', function, array_to_string(arguments, ', ')
      USING ERRCODE = 'invalid_function_definition', HINT = 'jsonb serves for each of them.';
  END IF;
  -- Its owner's consent: CREATE OR REPLACE keeps it (src/inbox/as_owner.c).
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO erp_webhook_owner', f.pronamespace::regnamespace);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO erp_webhook_owner', function);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.check_bound_function(regprocedure, regtype[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.check_bound_function(regprocedure, regtype[]) IS
  'raises unless the caller may have this function called; makes it run as its owner';

CREATE FUNCTION erp_webhook.call_as_owner(function regprocedure, VARIADIC arguments "any") RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_call_as_owner';
REVOKE ALL ON FUNCTION erp_webhook.call_as_owner(regprocedure, "any") FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.call_as_owner(regprocedure, "any") IS
  'call a bound function as the role that owns it; its result, if it is text';

CREATE FUNCTION erp_webhook.call_of(function regprocedure) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (SELECT format('SELECT erp_webhook.call_as_owner(%s, %s)', p.oid, string_agg(
            CASE a.type WHEN 'jsonb'::regtype THEN format('to_jsonb($%s)', a.n) ELSE format('$%s', a.n) END, ', ' ORDER BY a.n))
          FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY a (type, n)
          WHERE p.oid = function GROUP BY p.oid);
END
$$;
COMMENT ON FUNCTION erp_webhook.call_of(regprocedure) IS 'the statement that calls a bound function';

-- The owner's consent is to us and not to a company: so whoever enters a binding must be able to give it himself.
CREATE FUNCTION erp_webhook.check_consent(functions regprocedure[], view regclass DEFAULT NULL) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_proc p WHERE p.oid = ANY (functions) AND NOT pg_has_role(erp_webhook.caller(), p.proowner, 'MEMBER'))
     OR EXISTS (SELECT FROM pg_class c WHERE c.oid = view AND NOT pg_has_role(erp_webhook.caller(), c.relowner, 'MEMBER')) THEN
    RAISE EXCEPTION 'must be a member of the roles that own what is bound' USING ERRCODE = 'insufficient_privilege';
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.check_consent(regprocedure[], regclass) IS
  'raises unless the caller could act as the owners of these functions and this view';

CREATE FUNCTION erp_webhook.keep_event_rule(company_id int, kind text, function regprocedure) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  PERFORM erp_webhook.check_access(company_id, 'admin');
  PERFORM erp_webhook.check_consent(ARRAY[function]);
  INSERT INTO erp_webhook.event_rule (company_id, kind, function) VALUES (company_id, kind, function) ON CONFLICT DO NOTHING;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.keep_event_rule(int, text, regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.keep_event_rule(int, text, regprocedure) IS 'enter a rule of one''s own';

CREATE FUNCTION erp_webhook.run_event_rules(company_id int, events erp_webhook.event[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  call record;
BEGIN
  FOR call IN
    SELECT e AS event, erp_webhook.call_of(r.function::regprocedure) AS statement
    FROM erp_webhook.event_rule r JOIN unnest(events) e ON r.kind IN (e.kind, '*')
    WHERE r.company_id = run_event_rules.company_id ORDER BY e.event_id, r.function
  LOOP
    EXECUTE call.statement USING call.event;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.run_event_rules(int, erp_webhook.event[]) IS 'call the rules of one''s own';
