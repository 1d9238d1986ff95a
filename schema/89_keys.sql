-- Keys: certificates and JWKs that providers publish, and the deliveries that wait for one.
--
-- provider.fetch -> keys:
--   id       where a delivery names its key: header:<name>, or jose:<name> for the kid of a JOSE header in it
--   url      {ref} where the key's name is its address, else a path or url, with {ref} if the key is asked for by name
--   pinned   what such an address must match, whole; without it only the row's own url is ever called
--   form     pem: the answer is the key; jwk: the JWK at `at`; jwks: the set at `at`, each key under its own kid
--   method, headers, body   where a GET without credentials does not do
--   lives    how long a key is used before it is fetched again (24 hours)
--
-- Chains, names and dates of certificates are the verifier's to check, against settings.trust_root, at every use.

CREATE FUNCTION erp_webhook.max_fetched_keys() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 64;
COMMENT ON FUNCTION erp_webhook.max_fetched_keys() IS 'keys kept per source; the oldest give way';

CREATE FUNCTION erp_webhook.max_unverified(OUT deliveries int, OUT bytes bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (1000, 16777216::bigint);
COMMENT ON FUNCTION erp_webhook.max_unverified() IS
  'what of a source may wait for keys at once, since anybody can name a key; more is rejected, and its sender '
  'comes again';

CREATE FUNCTION erp_webhook.key_attempts() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 6;
COMMENT ON FUNCTION erp_webhook.key_attempts() IS
  'how often, over half an hour, the provider must not know a key before the deliveries that name it are refused';

-- The name of the key a request says it is signed with; NULL where it says none, or one that may not be fetched.
CREATE FUNCTION erp_webhook.key_named(rules jsonb, headers jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  place text := split_part(rules #>> '{keys,id}', ':', 1);
  header text := split_part(rules #>> '{keys,id}', ':', 2);
  value text;
  name text;
BEGIN
  SELECT h.value #>> '{}'
  INTO value FROM jsonb_each(headers) h WHERE lower(h.key) = header AND jsonb_typeof(h.value) = 'string';
  name := CASE WHEN place = 'jose'
    THEN convert_from(decode(rpad(translate(split_part(value, '.', 1), '-_', '+/'),
                                  (length(split_part(value, '.', 1)) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::json ->> 'kid'
    ELSE value END;
  -- The name goes into a URL, or into a body we send.
  IF length(name) > 400 OR name !~ '^[A-Za-z0-9._~:/?&=%+-]+$'
     OR rules #>> '{keys,url}' = '{ref}' AND (name ~ ('^(?:' || (rules #>> '{keys,pinned}') || ')$')) IS NOT TRUE THEN
    RETURN NULL;
  END IF;
  RETURN name;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION erp_webhook.key_named(jsonb, jsonb) IS 'the key a request names, if it is one the worker may fetch';

-- Called by ingest for a request whose key is not known. False: it is rejected like any other.
CREATE FUNCTION erp_webhook.keep_unverified(company_id int, source_id int, headers jsonb, body bytea, method text, url text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  key text;
BEGIN
  SELECT erp_webhook.key_named(p.fetch, headers)
  INTO key FROM erp_webhook.source s JOIN erp_webhook.provider p ON p.provider = s.provider
    WHERE s.company_id = company_id AND s.source_id = source_id AND s.active;
  IF key IS NULL OR (
    SELECT count(u.unverified_id) >= m.deliveries OR coalesce(sum(octet_length(u.body)), 0) + octet_length(body) > m.bytes
    FROM erp_webhook.max_unverified() m
    LEFT JOIN erp_webhook.unverified u ON u.company_id = company_id AND u.source_id = source_id AND u.state = 'waiting'
    GROUP BY m.deliveries, m.bytes) THEN
    RETURN false;
  END IF;
  INSERT INTO erp_webhook.unverified (company_id, source_id, key_id, method, url, headers, body)
    VALUES (company_id, source_id, key, method, url, headers, body) ON CONFLICT DO NOTHING;
  RETURN true;
END
$$;
COMMENT ON FUNCTION erp_webhook.keep_unverified(int, int, jsonb, bytea, text, text) IS
  'keep a request until its key is there; without effect till then';

CREATE FUNCTION erp_webhook.plan_keys() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO erp_webhook.fetch (company_id, source_id, purpose, rule, ref)
    SELECT DISTINCT u.company_id, u.source_id, 'key', 'key', u.key_id FROM erp_webhook.unverified u
    JOIN erp_webhook.api_access a ON a.company_id = u.company_id AND a.source_id = u.source_id
    WHERE u.state = 'waiting' AND u.retry_at <= now() AND a.rules -> 'keys' IS NOT NULL
      AND NOT EXISTS (SELECT FROM erp_webhook.fetch f WHERE f.company_id = u.company_id AND f.source_id = u.source_id
                        AND f.purpose = 'key' AND f.ref = u.key_id AND f.state IN ('queued', 'fetching'))
  ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION erp_webhook.plan_keys() IS 'queue one fetch for each key that deliveries wait for';

-- The keys of an answer by name. A key of another name than the one asked for is not taken where names are asked for.
CREATE FUNCTION erp_webhook.keys_of(rule jsonb, ref text, answer bytea, OUT key_id text, OUT key text, OUT until timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  at text[] := coalesce(erp_webhook.pointer_path(rule ->> 'at'), '{}');
  document json;
BEGIN
  IF octet_length(answer) > 65536 THEN
    RETURN;
  ELSIF rule ->> 'form' = 'pem' THEN
    IF convert_from(answer, 'UTF8') ~ '^\s*-----BEGIN (CERTIFICATE|PUBLIC KEY)-----' THEN
      RETURN QUERY SELECT ref, convert_from(answer, 'UTF8'), NULL::timestamptz;
    END IF;
    RETURN;
  END IF;
  document := erp_webhook.json_answer(answer);
  document := CASE WHEN at = '{}' THEN document ELSE document #> at END;
  RETURN QUERY
    SELECT j ->> 'kid', j::text, to_timestamp((j ->> 'expired_at')::float8)
    FROM json_array_elements(CASE WHEN rule ->> 'form' = 'jwks' THEN document -> 'keys'
                                  ELSE json_build_array(document) END) j
    WHERE j ->> 'kid' IS NOT NULL AND (rule ->> 'form' = 'jwks' OR j ->> 'kid' = ref)
    LIMIT erp_webhook.max_fetched_keys();
EXCEPTION WHEN data_exception THEN
  RETURN;
END
$$;
COMMENT ON FUNCTION erp_webhook.keys_of(jsonb, text, bytea) IS 'the keys an answer holds';

CREATE FUNCTION erp_webhook.record_key(call jsonb, answer bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  f erp_webhook.fetch;
  rules jsonb;
  taken int := 0;
  why text;
BEGIN
  UPDATE erp_webhook.fetch x SET state = 'done', status = nullif((call ->> 'status')::int, 0), error = call ->> 'error',
  done_at = now(), leased_until = NULL
    WHERE x.company_id = (call ->> 'company_id')::int AND x.source_id = (call ->> 'source_id')::int
      AND x.fetch_id = (call ->> 'ref')::bigint
      AND x.state = 'fetching' AND x.lease = (call ->> 'lease')::int
    RETURNING * INTO f;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT a.rules INTO rules FROM erp_webhook.api_access a WHERE a.company_id = f.company_id AND a.source_id = f.source_id;
  IF f.status = 200 THEN
    WITH stored AS (
      INSERT INTO erp_webhook.fetched_key AS k (company_id, source_id, key_id, key, valid)
        SELECT f.company_id, f.source_id, n.key_id, n.key,
               tstzrange(NULL, least(n.until, now() + coalesce(rules #>> '{keys,lives}', '24 hours')::interval))
        FROM erp_webhook.keys_of(rules -> 'keys', f.ref, answer) n
      ON CONFLICT (company_id, source_id, key_id) DO UPDATE SET key = excluded.key, valid = excluded.valid,
      fetched_at = now()
      RETURNING 1
    ) SELECT count(*) INTO taken FROM stored;
    DELETE FROM erp_webhook.fetched_key k WHERE k.company_id = f.company_id AND k.source_id = f.source_id AND k.key_id NOT IN (
      SELECT y.key_id FROM erp_webhook.fetched_key y WHERE y.company_id = f.company_id AND y.source_id = f.source_id
      ORDER BY y.fetched_at DESC, y.key_id LIMIT erp_webhook.max_fetched_keys());
  END IF;
  why := CASE WHEN taken > 0 THEN 'the answer holds other keys'
              ELSE coalesce(f.error, 'answered ' || f.status || ', no key in it') END;
  UPDATE erp_webhook.unverified u SET attempts = u.attempts + 1, reason = why,
  retry_at = now() + erp_webhook.call_wait(u.attempts + 1, (call ->> 'retry_after')::int)
    WHERE u.company_id = f.company_id AND u.source_id = f.source_id AND u.state = 'waiting' AND u.key_id = f.ref;
  PERFORM erp_webhook.decide_unverified(f.company_id, f.source_id, f.ref, taken > 0, f.status IN (200, 404, 410));
END
$$;
COMMENT ON FUNCTION erp_webhook.record_key(jsonb, bytea) IS 'keep fetched keys and decide what waited for them';

-- A delivery is judged as of its arrival. One that is genuine then goes the way of every delivery. One whose key does
-- not come is refused when the provider has denied the key often enough, or after three days: by then its sender
-- has given up, too.
CREATE FUNCTION erp_webhook.decide_unverified(company_id int, source_id int, asked text, came boolean, denied boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  u erp_webhook.unverified;
  s erp_webhook.source;
  v record;
  keyless boolean;
  said erp_webhook.event[];
BEGIN
  SELECT x.* INTO s FROM erp_webhook.source x WHERE x.company_id = company_id AND x.source_id = source_id;
  FOR u IN SELECT x.* FROM erp_webhook.unverified x
           WHERE x.company_id = company_id AND x.source_id = source_id AND x.state = 'waiting' AND (came OR x.key_id = asked)
           ORDER BY x.unverified_id FOR UPDATE LOOP
    SELECT * INTO v FROM erp_webhook.verify(s.name, u.headers, u.body, u.method, u.url, u.received_at);
    keyless := v.reason IN ('unknown_key', 'no_secret');
    CONTINUE WHEN keyless AND u.received_at > now() - interval '3 days'
      AND (denied AND u.key_id = asked AND u.attempts >= erp_webhook.key_attempts()) IS NOT TRUE;
    IF v.ok THEN
      SELECT array_agg(e ORDER BY r.ordinal) INTO said
      FROM erp_webhook.read_body((SELECT p.reading
                                  FROM erp_webhook.provider p
                                  WHERE p.provider = s.provider), erp_webhook.provider_events(s.provider),
                                 s.settings, u.headers, u.body, u.method, u.url, s.trust) r,
           erp_webhook.event_of(company_id, source_id, 'push',
                                to_jsonb(r) || jsonb_build_object('signed_at', v.signed_at)) e;
      PERFORM erp_webhook.keep_events(said, u.method, u.url, u.body, u.headers::text, v.secret_id);
    END IF;
    UPDATE erp_webhook.unverified x SET state = CASE WHEN v.ok THEN 'accepted' ELSE 'refused' END,
        reason = CASE WHEN keyless THEN 'no key came: ' || coalesce(u.reason, v.reason) ELSE v.reason END, headers = '{}',
        body = ''
      WHERE x.company_id = u.company_id AND x.source_id = u.source_id AND x.unverified_id = u.unverified_id;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.decide_unverified(int, int, text, boolean, boolean) IS
  'judge the deliveries of a source that waited for a key';
