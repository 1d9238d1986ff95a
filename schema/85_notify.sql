-- Telling others: called by whatever settles, in its own transaction.

CREATE FUNCTION erp_webhook.kind_wanted(kinds text[], kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM unnest(kinds) w WHERE w IN ('*', kind) OR (right(w, 2) = '.*' AND starts_with(kind, left(w, -1))));
COMMENT ON FUNCTION erp_webhook.kind_wanted(text[], text) IS 'does a list of kinds (exact, prefix.*, *) hold this one?';

-- The set-based form: one row per element, in order; the arrays run in step.
CREATE FUNCTION erp_webhook.notify_all(company_id int, kinds text[], objects text[], object_refs text[], payloads jsonb[]) RETURNS bigint[]
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
    JOIN erp_webhook.subscriber s ON s.company_id = m.company_id AND s.state = 'active' AND erp_webhook.kind_wanted(s.kinds, m.kind)
    WHERE m.company_id = notify_all.company_id AND m.message_id = ANY (ids) AND s.url NOT LIKE 'notify:%';

  -- The server collapses equal notifications of one transaction: a batch is one NOTIFY per channel.
  FOR channel IN
    SELECT DISTINCT substr(s.url, 8) FROM erp_webhook.subscriber s, unnest(kinds) k(kind)
    WHERE s.company_id = notify_all.company_id AND s.state = 'active' AND s.url LIKE 'notify:%' AND erp_webhook.kind_wanted(s.kinds, k.kind)
  LOOP
    PERFORM pg_notify(channel, company_id::text);
  END LOOP;
  RETURN ids;
END
$$;
COMMENT ON FUNCTION erp_webhook.notify_all(int, text[], text[], text[], jsonb[]) IS 'queue messages in the caller''s transaction; returns their ids in order';

CREATE FUNCTION erp_webhook.notify(company_id int, kind text, object text, object_ref text, payload jsonb) RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN (erp_webhook.notify_all(company_id, ARRAY[kind], ARRAY[object], ARRAY[object_ref], ARRAY[payload]))[1];
COMMENT ON FUNCTION erp_webhook.notify(int, text, text, text, jsonb) IS 'queue one message in the caller''s transaction';
