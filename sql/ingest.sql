-- One request, one receipt: every outcome that a request by itself can have.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse

-- A provider of our own, by INSERT alone: a static token, and the generic body.
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('ingest nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('ingest-shop', 'token', 'ingest nv') > 0 AS made;
SELECT erp_webhook.add_secret('ingest-shop', 'ingest-token') > 0 AS made;
CREATE FUNCTION pg_temp.body(type text, id text, amount text) RETURNS bytea LANGUAGE sql AS $$
  SELECT convert_to(format('{"type": "%s", "timestamp": "2026-01-05T10:00:00Z", "data": {"id": "%s", "amount": "%s", "currency": "EUR"}}', type, id, amount), 'UTF8')
$$;
CREATE FUNCTION pg_temp.send(id text, body bytea, token text DEFAULT 'ingest-token', source text DEFAULT 'ingest-shop') RETURNS erp_webhook.receipt LANGUAGE sql AS $$
  SELECT erp_webhook.ingest(source, jsonb_build_object('Webhook-Id', id, 'X-Token', token), body)
$$;

SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i1', pg_temp.body('payment.succeeded', 'p1', '10.00'));
SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i1', pg_temp.body('payment.succeeded', 'p1', '10.00'));
SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i2', pg_temp.body('tea.ready', 'p1', '10.00'));
SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i3', pg_temp.body('payment.succeeded', 'p3', '10,00'));
SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i4', 'not json at all');
SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i5', pg_temp.body('payment.succeeded', 'p5', '10.00'), 'another token');
SELECT outcome, http_status, event_id IS NOT NULL AS kept, events, detail FROM pg_temp.send('i5', pg_temp.body('payment.succeeded', 'p5', '10.00'), source => 'no such source');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('ingest-shop', '{}', 'x');
SELECT outcome, http_status, detail FROM erp_webhook.ingest(NULL, '{}', 'x');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('ingest-shop', '["x"]', 'x');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('ingest-shop', '{"X-Token": "ingest-token", "Content-Encoding": "gzip"}', 'x');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('ingest-shop', '{"X-Token": "ingest-token"}', convert_to(repeat('x', 5000000), 'UTF8'));
-- A header the scheme reads must not be there twice.
SELECT outcome, http_status, detail FROM erp_webhook.ingest('ingest-shop', '{"X-Token": ["ingest-token", "ingest-token"]}', 'x');
SELECT outcome, http_status, detail FROM erp_webhook.ingest('ingest-shop', '{"X-Token": "ingest-token", "x-token": "ingest-token"}', 'x');
-- A body whose id is longer than an index page takes is known by its hash, and still a duplicate the second time.
SELECT outcome FROM pg_temp.send((SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i), pg_temp.body('tea.ready', 'p1', '1'));
SELECT outcome FROM pg_temp.send((SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i), pg_temp.body('tea.ready', 'p1', '1'));

-- An untrusted source's word waits for confirmation.
SELECT erp_webhook.set_trust('ingest-shop', 'confirm');
SELECT outcome, http_status, events FROM pg_temp.send('i6', pg_temp.body('payment.succeeded', 'p6', '10.00'));
SELECT erp_webhook.set_trust('ingest-shop', 'full');
UPDATE erp_webhook.source SET active = false WHERE name = 'ingest-shop';
SELECT outcome, http_status, detail FROM pg_temp.send('i7', pg_temp.body('payment.succeeded', 'p7', '10.00'));
UPDATE erp_webhook.source SET active = true WHERE name = 'ingest-shop';

SELECT left(external_id, 30) AS external_id, type, kind, state, reason, amount, currency, origin
FROM erp_webhook.event JOIN erp_webhook.source USING (company_id, source_id) WHERE name = 'ingest-shop' ORDER BY event_id;
SELECT method, headers, length(body) > 0 AS body, secret_id IS NOT NULL AS secret
FROM erp_webhook.delivery JOIN erp_webhook.source USING (company_id, source_id) WHERE name = 'ingest-shop' ORDER BY delivery_id LIMIT 1;

-- A batch answers in its own order.
SELECT outcome, http_status, events, detail FROM erp_webhook.ingest_batch(
  ARRAY['ingest-shop', NULL, 'ingest-shop', 'ingest-shop', 'nobody'],
  ARRAY['{"webhook-id": "b1", "x-token": "ingest-token"}', '{}', '{"webhook-id": "b2", "x-token": "bad"}', '{"webhook-id": "b3", "x-token": "ingest-token"}', '{}']::jsonb[],
  ARRAY[pg_temp.body('payment.succeeded', 'b1', '1.00'), 'x', 'x', pg_temp.body('tea.ready', 'b3', '1.00'), 'x']);
SELECT count(*) FROM erp_webhook.ingest_batch('{}', '{}', '{}');
SELECT outcome FROM erp_webhook.ingest_batch('{a}', '{}', '{}');
SELECT outcome FROM erp_webhook.ingest_batch('{a}', ARRAY['{}']::jsonb[], '{x}', '{POST,POST}');
SELECT outcome FROM erp_webhook.ingest_batch('{a}', NULL, '{x}');

-- READ COMMITTED only; and durable, whatever the session lowered.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT outcome FROM pg_temp.send('i8', 'x');
ROLLBACK;
SET synchronous_commit = off;
BEGIN;
SELECT outcome FROM pg_temp.send('i8', pg_temp.body('tea.ready', 'p8', '1'));
SHOW synchronous_commit;
COMMIT;
SHOW synchronous_commit;
RESET synchronous_commit;

-- The clock of tests.
SET erp_webhook.clock = '2026-02-03 04:05:06Z';
SELECT outcome FROM pg_temp.send('i9', pg_temp.body('tea.ready', 'p9', '1'));
SELECT received_at AT TIME ZONE 'UTC' AS received_at FROM erp_webhook.event WHERE external_id = 'i9';
RESET erp_webhook.clock;
