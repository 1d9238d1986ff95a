-- What bodies say: the catalogue's loader, and the reading of a body by a mapping, with nothing verified or stored.

CREATE FUNCTION erp_webhook.read_body(
  reading jsonb, events jsonb, settings jsonb, headers jsonb, body bytea,
  method text DEFAULT 'POST', url text DEFAULT NULL, trust text DEFAULT 'full',
  OUT external_id text, OUT type text, OUT kind text, OUT state text, OUT reason text, OUT object_ref text,
  OUT payment_ref text, OUT account_ref text, OUT subscription_ref text, OUT correlation text[],
  OUT correlation_amounts numeric[], OUT amount numeric, OUT currency text, OUT fee numeric, OUT fee_currency text,
  OUT to_amount numeric, OUT to_currency text, OUT occurred_at timestamptz, OUT value_date date, OUT attempt text,
  OUT payout_ref text, OUT bank_ref text, OUT end_to_end_id text, OUT digest bytea, OUT ordinal int)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_read_body';
COMMENT ON FUNCTION erp_webhook.read_body(jsonb, jsonb, jsonb, jsonb, bytea, text, text, text)
  IS 'the events of a body under a mapping that is given: try a mapping before it is stored';

CREATE FUNCTION erp_webhook.count_events(
  reading jsonb, events jsonb, settings jsonb, headers jsonb, body bytea,
  method text DEFAULT 'POST', url text DEFAULT NULL, trust text DEFAULT 'full')
RETURNS int
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_count_events';
COMMENT ON FUNCTION erp_webhook.count_events(jsonb, jsonb, jsonb, jsonb, bytea, text, text, text)
  IS 'how many events read_body() finds, without making rows of them: what reading alone costs';

-- A provider's event rows in the order they are tried: the user's own before the shipped ones.
CREATE FUNCTION erp_webhook.provider_events(provider text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('match', e.match, 'kind', e.kind, 'fields', e.fields)
                            ORDER BY e.shipped, e.ordinal), '[]')
  FROM erp_webhook.provider_event e WHERE e.provider = $1
$$;
COMMENT ON FUNCTION erp_webhook.provider_events(text) IS
  'the event rows of a provider as one list, in the order they are tried';

-- Minor units are rows: what a provider's own say goes before its file, and the digits of a currency that a user added for
-- all providers ('*') before the default of two.
CREATE FUNCTION erp_webhook.provider_reading(provider text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.reading || jsonb_build_object('amounts', coalesce(p.reading->'amounts', '{}') || jsonb_build_object(
           'exponents', coalesce(p.reading#>'{amounts,exponents}', '{}')
             || coalesce((SELECT jsonb_object_agg(c.currency, c.digits ORDER BY NOT c.shipped)
                          FROM erp_webhook.provider_currency c WHERE c.provider = $1), '{}'),
           'digits', coalesce(p.reading#>'{amounts,digits}', '{}')
             || coalesce((SELECT jsonb_object_agg(c.currency, c.digits ORDER BY NOT c.shipped)
                          FROM erp_webhook.provider_currency c WHERE c.provider = '*' AND NOT c.shipped), '{}')))
  FROM erp_webhook.provider p WHERE p.provider = $1
$$;
COMMENT ON FUNCTION erp_webhook.provider_reading(text) IS
  'how a provider''s bodies are read, with the minor units of its currencies';

-- References as settlement reads them (SETTLEMENT.md 2.5): the whole string where such an invoice exists, else its parts.
CREATE FUNCTION erp_webhook.split_references(company int, refs text[]) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT array_agg(w.word ORDER BY r.n, w.n)
    FROM unnest(refs) WITH ORDINALITY AS r (ref, n)
    CROSS JOIN LATERAL unnest(CASE WHEN EXISTS (SELECT FROM erp_webhook.invoice i WHERE i.company_id = company AND i.number = r.ref)
                                   THEN ARRAY[r.ref] ELSE erp_webhook.words(r.ref) END) WITH ORDINALITY AS w (word, n));
END
$$;
COMMENT ON FUNCTION erp_webhook.split_references(int, text[]) IS 'references as settlement reads them';

CREATE FUNCTION erp_webhook.preview(
  source text, headers jsonb, body bytea, method text DEFAULT 'POST', url text DEFAULT NULL)
RETURNS TABLE (external_id text, type text, kind text, object_ref text, payment_ref text, amount numeric, currency text,
               fee numeric, occurred_at timestamptz, correlation text[], account_ref text, subscription_ref text,
               value_date date, state text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  s erp_webhook.source;
BEGIN
  SELECT so.* INTO s
  FROM erp_webhook.source_name n JOIN erp_webhook.source so USING (company_id, source_id)
  WHERE n.name = preview.source;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no source "%"', preview.source USING ERRCODE = 'undefined_object';
  END IF;
  RETURN QUERY
    SELECT r.external_id, r.type, r.kind, r.object_ref, r.payment_ref, r.amount, r.currency, r.fee, r.occurred_at,
           erp_webhook.split_references(s.company_id, r.correlation), r.account_ref, r.subscription_ref, r.value_date,
           r.state, r.reason
    FROM erp_webhook.read_body(erp_webhook.provider_reading(s.provider), erp_webhook.provider_events(s.provider), s.settings,
                               preview.headers, preview.body, preview.method, preview.url, s.trust) r
    ORDER BY r.ordinal;
END
$$;
COMMENT ON FUNCTION erp_webhook.preview(text, jsonb, bytea, text, text)
  IS 'what a body would become: nothing verified, nothing stored';

-- Idempotent: the install script and every upgrade call it for each file of providers/. Rows of a user's own stay.
CREATE FUNCTION erp_webhook.load_provider(name text, file jsonb) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO erp_webhook.provider AS p (provider, scheme, response, trust, reading, "fetch", note, shipped)
  VALUES (name, file->'scheme', coalesce(file->'response', '{}'), coalesce(file->>'trust', 'full'),
          coalesce(file->'reading', '{}'), coalesce(file->'fetch', '{}'), file->>'note', true)
  ON CONFLICT (provider) DO UPDATE
    SET scheme = excluded.scheme, response = excluded.response, trust = excluded.trust, reading = excluded.reading,
        "fetch" = excluded."fetch", note = excluded.note
    WHERE p.shipped;

  DELETE FROM erp_webhook.provider_currency c WHERE c.provider = name AND c.shipped;
  INSERT INTO erp_webhook.provider_currency (provider, currency, digits, shipped)
  SELECT name, key, value::int, true FROM jsonb_each_text(coalesce(file#>'{reading,amounts,exponents}', '{}'));

  DELETE FROM erp_webhook.provider_event e WHERE e.provider = name AND e.shipped;
  INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields, shipped)
  SELECT name, r.ordinal, coalesce(r.row->'match', '{}'), r.row->>'kind', coalesce(r.row->'fields', '{}'), true
  FROM jsonb_array_elements(coalesce(file->'events', '[]')) WITH ORDINALITY AS r (row, ordinal);
$$;
COMMENT ON FUNCTION erp_webhook.load_provider(text, jsonb) IS 'take one file of providers/ into the catalogue';
