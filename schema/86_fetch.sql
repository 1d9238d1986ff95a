-- Calls to providers: the rule is data (column provider.fetch), the call is the worker's.
--
-- A provider's `fetch` says:
--   base      {"live": origin, "sandbox": origin}: settings.environment chooses (live), settings.api overrides;
--             {setting.<name>} in it is filled in
--   origins   other origins its links may name; they are called on the base
--   headers   list of "name: value"; {secret} is the source's api secret, {basic} base64 of user:secret, {token} an
--             access token. The user is the secret's key_id, else settings.client_id; without one {basic} is secret:
--   token     {"url", "headers", "body"}: how to get an access token with the secret (RFC 6749, client credentials)
--   pull      {stream: {"url", "items", "next", "as", "wrap", "every", "overlap", "reach"}}   87_pull.sql
--   objects   [{"rule", "kinds", "types", "ref", "url", "reading", "events"}, …]              88_confirm.sql
--   keys      {"id", "url", "pinned", "form", …}                                              89_keys.sql
--
-- A url is a path on the base, or complete. {name} in it is percent-encoded: ref, cursor, since (ISO), since_s (epoch),
-- since_date, setting.<name>.

CREATE FUNCTION erp_webhook.percent_encode(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN (
  SELECT coalesce(string_agg(CASE WHEN c ~ '^[A-Za-z0-9._~-]$' THEN c
                                  ELSE regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\1',
                                                      'g') END, '' ORDER BY n), '')
  FROM regexp_split_to_table(value, '') WITH ORDINALITY AS t(c, n));
COMMENT ON FUNCTION erp_webhook.percent_encode(text) IS
  'RFC 3986 section 2.3: everything but unreserved characters is encoded';

-- NULL where a name is not known, or where a segment of dots would climb out of the path it stands in: such a call is
-- refused as a URL, which shows where it was wanted, and stops no other.
CREATE FUNCTION erp_webhook.fill_template(template text, vars jsonb, encode boolean DEFAULT true) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  result text := template;
  name text;
  value text;
BEGIN
  FOR name IN SELECT DISTINCT m[1] FROM regexp_matches(template, '\{([a-z_]+(?:\.[A-Za-z0-9_]+)?)\}', 'g') m LOOP
    CONTINUE WHEN name IN ('secret', 'basic', 'token');
    value := vars #>> string_to_array(name, '.');
    IF value IS NULL OR encode AND value ~ '^\.+$' THEN
      RETURN NULL;
    END IF;
    result := replace(result, '{' || name || '}', CASE WHEN encode THEN erp_webhook.percent_encode(value) ELSE value END);
  END LOOP;
  RETURN result;
END
$$;
COMMENT ON FUNCTION erp_webhook.fill_template(text, jsonb, boolean) IS
  'a template with its names filled in; credentials are left to the worker';

CREATE FUNCTION erp_webhook.provider_base(rules jsonb, settings jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN rtrim(coalesce(settings ->> 'api',
  erp_webhook.fill_template(rules -> 'base' ->> coalesce(settings ->> 'environment', 'live'),
                            jsonb_build_object('setting', settings))), '/');
COMMENT ON FUNCTION erp_webhook.provider_base(jsonb, jsonb) IS 'the origin of a provider''s API for this source';

CREATE FUNCTION erp_webhook.provider_url(rules jsonb, settings jsonb, url text, vars jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN url LIKE '/%' THEN erp_webhook.provider_base(rules, settings) ELSE '' END
  || erp_webhook.fill_template(url, coalesce(vars, '{}') || jsonb_build_object('setting', settings));
COMMENT ON FUNCTION erp_webhook.provider_url(jsonb, jsonb, text, jsonb) IS
  'a rule''s url with the base before it and its names filled in';

-- What a call needs beside its url: the newest api secret that is valid, and the provider's headers.
CREATE VIEW erp_webhook.api_access WITH (security_invoker = true) AS
SELECT s.company_id, s.source_id, s.name AS source, s.provider, s.settings, p.fetch AS rules, k.secret_id, k.sealed,
       k.key_name,
       coalesce(k.key_id, s.settings ->> 'client_id') AS "user", k.sealed IS NOT NULL AS has_key
FROM erp_webhook.source s
JOIN erp_webhook.provider p ON p.provider = s.provider
LEFT JOIN LATERAL (
  SELECT x.secret_id, x.sealed, x.key_name, x.key_id FROM erp_webhook.secret x
  WHERE x.company_id = s.company_id AND x.source_id = s.source_id AND x.purpose = 'api' AND x.valid @> now()
  ORDER BY x.secret_id DESC LIMIT 1
) k ON true
WHERE s.active;
COMMENT ON VIEW erp_webhook.api_access IS 'how each active source reaches its provider''s API';

CREATE FUNCTION erp_webhook.headers_of(rules jsonb, settings jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN ARRAY(SELECT erp_webhook.fill_template(h, jsonb_build_object('setting', settings), false)
             FROM jsonb_array_elements_text(coalesce(rules -> 'headers', '[]')) h);
COMMENT ON FUNCTION erp_webhook.headers_of(jsonb, jsonb) IS 'a rule''s headers, credentials still to be put in';

-- Due calls of all sources as leases: keys and objects before pages, since money waits for them. A source has at most
-- eight under way, for its provider's sake and so that one that hangs takes no place of another's.
CREATE FUNCTION erp_webhook.claim_calls(places int, lease_time interval)
RETURNS TABLE (what text, company_id int, source_id int, ref text, lease int, method text, url text, headers text[],
               body text,
               secret_id int, sealed bytea, key_name text, "user" text, token_url text, token_headers text[],
               token_body text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH fetch_due AS (
    SELECT d.company_id, d.source_id, d.fetch_id FROM erp_webhook.source s CROSS JOIN LATERAL (
      SELECT f.company_id, f.source_id, f.fetch_id, f.created_at FROM erp_webhook.fetch f
      WHERE f.company_id = s.company_id AND f.source_id = s.source_id
        AND (f.state = 'queued' OR f.state = 'fetching' AND f.leased_until <= now())
      ORDER BY f.created_at
      LIMIT greatest(0, 8 - (SELECT count(*) FROM erp_webhook.fetch u
                             WHERE u.company_id = s.company_id AND u.source_id = s.source_id AND u.state = 'fetching'
                               AND u.leased_until > now()))
      FOR UPDATE SKIP LOCKED
    ) d
    WHERE s.active ORDER BY d.created_at LIMIT places
  ), fetching AS (
    UPDATE erp_webhook.fetch f SET state = 'fetching', lease = f.lease + 1, leased_until = now() + lease_time,
    claimed_at = clock_timestamp()
    FROM fetch_due d WHERE f.company_id = d.company_id AND f.source_id = d.source_id AND f.fetch_id = d.fetch_id
    RETURNING f.*
  ), pull_due AS (
    SELECT c.company_id, c.source_id, c.stream FROM erp_webhook.pull_cursor c
    WHERE c.next_at <= now() AND (c.leased_until IS NULL OR c.leased_until <= now())
    ORDER BY c.next_at LIMIT places FOR UPDATE SKIP LOCKED
  ), pulling AS (
    UPDATE erp_webhook.pull_cursor c SET lease = c.lease + 1, leased_until = now() + lease_time,
      started_at = CASE WHEN c.page IS NULL THEN now() ELSE c.started_at END
    FROM pull_due d WHERE c.company_id = d.company_id AND c.source_id = d.source_id AND c.stream = d.stream
    RETURNING c.*
  ), calls AS (
    SELECT f.purpose AS what, f.company_id, f.source_id, f.fetch_id::text AS ref, f.lease, t.*
    FROM fetching f JOIN erp_webhook.api_access a ON a.company_id = f.company_id AND a.source_id = f.source_id
    CROSS JOIN LATERAL erp_webhook.fetch_call(a.rules, a.settings, f.purpose, f.rule, f.ref, a."user") t
    UNION ALL
    SELECT 'page', c.company_id, c.source_id, c.stream, c.lease, 'GET', erp_webhook.page_url(a.rules, a.settings, c),
           erp_webhook.headers_of(a.rules, a.settings), NULL, true
    FROM pulling c JOIN erp_webhook.api_access a ON a.company_id = c.company_id AND a.source_id = c.source_id
  )
  SELECT c.what, c.company_id, c.source_id, c.ref, c.lease, c.method, coalesce(c.url, ''), c.headers, c.body,
         a.secret_id, CASE WHEN c.with_key THEN a.sealed END, a.key_name, a."user",
         CASE WHEN c.with_key THEN erp_webhook.provider_url(a.rules, a.settings, a.rules -> 'token' ->> 'url', NULL) END,
         erp_webhook.headers_of(a.rules -> 'token', a.settings),
         erp_webhook.fill_template(a.rules -> 'token' ->> 'body', jsonb_build_object('setting', a.settings), true)
  FROM calls c JOIN erp_webhook.api_access a ON a.company_id = c.company_id AND a.source_id = c.source_id;
END
$$;
COMMENT ON FUNCTION erp_webhook.claim_calls(int, interval) IS
  'worker: lease due calls to providers, ready to be made but for the credentials';

-- Backoff of calls to providers: seconds, then minutes, then hours; scattered by a fifth.
CREATE FUNCTION erp_webhook.call_wait(tries int, retry_after int DEFAULT 0) RETURNS interval
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN greatest(least(5 * 3 ^ least(tries, 8), 21600) * (0.9 + 0.2 * random()),
                least(coalesce(retry_after, 0), 86400)) * interval '1 s'
  * coalesce(nullif(current_setting('erp_webhook.retry_scale', true), '')::float8, 1);
COMMENT ON FUNCTION erp_webhook.call_wait(int, int) IS
  'how long to wait after so many failed calls; Retry-After may lengthen it, up to a day';

-- The answer as JSON, or NULL where it is none.
CREATE FUNCTION erp_webhook.json_answer(answer bytea) RETURNS json
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN convert_from(answer, 'UTF8')::json;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION erp_webhook.json_answer(bytea) IS
  'an answer as JSON, member for member as it was written; NULL if it is not JSON';

-- Alternatives of pointers, /a|/b: the first that is there.
CREATE FUNCTION erp_webhook.json_at(document json, pointers text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN (
  SELECT document #> string_to_array(substr(p.pointer, 2), '/')
  FROM string_to_table(pointers, '|') WITH ORDINALITY AS p(pointer, n)
  WHERE json_typeof(document #> string_to_array(substr(p.pointer, 2), '/')) <> 'null' ORDER BY p.n LIMIT 1);
COMMENT ON FUNCTION erp_webhook.json_at(json, text) IS
  'what a pointer, or the first of several that finds something, points to';

-- A body around an item: {item} is the item, {item:/a|/b} a member of it, {text:/a} a member's text inside a string,
-- {lower:/a} that in lower case.
CREATE FUNCTION erp_webhook.wrap_item(wrap text, item json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN wrap IS NULL THEN item::text ELSE (
  SELECT string_agg(
    CASE WHEN w.part = '{item}' THEN item::text
         WHEN w.part LIKE '{item:%}'
           THEN coalesce(erp_webhook.json_at(item, substring(w.part, '^\{item:(.*)\}$'))::text, 'null')
         WHEN w.part LIKE '{text:%}'
           THEN coalesce(btrim(to_json(
             erp_webhook.json_at(item, substring(w.part, '^\{text:(.*)\}$')) #>> '{}')::text, '"'), '')
         WHEN w.part LIKE '{lower:%}'
           THEN coalesce(btrim(to_json(lower(
             erp_webhook.json_at(item, substring(w.part, '^\{lower:(.*)\}$')) #>> '{}'))::text, '"'), '')
         ELSE w.part END, '' ORDER BY w.n)
  FROM regexp_matches(wrap, '\{(?:item|(?:text|lower|item):[^{}]+)\}|[^{]+|\{', 'g') WITH ORDINALITY AS m(parts, n),
  LATERAL (SELECT m.parts[1] AS part, m.n) w) END;
COMMENT ON FUNCTION erp_webhook.wrap_item(text, json) IS 'what a webhook about this item would hold';

CREATE FUNCTION erp_webhook.pointer_path(pointer text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN string_to_array(substr(pointer, 2), '/');
COMMENT ON FUNCTION erp_webhook.pointer_path(text) IS 'a JSON pointer without escapes as a path; -1 is the last element';

CREATE FUNCTION erp_webhook.record_answer(call jsonb, answer bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  CASE call ->> 'what'
    WHEN 'page' THEN PERFORM erp_webhook.record_page(call, answer);
    WHEN 'object' THEN PERFORM erp_webhook.record_object(call, answer);
    WHEN 'key' THEN PERFORM erp_webhook.record_key(call, answer);
  END CASE;
END
$$;
COMMENT ON FUNCTION erp_webhook.record_answer(jsonb, bytea) IS 'an answer of a provider, to whoever it is for';

-- An answer that cannot be worked with counts as none:
-- its call is made again, later, and shows the error where it is waited for.
CREATE FUNCTION erp_webhook.record_call(call jsonb, answer bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM erp_webhook.record_answer(call, answer);
EXCEPTION WHEN OTHERS THEN
  IF SQLSTATE ~ '^(40|53|57|58|XX)' OR SQLSTATE = '55P03' THEN
    RAISE;
  END IF;
  PERFORM erp_webhook.record_answer(call || jsonb_build_object('status', 0, 'error', SQLERRM), NULL);
END
$$;
COMMENT ON FUNCTION erp_webhook.record_call(jsonb, bytea) IS 'worker: an answer of a provider, to whoever it is for';

CREATE FUNCTION erp_webhook.text_list(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN list IS NULL THEN '{*}' ELSE ARRAY(SELECT jsonb_array_elements_text(list)) END;
COMMENT ON FUNCTION erp_webhook.text_list(jsonb) IS 'a rule''s list of kinds or types; without one, all';
