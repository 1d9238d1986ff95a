-- Proof, years later: the stored bytes against the keys that were valid when they came.

-- verify() for evidence: the source may have been deactivated since, and a handshake is not stored.
CREATE FUNCTION erp_webhook.verify_stored(source text, headers jsonb, body bytea, method text, url text, at timestamptz)
RETURNS erp_webhook.verdict
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_verify_stored';
COMMENT ON FUNCTION erp_webhook.verify_stored(text, jsonb, bytea, text, text, timestamptz) IS
  'was this stored request genuine at that time? Also of a source that is no longer active';

CREATE FUNCTION erp_webhook.reprove(company text, event_id bigint) RETURNS erp_webhook.verdict
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  owner_id int := erp_webhook.find_company(company);
  e erp_webhook.event;
  d erp_webhook.delivery;
  s erp_webhook.source;
BEGIN
  SELECT x.* INTO e FROM erp_webhook.event x WHERE x.company_id = owner_id AND x.event_id = event_id;
  IF e.event_id IS NULL THEN
    RAISE EXCEPTION 'company "%" has no event %', company, event_id USING ERRCODE = 'no_data_found';
  END IF;
  SELECT x.* INTO d FROM erp_webhook.delivery x
  WHERE x.company_id = owner_id AND x.delivery_id = e.delivery_id AND x.received_at = e.received_at;
  IF d.delivery_id IS NULL THEN
    RAISE EXCEPTION 'the delivery of event % is not kept', event_id
      USING ERRCODE = 'no_data_found',
      HINT = 'Its month was dropped (erp_webhook.keep_deliveries), or the event was made here.';
  END IF;
  SELECT x.* INTO s FROM erp_webhook.source x WHERE x.company_id = owner_id AND x.source_id = e.source_id;
  -- A static credential proves a sender, not bytes, and is not kept; what we fetched ourselves nobody signed.
  IF e.origin <> 'push' OR erp_webhook.provider_scheme(s.provider) ->> 'alg' IN ('equal', 'none') THEN
    RETURN ROW (false, 'unsigned', NULL, NULL)::erp_webhook.verdict;
  END IF;
  RETURN erp_webhook.verify_stored(s.name, d.headers::jsonb, d.body, d.method, d.url, d.received_at);
END
$$;
COMMENT ON FUNCTION erp_webhook.reprove(text, bigint) IS
  'verify the stored bytes of an event again, as of the moment they were received';
