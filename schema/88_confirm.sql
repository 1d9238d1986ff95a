-- Confirmation: an event that must not be believed, or does not say how much,
-- is settled from the object at the provider.
--
-- A rule of provider.fetch -> objects:
--   rule, kinds, types    its name, and which waiting events it serves (exact, prefix.*, *; both if both are given);
--                         with no kinds, [], it only reads the items of lists
--   ref                   which field of the event names the object: object_ref (default), payment_ref, payout_ref,
--                         subscription_ref, external_id, or correlation (its first)
--   url                   with {ref}
--   reading, events       a mapping, in the language of docs/adding-a-provider.md, over {"event": …, "object": …}: the
--                         waiting event as we read it, and the answer; an item of a pulled list has no "event". The
--                         rows say what is true of the object, whatever the event claimed
--   at, wrap              instead of those: the answer, or what `at` points to in it, is the body of a webhook or
--                         becomes one inside `wrap`, and is read by the mapping of the provider's webhooks
--
-- What the object says is stored as events of its own, origin fetch, named by what they say,
-- so that asking again adds nothing.
-- The waiting event
--   ends no_effect/confirmed     if it claimed no money or the object says the same
--   ends quarantined/contradiction   if the object says another amount or currency, or after the last attempt
--                                    still something else
--   stays waiting                else, and is asked about again (event.attempts, retry_at, error);
--                                without an API key for ever

CREATE FUNCTION erp_webhook.confirm_attempts() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 12;
COMMENT ON FUNCTION erp_webhook.confirm_attempts() IS 'how often an object is asked for on behalf of one event';

-- Waiting events with the rule that serves them.
CREATE VIEW erp_webhook.waiting_event WITH (security_invoker = true) AS
SELECT e.company_id, e.event_id, e.source_id, a.source, a.provider, a.has_key, e.external_id, e.kind, e.type,
       e.received_at, e.attempts, e.retry_at, e.error,
       r.rule ->> 'rule' AS rule,
       CASE r.rule ->> 'ref' WHEN 'payment_ref' THEN e.payment_ref WHEN 'payout_ref' THEN e.payout_ref
                             WHEN 'subscription_ref' THEN e.subscription_ref WHEN 'external_id' THEN e.external_id
                             WHEN 'correlation' THEN e.correlation[1] ELSE e.object_ref END AS ref,
       CASE WHEN r.rule IS NULL THEN 'no rule says how to ask' WHEN NOT a.has_key THEN 'no API key'
            WHEN e.attempts >= erp_webhook.confirm_attempts() THEN 'given up: ' || coalesce(e.error, '')
            ELSE coalesce(e.error, 'to be asked') END AS why
FROM erp_webhook.event e
JOIN erp_webhook.api_access a ON a.company_id = e.company_id AND a.source_id = e.source_id
LEFT JOIN LATERAL (
  SELECT o.rule FROM jsonb_array_elements(a.rules -> 'objects') WITH ORDINALITY AS o(rule, n)
  WHERE erp_webhook.kind_wanted(erp_webhook.text_list(o.rule -> 'kinds'), e.kind)
    AND erp_webhook.kind_wanted(erp_webhook.text_list(o.rule -> 'types'), coalesce(e.type, ''))
  ORDER BY o.n LIMIT 1
) r ON true
WHERE e.state = 'waiting';
COMMENT ON VIEW erp_webhook.waiting_event IS 'events that wait for the provider''s word, and what they wait for';

CREATE FUNCTION erp_webhook.plan_fetches() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO erp_webhook.fetch (company_id, source_id, purpose, rule, ref)
    SELECT DISTINCT w.company_id, w.source_id, 'object', w.rule, w.ref FROM erp_webhook.waiting_event w
    WHERE w.rule IS NOT NULL AND w.ref IS NOT NULL AND w.has_key AND w.attempts < erp_webhook.confirm_attempts()
      AND (w.retry_at IS NULL OR w.retry_at <= now())
      AND NOT EXISTS (SELECT FROM erp_webhook.fetch f
                      WHERE f.company_id = w.company_id AND f.source_id = w.source_id AND f.purpose = 'object'
                        AND f.rule = w.rule AND f.ref = w.ref
                        AND (f.state = 'queued' OR f.state = 'fetching'
                             AND f.claimed_at >= greatest(w.received_at, w.retry_at)))
  ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION erp_webhook.plan_fetches() IS 'queue one fetch for each object that waiting events need';

-- What to ask for one fetch, credentials still to be put in.
CREATE FUNCTION erp_webhook.fetch_call(rules jsonb, settings jsonb, purpose text, rule text, ref text, "user" text,
                                       OUT method text, OUT url text, OUT headers text[], OUT body text,
                                       OUT with_key boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  how jsonb;
  vars jsonb := jsonb_build_object('ref', ref, 'user', "user", 'setting', settings);
BEGIN
  IF purpose = 'object' THEN
    SELECT o INTO how FROM jsonb_array_elements(rules -> 'objects') o WHERE o ->> 'rule' = fetch_call.rule;
    url := erp_webhook.provider_url(rules, settings, how ->> 'url', vars);
    with_key := true;
  ELSE
    how := rules -> 'keys';
    url := CASE WHEN how ->> 'url' = '{ref}' THEN ref
                ELSE erp_webhook.provider_url(rules, settings, how ->> 'url', vars) END;
    with_key := how ? 'body';
  END IF;
  -- In a body nothing is escaped: only what needs no escaping goes there.
  IF how ? 'body' AND ref !~ '^[A-Za-z0-9._~:/?&=%+-]+$' THEN
    url := NULL;
  END IF;
  method := coalesce(how ->> 'method', 'GET');
  body := erp_webhook.fill_template(how ->> 'body', vars, false);
  headers := CASE WHEN with_key THEN erp_webhook.headers_of(
    coalesce(how, '{}')
    || CASE WHEN how ? 'headers' THEN '{}' ELSE jsonb_build_object('headers', rules -> 'headers') END, settings) END;
END
$$;
COMMENT ON FUNCTION erp_webhook.fetch_call(jsonb, jsonb, text, text, text, text) IS 'the request of a fetch';

-- The facts an object states, on behalf of a waiting event or of none.
CREATE FUNCTION erp_webhook.read_object(a erp_webhook.api_access, rule jsonb, waiting jsonb, object json, origin text)
RETURNS SETOF erp_webhook.event
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  e erp_webhook.event;
BEGIN
  FOR e IN
    SELECT x.* FROM erp_webhook.read_as_webhook(a, rule, object, origin) x WHERE NOT rule ? 'events'
    UNION ALL
    SELECT x.* FROM erp_webhook.read_body(coalesce(rule -> 'reading', '{}'), rule -> 'events', a.settings, '{}',
        convert_to('{"event":' || coalesce(waiting::text, 'null') || ',"object":' || object::text || '}', 'UTF8'), 'GET',
        NULL, 'full') r,
      erp_webhook.event_of(a.company_id, a.source_id, origin, to_jsonb(r)) x
    WHERE rule ? 'events'
  LOOP
    CONTINUE WHEN e.state = 'waiting' OR e.kind = 'other' AND e.state <> 'quarantined';
    e.external_id := 'fetch:' || e.kind || ':' || coalesce(e.object_ref, '') || ':' || left(encode(e.digest, 'hex'), 24);
    RETURN NEXT e;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_object(erp_webhook.api_access, jsonb, jsonb, json, text) IS
  'an object of a provider''s as canonical events, named by what they say';

-- Does what the object says bear out what the event claims? NULL: yes.
CREATE FUNCTION erp_webhook.contradicts(claim erp_webhook.event, facts erp_webhook.event[], OUT reason text,
                                        OUT final boolean)
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  fact erp_webhook.event;
BEGIN
  final := false;
  -- What moves nothing is not held against the object.
  IF claim.kind IN ('other', 'payment.pending', 'payment.linked', 'payout.scheduled', 'dispute.opened',
                    'dispute.closed') THEN
    RETURN;
  END IF;
  SELECT f.* INTO fact FROM unnest(facts) f
    WHERE f.kind = claim.kind AND (claim.object_ref IS NULL OR f.object_ref = claim.object_ref)
      AND f.state IN ('applied', 'no_effect') LIMIT 1;
  IF NOT FOUND THEN
    reason := format('the object does not say %s', claim.kind);
  ELSIF claim.amount <> fact.amount OR claim.currency <> fact.currency THEN
    reason := format('claimed %s %s, the object says %s %s', claim.amount, claim.currency, fact.amount, fact.currency);
    final := true;
  ELSIF claim.payment_ref <> fact.payment_ref THEN
    reason := format('claimed payment %s, the object says %s', claim.payment_ref, fact.payment_ref);
    final := true;
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.contradicts(erp_webhook.event, erp_webhook.event[]) IS
  'why facts do not bear out a claim, and whether asking again could change that';

-- Move one waiting event on.
CREATE FUNCTION erp_webhook.decide_waiting(claim erp_webhook.event, why text, final boolean, retry_after int) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF why IS NULL THEN
    UPDATE erp_webhook.event e SET state = 'no_effect', reason = 'confirmed', retry_at = NULL, error = NULL,
    attempts = e.attempts + 1
      WHERE e.company_id = claim.company_id AND e.event_id = claim.event_id;
  ELSIF final THEN
    UPDATE erp_webhook.event e SET state = 'quarantined', reason = 'contradiction', retry_at = NULL, error = why,
    attempts = e.attempts + 1
      WHERE e.company_id = claim.company_id AND e.event_id = claim.event_id;
    PERFORM erp_webhook.notify(claim.company_id, 'event.quarantined', 'event', claim.event_id::text, jsonb_build_object(
      'event_id', claim.event_id, 'external_id', claim.external_id, 'kind', claim.kind, 'reason', 'contradiction',
      'detail', why));
  ELSE
    UPDATE erp_webhook.event e SET attempts = e.attempts + 1,
    retry_at = now() + erp_webhook.call_wait(e.attempts + 1, retry_after), error = why
      WHERE e.company_id = claim.company_id AND e.event_id = claim.event_id;
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.decide_waiting(erp_webhook.event, text, boolean, int) IS
  'a waiting event confirmed, contradicted or left for another attempt';

CREATE FUNCTION erp_webhook.record_object(call jsonb, answer bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  f erp_webhook.fetch;
  a erp_webhook.api_access;
  claim erp_webhook.event;
  facts erp_webhook.event[];
  object json := erp_webhook.json_answer(answer);
  code int := (call ->> 'status')::int;
  failed text;
  verdict record;
BEGIN
  UPDATE erp_webhook.fetch x SET state = 'done', status = nullif(code, 0), error = call ->> 'error', done_at = now(),
  leased_until = NULL
    WHERE x.company_id = (call ->> 'company_id')::int AND x.source_id = (call ->> 'source_id')::int
      AND x.fetch_id = (call ->> 'ref')::bigint
      AND x.state = 'fetching' AND x.lease = (call ->> 'lease')::int
    RETURNING * INTO f;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT * INTO a FROM erp_webhook.api_access x WHERE x.company_id = f.company_id AND x.source_id = f.source_id;
  failed := CASE WHEN code = 0 THEN coalesce(call ->> 'error', 'no answer')
                 WHEN code = 404 THEN 'the provider does not know it'
                 WHEN code <> 200 THEN 'answered ' || code WHEN object IS NULL THEN 'the answer is not JSON' END;
  FOR claim IN
    SELECT e.*
    FROM erp_webhook.waiting_event w JOIN erp_webhook.event e ON e.company_id = w.company_id AND e.event_id = w.event_id
    WHERE w.company_id = f.company_id AND w.source_id = f.source_id AND w.rule = f.rule AND w.ref = f.ref
      AND greatest(w.received_at, w.retry_at) <= f.claimed_at
    ORDER BY e.event_id
  LOOP
    IF failed IS NOT NULL THEN
      -- What the provider still does not know after every attempt was never there.
      PERFORM erp_webhook.decide_waiting(claim, failed, code = 404
                                         AND claim.attempts + 1 >= erp_webhook.confirm_attempts()
                                         AND claim.kind <> 'other', (call ->> 'retry_after')::int);
      CONTINUE;
    END IF;
    SELECT array_agg(e) INTO facts FROM erp_webhook.read_object(a,
      (SELECT o FROM jsonb_array_elements(a.rules -> 'objects') o WHERE o ->> 'rule' = f.rule), to_jsonb(claim), object,
      'fetch') e;
    SELECT * INTO verdict FROM erp_webhook.contradicts(claim, facts);
    IF verdict.reason IS NULL THEN
      PERFORM erp_webhook.keep_events(facts, 'GET', f.rule || '/' || f.ref, answer);
    END IF;
    PERFORM erp_webhook.decide_waiting(claim, verdict.reason, verdict.final
                                       OR claim.attempts + 1 >= erp_webhook.confirm_attempts(), NULL);
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.record_object(jsonb, bytea) IS
  'compare an object with what waits for it, and settle what is borne out';

CREATE FUNCTION erp_webhook.retry_fetch(company text DEFAULT 'default') RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner int := erp_webhook.find_company(company);
  n int;
BEGIN
  PERFORM erp_webhook.check_access(owner, 'admin');
  UPDATE erp_webhook.event e SET attempts = 0, retry_at = NULL WHERE e.company_id = owner AND e.state = 'waiting';
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END
$$;
COMMENT ON FUNCTION erp_webhook.retry_fetch(text) IS
  'ask again about every waiting event, also those given up; returns how many';
