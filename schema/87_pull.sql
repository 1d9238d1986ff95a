-- Catch-up: what a provider lists is read page by page and kept like a delivery, origin pull.
--
-- A stream of provider.fetch -> pull:
--   url       the first page, with {since}, {since_s} or {since_date}
--   items     pointer to the list on a page
--   next      {"cursor": pointer, "param": name}: add it to the first url; with "more": pointer,
--             only while that is true
--             {"url": pointer}: the next page's url, which must lie on the base
--             {"rel": pointer}: likewise, of the element with rel = next in a list of links
--   as        webhook: an item is what a webhook's body would be; `at` points to the body in it,
--             `wrap` makes one around it
--             an objects rule's name: an item is such an object, read as a confirmation reads it; what is known already
--             of an object is not stored again
--   newest    pointer to an item's time, for lists that come newest first and cannot be cut by time: a page whose last
--             item is older than the run wants is the last
--   every     how often (15 minutes); overlap: how far before the last run a run starts (1 hour)
--   reach     how far back the provider lists; for people, in docs/providers.md

CREATE FUNCTION erp_webhook.page_url(rules jsonb, settings jsonb, cur erp_webhook.pull_cursor) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN coalesce(cur.page, erp_webhook.provider_url(rules, settings, rules #>> ARRAY['pull', cur.stream, 'url'],
  (SELECT jsonb_build_object('since', to_char(start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                             'since_s', floor(extract(epoch FROM start))::bigint, 'since_date',
                             to_char(start AT TIME ZONE 'UTC', 'YYYY-MM-DD'))
   FROM (SELECT cur.since - coalesce(rules #>> ARRAY['pull', cur.stream, 'overlap'], '1 hour')::interval) x(start))));
COMMENT ON FUNCTION erp_webhook.page_url(jsonb, jsonb, erp_webhook.pull_cursor) IS 'the page a cursor reads next';

-- NULL after the last page. A page elsewhere than on the base is not followed: it raises, and the run stops there.
CREATE FUNCTION erp_webhook.next_page(rules jsonb, settings jsonb, stream text, first_url text, answer json) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule jsonb := rules #> ARRAY['pull', stream, 'next'];
  base text := erp_webhook.provider_base(rules, settings);
  value text;
BEGIN
  IF rule ? 'more' AND (answer #>> erp_webhook.pointer_path(rule ->> 'more')) IS DISTINCT FROM 'true' THEN
    RETURN NULL;
  ELSIF rule ? 'cursor' THEN
    value := answer #>> erp_webhook.pointer_path(rule ->> 'cursor');
    RETURN first_url || CASE WHEN strpos(first_url, '?') > 0 THEN '&' ELSE '?' END || (rule ->> 'param') || '='
      || erp_webhook.percent_encode(nullif(value, ''));
  ELSIF rule ? 'url' THEN
    value := answer #>> erp_webhook.pointer_path(rule ->> 'url');
  ELSIF rule ? 'rel' THEN
    SELECT l ->> 'href'
    INTO value FROM json_array_elements(answer #> erp_webhook.pointer_path(rule ->> 'rel')) l WHERE l ->> 'rel' = 'next';
  END IF;
  -- Some providers write their links with another of their own hosts. The call stays on the base.
  value := coalesce((
    SELECT base || substr(value, length(o) + 1)
    FROM (SELECT '' UNION ALL SELECT jsonb_array_elements_text(rules -> 'origins')) x(o)
    WHERE starts_with(value, o || '/') LIMIT 1), value);
  IF NOT starts_with(value, base || '/') THEN
    RAISE EXCEPTION 'the next page lies elsewhere: %', left(value, 200) USING ERRCODE = 'data_exception';
  END IF;
  RETURN value;
END
$$;
COMMENT ON FUNCTION erp_webhook.next_page(jsonb, jsonb, text, text, json) IS 'the url of the page after this answer';

-- Keeping what was read at a provider: the same tables, rules and settlement as for a delivery, in SQL because the
-- mapping is given and nothing has to be proven.

CREATE FUNCTION erp_webhook.event_of(company_id int, source_id int, origin text, said jsonb) RETURNS erp_webhook.event
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN jsonb_populate_record(NULL::erp_webhook.event, said || jsonb_build_object(
  'company_id', company_id, 'source_id', source_id, 'origin', origin, 'attempts', 0,
  'received_at', erp_webhook.clock()));
COMMENT ON FUNCTION erp_webhook.event_of(int, int, text, jsonb) IS 'an event as read_body() gives it, as a row of ours';

-- Returns the external ids that are new. Keys are inserted sorted, as ingest does, so that a pull and a webhook with
-- the same events wait for each other and never in turn. An error of settlement is brought down to the one event that
-- raises it, which is kept as failed; errors of the system are not ours to judge and go on.
CREATE FUNCTION erp_webhook.insert_events(said erp_webhook.event[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kept text[];
  n int := cardinality(said);
  code text;
  message text;
BEGIN
  BEGIN
    WITH stored AS (
      INSERT INTO erp_webhook.event SELECT e.* FROM unnest(said) e ORDER BY e.external_id COLLATE "C"
      ON CONFLICT (company_id, source_id, external_id) DO NOTHING RETURNING external_id
    ) SELECT array_agg(external_id) INTO kept FROM stored;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;  -- as src/inbox/deferred.c
    RETURN kept;
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    IF code ~ '^(40|53|57|58|XX)' OR code = '55P03' THEN
      RAISE;
    END IF;
  END;
  IF n > 1 THEN
    RETURN erp_webhook.insert_events(said[:n / 2]) || erp_webhook.insert_events(said[n / 2 + 1:]);
  END IF;
  said[1].state := 'failed';
  said[1].sqlstate := code;
  said[1].error := message;
  said[1].attempts := 1;
  said[1].retry_at := now() + erp_webhook.call_wait(1);
  INSERT INTO erp_webhook.event SELECT e.* FROM unnest(said) e ON CONFLICT (company_id, source_id, external_id) DO NOTHING;
  RETURN ARRAY[said[1].external_id];
END
$$;
COMMENT ON FUNCTION erp_webhook.insert_events(erp_webhook.event[]) IS
  'store events and settle them; the ids of those that are new';

-- The body is kept as evidence if it brought anything. A known id that says something else is a conflict; one that only
-- waited to be confirmed is confirmed by the provider having said the same.
CREATE FUNCTION erp_webhook.keep_events(said erp_webhook.event[], method text, url text, body bytea,
                                        headers text DEFAULT '{}', secret_id int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  delivery bigint := nextval('erp_webhook.delivery_id');
  fresh text[];
  confirmed erp_webhook.event[];
  differing int;
  first erp_webhook.event := said[1];
BEGIN
  SELECT array_agg(e ORDER BY n) INTO said
    FROM (SELECT DISTINCT ON (said[i].external_id) i AS n,
            jsonb_populate_record(said[i], jsonb_build_object('delivery_id', delivery, 'event_id',
                                                              nextval('erp_webhook.event_event_id_seq'))) AS e
          FROM generate_subscripts(said, 1) i ORDER BY said[i].external_id, i) d;
  IF said IS NULL THEN
    RETURN 0;
  END IF;
  fresh := coalesce(erp_webhook.insert_events(said), '{}');

  WITH known AS (
    SELECT e.company_id, e.event_id, e.digest AS stored, s.digest, s.received_at FROM unnest(said) s
    JOIN erp_webhook.event e
      ON e.company_id = first.company_id AND e.source_id = first.source_id AND e.external_id = s.external_id
    WHERE s.external_id <> ALL (fresh)
  ), conflicts AS (
    INSERT INTO erp_webhook.event_conflict (company_id, event_id, digest, delivery_id, received_at)
      SELECT k.company_id, k.event_id, k.digest, delivery, k.received_at
      FROM known k WHERE k.digest IS DISTINCT FROM k.stored
    ON CONFLICT DO NOTHING RETURNING 1
  ) SELECT count(*) INTO differing FROM conflicts;

  WITH confirming AS (
    UPDATE erp_webhook.event e SET state = 'applied', reason = 'confirmed', retry_at = NULL, error = NULL
    FROM unnest(said) s
    WHERE e.company_id = first.company_id AND e.source_id = first.source_id AND e.external_id = s.external_id
      AND e.state = 'waiting' AND s.state = 'applied' AND e.digest = s.digest AND s.external_id <> ALL (fresh)
    RETURNING e.*
  ) SELECT array_agg(c::erp_webhook.event) INTO confirmed FROM confirming c;
  IF confirmed IS NOT NULL THEN
    PERFORM erp_webhook.settle(first.company_id, confirmed);
  END IF;

  IF fresh <> '{}' OR differing > 0 THEN
    INSERT INTO erp_webhook.delivery (company_id, delivery_id, received_at, source_id, method, url, headers, body,
                                      secret_id, signed_at)
      VALUES (first.company_id, delivery, first.received_at, first.source_id, method, url, headers, body, secret_id,
              first.signed_at);
  END IF;
  RETURN cardinality(fresh);
END
$$;
COMMENT ON FUNCTION erp_webhook.keep_events(erp_webhook.event[], text, text, bytea, text, int) IS
  'keep what was read at a provider and settle what is new of it; returns how many events that are';

-- One item as events. Those of objects that an event has already said word for word are left out.
CREATE FUNCTION erp_webhook.read_item(a erp_webhook.api_access, stream jsonb, item json)
RETURNS SETOF erp_webhook.event
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule jsonb;
BEGIN
  IF coalesce(stream ->> 'as', 'webhook') = 'webhook' THEN
    RETURN QUERY SELECT e.* FROM erp_webhook.read_as_webhook(a, stream, item, 'pull') e;
    RETURN;
  END IF;
  SELECT o INTO rule FROM jsonb_array_elements(a.rules -> 'objects') o WHERE o ->> 'rule' = stream ->> 'as';
  RETURN QUERY SELECT e.* FROM erp_webhook.read_object(a, rule, NULL, item, 'pull') e
    WHERE NOT EXISTS (SELECT FROM erp_webhook.event k
                      WHERE k.company_id = e.company_id AND k.source_id = e.source_id AND k.kind = e.kind
                        AND k.object_ref = e.object_ref AND k.state = 'applied' AND k.amount IS NOT DISTINCT FROM e.amount
                        AND k.currency IS NOT DISTINCT FROM e.currency);
END
$$;
COMMENT ON FUNCTION erp_webhook.read_item(erp_webhook.api_access, jsonb, json) IS 'the events an item of a page stands for';

CREATE FUNCTION erp_webhook.read_as_webhook(a erp_webhook.api_access, rule jsonb, answer json, origin text)
RETURNS SETOF erp_webhook.event
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT e.*
  FROM erp_webhook.provider p,
       erp_webhook.read_body(erp_webhook.provider_reading(p.provider), erp_webhook.provider_events(p.provider),
                             a.settings, '{}',
         convert_to(erp_webhook.wrap_item(rule ->> 'wrap',
                                          CASE WHEN rule ? 'at' THEN answer #> erp_webhook.pointer_path(rule ->> 'at')
                                               ELSE answer END), 'UTF8'),
         'POST', a.settings ->> 'url', 'full') r,
       erp_webhook.event_of(a.company_id, a.source_id, origin, to_jsonb(r)) e
  WHERE p.provider = a.provider
$$;
COMMENT ON FUNCTION erp_webhook.read_as_webhook(erp_webhook.api_access, jsonb, json, text) IS
  'what a provider''s API answers, read by the mapping of its webhooks';

CREATE FUNCTION erp_webhook.reaches_back(stream jsonb, since timestamptz, page json) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN coalesce(
  (page #> erp_webhook.pointer_path(stream ->> 'items') -> -1 #>> erp_webhook.pointer_path(stream ->> 'newest'))::timestamptz
  < since - coalesce(stream ->> 'overlap', '1 hour')::interval, false);
COMMENT ON FUNCTION erp_webhook.reaches_back(jsonb, timestamptz, json) IS
  'does a page of a list that comes newest first go back far enough?';

CREATE FUNCTION erp_webhook.record_page(call jsonb, answer bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  a erp_webhook.api_access;
  cur erp_webhook.pull_cursor;
  page json := erp_webhook.json_answer(answer);
  rule jsonb;
  url text;
  following text;
  why text;
  fresh int;
  items int;
BEGIN
  SELECT * INTO cur FROM erp_webhook.pull_cursor c
    WHERE c.company_id = (call ->> 'company_id')::int AND c.source_id = (call ->> 'source_id')::int
      AND c.stream = call ->> 'ref' FOR UPDATE;
  IF NOT FOUND OR cur.lease <> (call ->> 'lease')::int THEN
    RETURN;
  END IF;
  SELECT * INTO a FROM erp_webhook.api_access x WHERE x.company_id = cur.company_id AND x.source_id = cur.source_id;
  rule := a.rules #> ARRAY['pull', cur.stream];
  IF (call ->> 'status')::int <> 200 OR page IS NULL
     OR json_typeof(page #> erp_webhook.pointer_path(rule ->> 'items')) IS DISTINCT FROM 'array' THEN
    PERFORM erp_webhook.pull_failed(
      cur,
      coalesce(call ->> 'error',
               CASE WHEN (call ->> 'status')::int <> 200 THEN 'answered ' || (call ->> 'status') ELSE 'not a page' END),
      (call ->> 'retry_after')::int);
    RETURN;
  END IF;
  url := erp_webhook.page_url(a.rules, a.settings, cur);
  SELECT k.fresh, k.items
  INTO fresh, items FROM erp_webhook.keep_items(a, rule, url, page #> erp_webhook.pointer_path(rule ->> 'items')) k;
  following := CASE WHEN NOT erp_webhook.reaches_back(rule, cur.since, page)
    THEN erp_webhook.next_page(
      a.rules, a.settings, cur.stream,
      erp_webhook.page_url(a.rules, a.settings, jsonb_populate_record(cur, '{"page": null}')), page) END;
  -- A page seen before in this run is a loop; an empty one with a successor would be followed for ever.
  IF following IS NOT NULL AND (encode(sha256(answer), 'hex') = ANY (cur.seen) OR cur.pages >= 10000) THEN
    why := 'the list loops: its page ' || cur.pages || ' came before';
  END IF;
  IF items = 0 OR why IS NOT NULL THEN
    following := NULL;
  END IF;
  UPDATE erp_webhook.pull_cursor c SET
    page = following, pages = CASE WHEN following IS NULL THEN 0 ELSE c.pages + 1 END,
    seen = CASE WHEN following IS NULL THEN '{}' ELSE c.seen || encode(sha256(answer), 'hex') END,
    since = CASE WHEN following IS NULL THEN c.started_at ELSE c.since END,
    next_at = CASE WHEN following IS NULL THEN now() + coalesce(rule ->> 'every', '15 minutes')::interval ELSE now() END,
    done_at = CASE WHEN following IS NULL THEN now() ELSE c.done_at END,
    leased_until = NULL, tries = 0, error = why, pulled = c.pulled + items, found = c.found + fresh
  WHERE c.company_id = cur.company_id AND c.source_id = cur.source_id AND c.stream = cur.stream;
END
$$;
COMMENT ON FUNCTION erp_webhook.record_page(jsonb, bytea) IS 'keep a page''s events and move the cursor, together';

CREATE FUNCTION erp_webhook.pull_failed(cur erp_webhook.pull_cursor, why text, retry_after int) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE erp_webhook.pull_cursor c SET error = why, tries = c.tries + 1, leased_until = NULL,
  next_at = now() + erp_webhook.call_wait(c.tries, retry_after)
  WHERE c.company_id = cur.company_id AND c.source_id = cur.source_id AND c.stream = cur.stream
$$;
COMMENT ON FUNCTION erp_webhook.pull_failed(erp_webhook.pull_cursor, text, int) IS 'the same page again, later';

-- Keep the items of a page that are not known. In the order of their times, so that vouchers read like the day.
CREATE FUNCTION erp_webhook.keep_items(a erp_webhook.api_access, stream jsonb, url text, list json, OUT items int,
                                       OUT fresh int)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  said erp_webhook.event[];
BEGIN
  SELECT count(*) INTO items FROM json_array_elements(list);
  SELECT array_agg(e ORDER BY e.occurred_at NULLS LAST, i.n) INTO said
  FROM json_array_elements(list) WITH ORDINALITY AS i(item, n), erp_webhook.read_item(a, stream, i.item) e;
  fresh := erp_webhook.keep_events(said, 'GET', url, convert_to(list::text, 'UTF8'));
END
$$;
COMMENT ON FUNCTION erp_webhook.keep_items(erp_webhook.api_access, jsonb, text, json) IS
  'the events of a page''s items, kept; how many were new';

-- Scheduling.

CREATE FUNCTION erp_webhook.plan_pulls() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO erp_webhook.pull_cursor (company_id, source_id, stream, since)
    SELECT a.company_id, a.source_id, k.stream, now()
    FROM erp_webhook.api_access a, jsonb_object_keys(a.rules -> 'pull') k(stream)
    WHERE a.has_key AND coalesce(a.settings ->> 'pull', 'true') <> 'false'
      AND NOT EXISTS (SELECT FROM erp_webhook.pull_cursor c
                      WHERE c.company_id = a.company_id AND c.source_id = a.source_id AND c.stream = k.stream)
  ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION erp_webhook.plan_pulls() IS
  'give every source that has an API key its cursors; settings.pull = false leaves it to pull()';

CREATE FUNCTION erp_webhook.pull(source text, since timestamptz DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  a erp_webhook.api_access;
BEGIN
  SELECT x.*
  INTO a FROM erp_webhook.source_name n JOIN erp_webhook.api_access x ON x.company_id = n.company_id AND x.source_id = n.source_id
    WHERE n.name = source;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no active source "%"', source USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM erp_webhook.check_access(a.company_id, 'admin');
  IF a.rules -> 'pull' IS NULL THEN
    RAISE EXCEPTION 'provider "%" has no list to pull', a.provider USING ERRCODE = 'feature_not_supported';
  ELSIF NOT a.has_key THEN
    RAISE EXCEPTION 'source "%" has no API key', source USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Add it with add_secret_file(source, path, purpose => ''api'').';
  END IF;
  INSERT INTO erp_webhook.pull_cursor AS c (company_id, source_id, stream, since)
    SELECT a.company_id, a.source_id, k.stream, coalesce(since, now()) FROM jsonb_object_keys(a.rules -> 'pull') k(stream)
  ON CONFLICT (company_id, source_id, stream) DO UPDATE SET
    since = coalesce(pull.since, c.since), page = NULL, pages = 0, seen = '{}', next_at = now(), leased_until = NULL,
    lease = c.lease + 1, tries = 0, error = NULL;
  RETURN (SELECT count(*) FROM jsonb_object_keys(a.rules -> 'pull'));
END
$$;
COMMENT ON FUNCTION erp_webhook.pull(text, timestamptz) IS
  'have the worker read a provider''s lists now, from `since` or where it stopped; returns how many lists. run_jobs() '
  'does it too';

CREATE VIEW erp_webhook.pull_state WITH (security_invoker = true) AS
SELECT c.company_id, s.name AS source, c.stream, c.since, c.next_at, c.done_at, c.pages AS pages_into_run, c.pulled,
       c.found, c.tries, c.error
FROM erp_webhook.pull_cursor c JOIN erp_webhook.source s ON s.company_id = c.company_id AND s.source_id = c.source_id;
COMMENT ON VIEW erp_webhook.pull_state IS
  'how far each list has been read; `found` counts events that only pulling brought, which measures the webhook';
