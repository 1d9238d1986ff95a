-- What bodies say: the catalogue of mappings.

-- A provider's event rows in the order they are tried: the user's own before the shipped ones.
CREATE FUNCTION erp_webhook.provider_events(provider text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('match', e.match, 'kind', e.kind, 'fields', e.fields)
                            ORDER BY e.shipped, e.ordinal), '[]')
  FROM erp_webhook.provider_event e WHERE e.provider = $1
$$;
COMMENT ON FUNCTION erp_webhook.provider_events(text) IS 'the event rows of a provider as one list, in the order they are tried';

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

  DELETE FROM erp_webhook.provider_event e WHERE e.provider = name AND e.shipped;
  INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields, shipped)
  SELECT name, r.ordinal, coalesce(r.row->'match', '{}'), r.row->>'kind', coalesce(r.row->'fields', '{}'), true
  FROM jsonb_array_elements(coalesce(file->'events', '[]')) WITH ORDINALITY AS r (row, ordinal);
$$;
COMMENT ON FUNCTION erp_webhook.load_provider(text, jsonb) IS 'take one file of providers/ into the catalogue';
