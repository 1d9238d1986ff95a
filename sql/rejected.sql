-- A rejected request writes no row, takes no transaction id and draws no number, alone or in a batch.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;

-- A provider of our own, by INSERT alone: a static token, and the generic body.
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('rejected nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('rejected-shop', 'token', 'rejected nv') > 0 AS made;
SELECT erp_webhook.add_source('rejected-stripe', 'stripe', 'rejected nv') > 0 AS made;
SELECT erp_webhook.add_secret('rejected-shop', 'rejected-token') > 0 AS made;
SELECT erp_webhook.add_secret('rejected-stripe', 'whsec_rejected_rejected') > 0 AS made;

-- Every table and every sequence of ours, before and after.
CREATE FUNCTION pg_temp.everything() RETURNS TABLE (name text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
  FOR name IN SELECT c.oid::regclass FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
              WHERE c.relkind IN ('r', 'S') LOOP
    EXECUTE format(CASE (SELECT relkind FROM pg_class WHERE oid = name::regclass) WHEN 'S' THEN 'SELECT last_value + is_called::int FROM %s' ELSE 'SELECT count(*) FROM %s' END, name) INTO n;
    RETURN NEXT;
  END LOOP;
END
$$;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.everything();

BEGIN;
SELECT outcome, http_status, detail FROM erp_webhook.ingest('rejected-shop', '{"x-token": "no", "webhook-id": "r1"}', '{}');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('rejected-shop', '{"webhook-id": "r1"}', '{}');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('rejected-stripe', '{"stripe-signature": "t=1,v1=00"}', '{}');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('rejected-nobody', '{}', '{}');
SELECT outcome, count(*) FROM erp_webhook.ingest_batch(array_fill('rejected-shop'::text, ARRAY[200]), array_fill('{"x-token": "no"}'::jsonb, ARRAY[200]),
  array_fill('x'::bytea, ARRAY[200])) GROUP BY 1;
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_transaction_id;
SELECT count(*) AS row_locks FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('tuple', 'transactionid', 'advisory');
COMMIT;
SELECT name, b.n AS before, a.n AS after FROM before b FULL JOIN pg_temp.everything() a USING (name) WHERE a.n IS DISTINCT FROM b.n;

-- They are counted, in memory.
SELECT source, outcome, reason, CASE WHEN source <> 'unknown' THEN n END AS n FROM erp_webhook.stats WHERE source LIKE 'rejected-%' OR reason = 'unknown_source' ORDER BY 1, 2, 3;

-- And the same check notices one that is kept.
SELECT outcome FROM erp_webhook.ingest('rejected-shop', '{"x-token": "rejected-token", "webhook-id": "r2"}', '{"type": "tea.ready"}');
SELECT name FROM before b FULL JOIN pg_temp.everything() a USING (name) WHERE a.n IS DISTINCT FROM b.n ORDER BY name COLLATE "C";
