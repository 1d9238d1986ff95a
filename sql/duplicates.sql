-- The same event again: alone, in one batch, with other words.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;

-- A provider of our own, by INSERT alone: a static token, and the generic body.
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('again nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('again-a', 'token', 'again nv') > 0 AND erp_webhook.add_source('again-b', 'token', 'again nv') > 0 AS made;
SELECT erp_webhook.add_secret('again-a', 'again-token') > 0 AND erp_webhook.add_secret('again-b', 'again-token') > 0 AS made;
CREATE FUNCTION pg_temp.body(amount text) RETURNS bytea LANGUAGE sql AS $$
  SELECT convert_to(format('{"type": "payment.succeeded", "timestamp": "2026-01-05T10:00:00Z", "data": {"id": "p", "amount": "%s", "currency": "EUR"}}', amount), 'UTF8')
$$;
CREATE TEMP TABLE answer (n bigint, outcome text, http_status int, content_type text, response bytea, event_id bigint, events int, detail text);
CREATE FUNCTION pg_temp.send(ids text[], amounts text[], source text DEFAULT 'again-a') RETURNS TABLE (n bigint, outcome text, event text, events int)
LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE answer;
  INSERT INTO answer SELECT row_number() OVER (), r.* FROM erp_webhook.ingest_batch(array_fill(source, ARRAY[cardinality(ids)]),
    ARRAY(SELECT jsonb_build_object('webhook-id', i, 'x-token', 'again-token') FROM unnest(ids) i),
    ARRAY(SELECT pg_temp.body(a) FROM unnest(amounts) a)) r;
  RETURN QUERY SELECT a.n, a.outcome, e.external_id || ' ' || e.amount, a.events
    FROM answer a LEFT JOIN erp_webhook.event e ON e.event_id = a.event_id ORDER BY a.n;
END
$$;
CREATE VIEW pg_temp.kept AS SELECT s.name AS source, e.external_id, e.amount,
    (SELECT count(*) FROM erp_webhook.event_conflict c WHERE c.company_id = e.company_id AND c.event_id = e.event_id) AS contradictions
  FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name LIKE 'again-%' ORDER BY 1, 2;
CREATE FUNCTION pg_temp.bodies() RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FROM erp_webhook.delivery d JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name LIKE 'again-%' $$;

SELECT * FROM pg_temp.send('{e1}', '{1.00}');
-- A repetition stores no second body, and has the id of the first.
SELECT * FROM pg_temp.send('{e1}', '{1.00}');
SELECT pg_temp.bodies();
-- Inside one batch: new, repeated, new, and known before. The first to arrive is the one that is new.
SELECT * FROM pg_temp.send('{e3,e2,e3,e1,e2}', '{3.00,2.00,3.00,1.00,2.00}');
SELECT pg_temp.bodies();
-- Ids are unique per source only.
SELECT * FROM pg_temp.send('{e1}', '{5.00}', 'again-b');
-- One id with two contents: the first stands, the other is kept as evidence, once.
SELECT * FROM pg_temp.send('{e1}', '{1.01}');
SELECT * FROM pg_temp.send('{e1}', '{1.01}');
SELECT * FROM pg_temp.send('{e1,e1}', '{1.02,1.02}');
SELECT * FROM pg_temp.send('{e4,e4}', '{4.00,4.01}');
SELECT * FROM pg_temp.kept;
SELECT pg_temp.bodies();
SELECT convert_from(d.body, 'UTF8') ~ '"1.01"' AS evidence FROM erp_webhook.event_conflict c
JOIN erp_webhook.delivery d USING (company_id, delivery_id, received_at) JOIN erp_webhook.source s USING (company_id, source_id)
WHERE s.name = 'again-a' ORDER BY c.delivery_id LIMIT 1;
SELECT outcome, n FROM erp_webhook.stats WHERE source = 'again-a' ORDER BY 1;
