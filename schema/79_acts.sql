-- Doing it again, and asking why: retries, rules of one's own, grace that ran out, why(), replay(), dry_run().

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
  FOR e IN SELECT * FROM erp_webhook.event e WHERE e.company_id = this AND e.state = 'failed' ORDER BY e.event_id FOR UPDATE SKIP LOCKED LOOP
    BEGIN
      UPDATE erp_webhook.event x SET state = 'applied', attempts = x.attempts + 1, sqlstate = NULL, error = NULL
      WHERE x.company_id = this AND x.event_id = e.event_id RETURNING * INTO e;
      PERFORM erp_webhook.settle(this, ARRAY[e]);
      SET CONSTRAINTS ALL IMMEDIATE;
      done := done + 1;
    EXCEPTION WHEN OTHERS THEN
      IF left(SQLSTATE, 2) IN ('40', '53', '57', '58', 'XX') OR SQLSTATE = '55P03' THEN
        RAISE;
      END IF;
      UPDATE erp_webhook.event x SET attempts = x.attempts + 1, sqlstate = SQLSTATE, error = SQLERRM WHERE x.company_id = this AND x.event_id = e.event_id;
    END;
  END LOOP;
  RETURN done;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.retry_failed(text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.retry_failed(text) IS 'try again to settle what failed; returns how many events are settled now';

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
    SELECT '{}', '{}', '{}', due.refs, '{}', '{}', '{}', '{}', '{}', '{}' INTO s;
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
COMMENT ON FUNCTION erp_webhook.on_event(text, regprocedure, text) IS 'call function(event) for every event of a kind (* for all), in the same transaction';

-- What we call runs as its owner, and only who could act as that owner may have it called. A function that takes our row
-- type gets the row; one that takes jsonb, the row as jsonb.
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
  IF NOT f.prosecdef THEN
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER', function);
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO erp_webhook_owner', f.pronamespace::regnamespace);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO erp_webhook_owner', function);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.check_bound_function(regprocedure, regtype[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.check_bound_function(regprocedure, regtype[]) IS 'raises unless the caller may have this function called; makes it run as its owner';

CREATE FUNCTION erp_webhook.call_of(function regprocedure) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (SELECT format('SELECT %s(%s)', p.oid::regproc, string_agg(
            CASE a.type WHEN 'jsonb'::regtype THEN format('to_jsonb($%s)', a.n) ELSE format('$%s', a.n) END, ', ' ORDER BY a.n))
          FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY a (type, n) WHERE p.oid = function GROUP BY p.oid);
END
$$;
COMMENT ON FUNCTION erp_webhook.call_of(regprocedure) IS 'the statement that calls a bound function';

CREATE FUNCTION erp_webhook.keep_event_rule(company_id int, kind text, function regprocedure) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO erp_webhook.event_rule (company_id, kind, function) VALUES (company_id, kind, function) ON CONFLICT DO NOTHING;
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
    SELECT e AS event, erp_webhook.call_of(r.function) AS statement
    FROM erp_webhook.event_rule r JOIN unnest(events) e ON r.kind IN (e.kind, '*')
    WHERE r.company_id = run_event_rules.company_id ORDER BY e.event_id, r.function::text
  LOOP
    EXECUTE call.statement USING call.event;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.run_event_rules(int, erp_webhook.event[]) IS 'call the rules of one''s own';

-- Everything that made an invoice what it is, in order, down to the delivery whose bytes can be proved again.
CREATE FUNCTION erp_webhook.why(company text, invoice_number text) RETURNS TABLE (
  at timestamptz, what text, object_ref text, amount numeric, currency text, because text, event_id bigint, external_id text, delivery_id bigint, body text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH invoice AS (
    SELECT i.*, c.name FROM erp_webhook.company c JOIN erp_webhook.invoice i ON i.company_id = c.company_id
    WHERE c.name = why.company AND i.number = why.invoice_number
  ), receipt AS (
    SELECT i.company_id, a.source_id, a.object, a.object_ref FROM invoice i JOIN erp_webhook.allocation a ON a.company_id = i.company_id AND a.invoice_id = i.invoice_id
    UNION SELECT i.company_id, r.source_id, r.object, r.object_ref FROM invoice i
      JOIN erp_webhook.reference r ON r.company_id = i.company_id AND r.ref = i.number AND r.object <> 'subscription'
  ), fact AS (
    SELECT DISTINCT r.company_id, f.event_id
    FROM receipt r
    CROSS JOIN LATERAL erp_webhook.objects_of(r.company_id, ARRAY[ROW(r.source_id, r.object, r.object_ref)::erp_webhook.object_key]) m
    CROSS JOIN LATERAL unnest((m.o).facts) f (event_id)
  ), line AS (
    SELECT coalesce(e.occurred_at, e.signed_at, e.received_at) AS at, 'fact: ' || e.kind AS what, e.object_ref, e.amount::numeric AS amount, e.currency,
           coalesce(format('%s: %s', d.who, d.why), format('%s says so', s.name)) AS because, e.event_id, e.external_id, e.delivery_id, 1 AS rank
    FROM fact f
    JOIN erp_webhook.event e ON e.company_id = f.company_id AND e.event_id = f.event_id
    JOIN erp_webhook.source s ON s.company_id = e.company_id AND s.source_id = e.source_id
    LEFT JOIN erp_webhook.decision d ON d.company_id = e.company_id AND d.event_id = e.event_id
    UNION ALL
    SELECT v.posted_at, format('voucher: %s %s of %s', v.object, v.step, v.object_ref), v.object_ref, e.amount, e.currency,
           format('%s ← %s on %s', e.debit, e.credit, v.booked_on), v.event_id, NULL, NULL, 2
    FROM invoice i
    JOIN erp_webhook.voucher v ON v.company_id = i.company_id AND v.source_id = 0 AND v.object IN ('invoice', 'credit_note', 'write_off') AND v.object_ref = i.number
    JOIN erp_webhook.entry e ON e.company_id = v.company_id AND e.voucher_id = v.voucher_id
    UNION ALL
    SELECT NULL, 'allocation', a.object_ref, a.amount, i.currency, format('%s %s of %s pays it', a.object, a.object_ref, s.name), NULL, NULL, NULL, 3
    FROM invoice i
    JOIN erp_webhook.allocation a ON a.company_id = i.company_id AND a.invoice_id = i.invoice_id
    JOIN erp_webhook.source s ON s.company_id = a.company_id AND s.source_id = a.source_id
    UNION ALL
    SELECT NULL, 'so it is ' || i.state, i.number, i.due, i.currency,
           format('total %s − credited %s − paid %s − written off %s = due %s', i.total, i.credited, i.paid, i.written_off, i.due), NULL, NULL, NULL, 4
    FROM invoice i
  )
  SELECT l.at, l.what, l.object_ref, l.amount, l.currency, l.because, l.event_id, l.external_id, l.delivery_id,
         (SELECT convert_from(d.body, 'UTF8') FROM erp_webhook.delivery d, invoice i WHERE d.company_id = i.company_id AND d.delivery_id = l.delivery_id)
  FROM line l ORDER BY l.rank, l.at, l.event_id, l.what;
END;
COMMENT ON FUNCTION erp_webhook.why(text, text) IS 'why an invoice is what it is: the facts that name it, its vouchers, what pays it, and the sum';

-- The books of a company in one comparable form (DESIGN 7, "the same books").
CREATE FUNCTION erp_webhook.books(company_id int) RETURNS TABLE (what text, name text, value text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT 'ledger', l.ledger_account || ' ' || l.currency, trim_scale(l.balance)::text FROM erp_webhook.ledger_balance l WHERE l.company_id = books.company_id
  UNION ALL SELECT 'invoice', i.number, format('%s paid %s credited %s due %s', i.state, trim_scale(i.paid), trim_scale(i.credited), trim_scale(i.due))
  FROM erp_webhook.invoice i WHERE i.company_id = books.company_id
  UNION ALL SELECT 'account', a.account_no || ' ' || a.currency, format('%s %s', a.state, trim_scale(a.balance))
  FROM erp_webhook.account_balance a WHERE a.company_id = books.company_id
  UNION ALL SELECT 'subscription', u.source || '/' || u.subscription_ref, u.state FROM erp_webhook.subscription_state u WHERE u.company_id = books.company_id
  UNION ALL SELECT 'payout', p.source || '/' || p.payout_ref || ' ' || p.currency, p.state FROM erp_webhook.payout p WHERE p.company_id = books.company_id
  UNION ALL SELECT 'exception', concat_ws('/', x.kind, x.source, x.external_id, x.payment_ref, x.object_ref, x.reason), trim_scale(x.amount)::text
  FROM erp_webhook.exceptions x WHERE x.company_id = books.company_id;
END;
COMMENT ON FUNCTION erp_webhook.books(int) IS 'the books of a company, line by line, for comparing';

-- Applying stored events again: the facts stay what they were read as; rules, policies and links are today's.
CREATE FUNCTION erp_webhook.applied_again(company_id int, event_ids bigint[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := applied_again.company_id;
  facts erp_webhook.event[];
  posted int := 0;
BEGIN
  UPDATE erp_webhook.event e SET state = 'applied', sqlstate = NULL, error = NULL
  WHERE e.company_id = company AND e.event_id = ANY (event_ids) AND e.state = 'failed';
  SELECT array_agg(e ORDER BY e.event_id) INTO facts FROM erp_webhook.event e
  WHERE e.company_id = company AND e.event_id = ANY (event_ids) AND e.state = 'applied';
  IF facts IS NOT NULL THEN
    posted := erp_webhook.settle(company, facts);
  END IF;
  RETURN posted;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.applied_again(int, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.applied_again(int, bigint[]) IS 'settle stored events again';

CREATE FUNCTION erp_webhook.replay(company text, event_id bigint) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(replay.company);
BEGIN
  IF NOT EXISTS (SELECT FROM erp_webhook.event e WHERE e.company_id = this AND e.event_id = replay.event_id) THEN
    RAISE EXCEPTION 'there is no event % in company "%"', replay.event_id, replay.company USING ERRCODE = 'undefined_object';
  END IF;
  RETURN erp_webhook.applied_again(this, ARRAY[replay.event_id]);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.replay(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.replay(text, bigint) IS 'apply a stored event again, under today''s rules and policies; returns the vouchers posted: 0 where nothing differs';

CREATE FUNCTION erp_webhook.dry_run("from" timestamptz, "to" timestamptz, company text DEFAULT 'default')
RETURNS TABLE (what text, name text, before text, after text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(dry_run.company);
  then_ jsonb;
  now_ jsonb;
BEGIN
  SELECT jsonb_object_agg(b.what || chr(31) || b.name, b.value) INTO then_ FROM erp_webhook.books(this) b;
  BEGIN
    PERFORM erp_webhook.applied_again(this, ARRAY(
      SELECT e.event_id FROM erp_webhook.event e
      WHERE e.company_id = this AND e.received_at >= dry_run."from" AND e.received_at < dry_run."to" AND e.state IN ('applied', 'failed') ORDER BY e.event_id));
    SELECT jsonb_object_agg(b.what || chr(31) || b.name, b.value) INTO now_ FROM erp_webhook.books(this) b;
    RAISE EXCEPTION USING ERRCODE = 'EW004', MESSAGE = 'dry run';
  EXCEPTION WHEN SQLSTATE 'EW004' THEN
    NULL;  -- all of it is undone here; what was found stays in our variables
  END;
  RETURN QUERY
    SELECT split_part(key, chr(31), 1), split_part(key, chr(31), 2), b.value, a.value
    FROM jsonb_each_text(coalesce(then_, '{}')) b FULL JOIN jsonb_each_text(coalesce(now_, '{}')) a USING (key)
    WHERE a.value IS DISTINCT FROM b.value ORDER BY 1, 2;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.dry_run(timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.dry_run(timestamptz, timestamptz, text) IS 'apply the events received in a span again and show what would differ; nothing stays';
