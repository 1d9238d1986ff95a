-- The turns of the worker that need no network, and CALL run_jobs() for those who do not preload the library.

-- Failed events that are due again, one by one: what fails again waits longer, and after the last attempt for a person.
CREATE FUNCTION erp_webhook.retry_due_events(most int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  e erp_webhook.event;
  message text;
  code text;
  retried int := 0;
BEGIN
  FOR e IN SELECT x.* FROM erp_webhook.event x
           WHERE x.state = 'failed' AND coalesce(x.retry_at, '-infinity') <= now()
             AND x.attempts < erp_webhook.confirm_attempts()
           ORDER BY x.received_at LIMIT most FOR UPDATE SKIP LOCKED LOOP
    retried := retried + 1;
    BEGIN
      UPDATE erp_webhook.event x SET state = 'applied', retry_at = NULL, sqlstate = NULL, error = NULL
        WHERE x.company_id = e.company_id AND x.event_id = e.event_id RETURNING x.* INTO e;
      PERFORM erp_webhook.settle(e.company_id, ARRAY[e]);
      SET CONSTRAINTS ALL IMMEDIATE;
      SET CONSTRAINTS ALL DEFERRED;  -- as src/inbox/deferred.c
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
      IF code ~ '^(40|53|57|58|XX)' OR code = '55P03' THEN
        RAISE;
      END IF;
      UPDATE erp_webhook.event x SET attempts = x.attempts + 1, retry_at = now() + erp_webhook.call_wait(x.attempts + 1),
      sqlstate = code, error = message
        WHERE x.company_id = e.company_id AND x.event_id = e.event_id;
    END;
  END LOOP;
  RETURN retried;
END
$$;
COMMENT ON FUNCTION erp_webhook.retry_due_events(int) IS
  'settle failed events again whose time has come; returns how many were tried';

-- Delivered and dead messages go after their time, with their attempts; so do finished fetches and decided deliveries.
CREATE FUNCTION erp_webhook.maintain_out(keep interval DEFAULT '90 days') RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  DELETE FROM erp_webhook.dispatch d WHERE d.state IN ('delivered', 'dead') AND d.done_at < now() - keep;
  DELETE FROM erp_webhook.message m WHERE m.created_at < now() - keep AND NOT EXISTS (
    SELECT FROM erp_webhook.dispatch d WHERE d.company_id = m.company_id AND d.message_id = m.message_id);
  DELETE FROM erp_webhook.fetch f WHERE f.state = 'done' AND f.done_at < now() - keep;
  DELETE FROM erp_webhook.unverified u WHERE u.state <> 'waiting' AND u.received_at < now() - keep;
$$;
COMMENT ON FUNCTION erp_webhook.maintain_out(interval) IS 'forget what has long been delivered, answered or decided';

CREATE FUNCTION erp_webhook.do_chores(upkeep boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM erp_webhook.plan_fetches();
  PERFORM erp_webhook.plan_keys();
  PERFORM erp_webhook.plan_pulls();
  PERFORM erp_webhook.retry_due_events(20);
  -- What goes wrong in one of these must not keep the rest from being done: some settle, or wait for locks.
  BEGIN
    PERFORM erp_webhook.seal_vouchers(c.company_id) FROM erp_webhook.company c ORDER BY c.company_id;
  EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'the chain was not continued: %', SQLERRM USING ERRCODE = SQLSTATE;
  END;
  BEGIN
    PERFORM erp_webhook.suspend_due();
    IF upkeep THEN
      PERFORM erp_webhook.maintain_out();
      PERFORM erp_webhook.maintain();
      PERFORM erp_webhook.sum_days();
      PERFORM erp_webhook.keep_forecasts();
    END IF;
  EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'upkeep failed: %', SQLERRM USING ERRCODE = SQLSTATE;
  END;
END
$$;
COMMENT ON FUNCTION erp_webhook.do_chores(boolean) IS
  'worker: what is to be fetched or pulled next, retries, the chain over vouchers, grace that has ended, and, if '
  'asked for, upkeep';

CREATE PROCEDURE erp_webhook.run_jobs()
LANGUAGE c AS 'MODULE_PATHNAME', 'erp_webhook_run_jobs';
COMMENT ON PROCEDURE erp_webhook.run_jobs() IS
  'do what is due now, as the background worker would: deliver, confirm, pull, retry. For pg_cron, or by hand; it commits as it goes';

CREATE FUNCTION erp_webhook.grant_worker(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA erp_webhook TO %s', role);
  EXECUTE format('GRANT EXECUTE ON FUNCTION erp_webhook.claim_dispatches(int, interval), erp_webhook.record_dispatches(jsonb), '
    'erp_webhook.claim_calls(int, interval), erp_webhook.record_call(jsonb, bytea), erp_webhook.do_chores(boolean) TO %s',
    role);
  EXECUTE format('GRANT EXECUTE ON PROCEDURE erp_webhook.run_jobs() TO %s', role);
END
$$;
COMMENT ON FUNCTION erp_webhook.grant_worker(regrole) IS
  'let a role be erp_webhook.worker_role, or call run_jobs(): nothing else of the books becomes its';
