-- Telling others: called by whatever settles, in its own transaction.

CREATE FUNCTION erp_webhook.kind_wanted(kinds text[], kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM unnest(kinds) w WHERE w IN ('*', kind) OR (right(w, 2) = '.*' AND starts_with(kind, left(w, -1))));
COMMENT ON FUNCTION erp_webhook.kind_wanted(text[], text) IS 'does a list of kinds (exact, prefix.*, *) hold this one?';

-- The set-based form: one row per element, in order; the arrays run in step.
CREATE FUNCTION erp_webhook.notify_all(company_id int, kinds text[], objects text[], object_refs text[], payloads jsonb[])
RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  ids bigint[];
  channel text;
BEGIN
  WITH told AS (
    INSERT INTO erp_webhook.message AS m (company_id, kind, object, object_ref, payload)
      SELECT notify_all.company_id, t.kind, t.object, t.object_ref, coalesce(t.payload, '{}')
      FROM unnest(kinds, objects, object_refs, payloads) WITH ORDINALITY AS t(kind, object, object_ref, payload, n)
      ORDER BY t.n
    RETURNING m.message_id
  ) SELECT array_agg(message_id ORDER BY message_id) INTO ids FROM told;

  INSERT INTO erp_webhook.dispatch (company_id, subscriber_id, message_id, object, object_ref)
    SELECT m.company_id, s.subscriber_id, m.message_id, m.object, m.object_ref
    FROM erp_webhook.message m
    JOIN erp_webhook.subscriber s
      ON s.company_id = m.company_id AND s.state = 'active' AND erp_webhook.kind_wanted(s.kinds, m.kind)
    WHERE m.company_id = notify_all.company_id AND m.message_id = ANY (ids) AND s.url NOT LIKE 'notify:%';

  -- The server collapses equal notifications of one transaction: a batch is one NOTIFY per channel.
  FOR channel IN
    SELECT DISTINCT substr(s.url, 8) FROM erp_webhook.subscriber s, unnest(kinds) k(kind)
    WHERE s.company_id = notify_all.company_id AND s.state = 'active' AND s.url LIKE 'notify:%'
      AND erp_webhook.kind_wanted(s.kinds, k.kind)
  LOOP
    PERFORM pg_notify(channel, company_id::text);
  END LOOP;
  RETURN ids;
END
$$;
COMMENT ON FUNCTION erp_webhook.notify_all(int, text[], text[], text[], jsonb[]) IS
  'queue messages in the caller''s transaction; returns their ids in order';

CREATE FUNCTION erp_webhook.notify(company_id int, kind text, object text, object_ref text, payload jsonb) RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN (erp_webhook.notify_all(company_id, ARRAY[kind], ARRAY[object], ARRAY[object_ref], ARRAY[payload]))[1];
COMMENT ON FUNCTION erp_webhook.notify(int, text, text, text, jsonb) IS 'queue one message in the caller''s transaction';

-- Delivery. The schedule is that of the Standard Webhooks specification ("Deliverability and reliability"); its sum is
-- a little over three days. Each wait is scattered by a fifth,
-- so that what failed together does not come back together.

CREATE FUNCTION erp_webhook.retry_waits() RETURNS interval[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{5 s,5 min,30 min,2 h,5 h,10 h,14 h,20 h,24 h}'::interval[];
COMMENT ON FUNCTION erp_webhook.retry_waits() IS
  'waits before the second and each later try; a message has one try more than there are waits';

CREATE FUNCTION erp_webhook.retry_wait(tries int, retry_after int) RETURNS interval
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN tries <= cardinality(erp_webhook.retry_waits()) THEN
  greatest((erp_webhook.retry_waits())[tries] * (0.9 + 0.2 * random()),
           least(coalesce(retry_after, 0), 86400) * interval '1 s')
    * coalesce(nullif(current_setting('erp_webhook.retry_scale', true), '')::float8, 1) END;
COMMENT ON FUNCTION erp_webhook.retry_wait(int, int) IS
  'how long to wait after so many tries; Retry-After may lengthen it, up to a day; NULL: no try is left';

-- Due messages of all subscribers, as leases. A turn takes half the places that are free, and a subscriber holds at
-- most a quarter, so that a few dozen slow ones leave some for the others; one that fails is asked one message at a
-- time. What each is owed next goes before what any is owed after that. The oldest open message
-- of an object goes first.
CREATE FUNCTION erp_webhook.claim_dispatches(places int, lease interval)
RETURNS TABLE (company_id int, subscriber_id int, message_id bigint, try int, url text, wire_id text, body text,
               secret_ids int[], sealed bytea[], key_names text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH candidate AS (
    SELECT d.*
    FROM erp_webhook.subscriber s CROSS JOIN LATERAL (
      SELECT q.company_id, q.subscriber_id, q.message_id, q.due_at
      FROM erp_webhook.dispatch q
      WHERE q.company_id = s.company_id AND q.subscriber_id = s.subscriber_id
        AND (q.state = 'queued' AND q.due_at <= now() OR q.state = 'sending' AND q.leased_until <= now())
        AND NOT EXISTS (
          SELECT FROM erp_webhook.dispatch earlier
          WHERE earlier.company_id = q.company_id AND earlier.subscriber_id = q.subscriber_id
            AND earlier.object = q.object AND earlier.object_ref = q.object_ref
            AND earlier.message_id < q.message_id AND earlier.state IN ('queued', 'sending'))
      ORDER BY q.due_at, q.message_id
      LIMIT greatest(0, CASE WHEN s.failures > 0 THEN 1 ELSE least(16, 1 + places / 4) END
        - (SELECT count(*) FROM erp_webhook.dispatch f
           WHERE f.company_id = s.company_id AND f.subscriber_id = s.subscriber_id AND f.state = 'sending'
             AND f.leased_until > now()))
      FOR UPDATE SKIP LOCKED
    ) d
    WHERE s.state = 'active'
  ), turns AS (
    SELECT c.*, row_number() OVER (PARTITION BY c.company_id, c.subscriber_id ORDER BY c.due_at, c.message_id) AS turn
    FROM candidate c
  ), due AS (
    SELECT t.company_id, t.subscriber_id, t.message_id
    FROM turns t ORDER BY t.turn, t.due_at, t.message_id LIMIT least(32, (places + 1) / 2)
  ), claimed AS (
    UPDATE erp_webhook.dispatch d SET state = 'sending', tries = d.tries + 1, leased_until = now() + lease
    FROM due WHERE d.company_id = due.company_id AND d.subscriber_id = due.subscriber_id AND d.message_id = due.message_id
    RETURNING d.*
  )
  SELECT c.company_id, c.subscriber_id, c.message_id, c.tries, s.url, 'msg_' || m.wire_id,
         jsonb_build_object('type', m.kind, 'timestamp',
                            to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                            'data', m.payload)::text,
         k.secret_ids, k.sealed, k.key_names
  FROM claimed c
  JOIN erp_webhook.message m ON m.company_id = c.company_id AND m.message_id = c.message_id
  JOIN erp_webhook.subscriber s ON s.company_id = c.company_id AND s.subscriber_id = c.subscriber_id
  LEFT JOIN LATERAL (
    SELECT array_agg(x.secret_id ORDER BY x.secret_id DESC) AS secret_ids,
           array_agg(x.sealed ORDER BY x.secret_id DESC) AS sealed,
           array_agg(x.key_name ORDER BY x.secret_id DESC) AS key_names
    FROM erp_webhook.subscriber_secret x
    WHERE x.company_id = c.company_id AND x.subscriber_id = c.subscriber_id AND x.valid @> now()
  ) k ON true;
END
$$;
COMMENT ON FUNCTION erp_webhook.claim_dispatches(int, interval) IS
  'worker: lease due messages, with all that sending them takes';

-- What came of tries: [{company_id, subscriber_id, message_id, try, status, error, retry_after, ms}, …]. A success
-- counts whoever holds the lease by now; anything else only from its holder.
CREATE FUNCTION erp_webhook.record_dispatches(results jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  WITH result AS (
    SELECT r.*, r.status BETWEEN 200 AND 299 AS ok, r.status = 410 AS gone
    FROM jsonb_to_recordset(results) r (company_id int, subscriber_id int, message_id bigint, try int, status int,
                                        error text, retry_after int, ms int)
  ), logged AS (
    INSERT INTO erp_webhook.attempt (company_id, subscriber_id, message_id, try, status, error, ms)
      SELECT r.company_id, r.subscriber_id, r.message_id, r.try, r.status, r.error, r.ms FROM result r
      JOIN erp_webhook.dispatch d
        ON d.company_id = r.company_id AND d.subscriber_id = r.subscriber_id AND d.message_id = r.message_id
      ON CONFLICT DO NOTHING
  ), moved AS (
    SELECT r.*, d.state AS was,
           CASE WHEN NOT coalesce(r.ok OR r.gone, false) THEN erp_webhook.retry_wait(r.try - d.first_try, r.retry_after) END AS wait
    FROM result r JOIN erp_webhook.dispatch d
      ON d.company_id = r.company_id AND d.subscriber_id = r.subscriber_id AND d.message_id = r.message_id
    WHERE d.state = 'sending' AND (r.ok OR d.tries = r.try)
  ), dispatched AS (
    UPDATE erp_webhook.dispatch d SET
      state = CASE WHEN m.ok THEN 'delivered' WHEN m.wait IS NULL THEN 'dead' ELSE 'queued' END,
      due_at = CASE WHEN m.wait IS NULL THEN d.due_at ELSE now() + m.wait END,
      done_at = CASE WHEN m.wait IS NULL THEN now() END,
      leased_until = NULL
    FROM moved m WHERE d.company_id = m.company_id AND d.subscriber_id = m.subscriber_id AND d.message_id = m.message_id
  )
  UPDATE erp_webhook.subscriber s SET
    failures = CASE WHEN t.succeeded THEN 0 ELSE s.failures + t.failed END,
    state = CASE WHEN t.gone THEN 'disabled' ELSE s.state END,
    reason = CASE WHEN t.gone THEN '410 Gone' ELSE s.reason END
  FROM (SELECT r.company_id, r.subscriber_id, bool_or(r.ok) IS TRUE AS succeeded, bool_or(r.gone) IS TRUE AS gone,
               (count(*) FILTER (WHERE r.ok IS NOT TRUE))::int AS failed
        FROM result r GROUP BY r.company_id, r.subscriber_id) t
  WHERE s.company_id = t.company_id AND s.subscriber_id = t.subscriber_id AND (t.failed > 0 OR s.failures > 0);
  -- Who is gone gets nothing of what was still queued for it; resend() can bring it back.
  UPDATE erp_webhook.dispatch d SET state = 'dead', done_at = now(), leased_until = NULL
  FROM jsonb_to_recordset(results) r (company_id int, subscriber_id int, status int)
  WHERE r.status = 410 AND d.company_id = r.company_id AND d.subscriber_id = r.subscriber_id
    AND d.state IN ('queued', 'sending');
END
$$;
COMMENT ON FUNCTION erp_webhook.record_dispatches(jsonb) IS 'worker: keep what came of tries, and decide what is next';
