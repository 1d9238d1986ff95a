-- The catalogue: every provider is rows; loading again changes nothing, and a user's own rows stay and go first.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;

-- all of them say how they sign and how they are read; their mappings compile, those of fetched objects too
SELECT count(*) > 60 AS many, count(*) FILTER (WHERE scheme = '{}' OR reading = '{}' OR note IS NULL) AS incomplete
FROM erp_webhook.provider WHERE shipped;
SELECT p.provider FROM erp_webhook.provider p
WHERE NOT EXISTS (SELECT FROM erp_webhook.read_body(erp_webhook.provider_reading(p.provider), erp_webhook.provider_events(p.provider), '{}', '{}', '{}'));
SELECT p.provider FROM erp_webhook.provider p, jsonb_array_elements(p."fetch"->'objects') AS o (rule)
WHERE rule ? 'events' AND NOT EXISTS (SELECT FROM erp_webhook.read_body(coalesce(rule->'reading', '{}'), rule->'events', '{}', '{}', '{}'));

BEGIN;
-- a provider's file, put together again from its rows
CREATE FUNCTION pg_temp.file_of(name text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('scheme', scheme, 'response', response, 'trust', trust, 'reading', reading, 'fetch', "fetch", 'note', note, 'events',
           (SELECT jsonb_agg(jsonb_build_object('match', match, 'kind', kind, 'fields', fields) ORDER BY ordinal) FROM erp_webhook.provider_event e WHERE e.provider = name AND e.shipped))
  FROM erp_webhook.provider WHERE provider = name
$$;
CREATE FUNCTION pg_temp.kind_of_test_payment() RETURNS text LANGUAGE sql AS $$
  SELECT kind FROM erp_webhook.read_body(erp_webhook.provider_reading('stripe'), erp_webhook.provider_events('stripe'), '{}', '{}',
    '{"id":"e","type":"payment_intent.succeeded","data":{"object":{"id":"p","amount":1,"currency":"eur","metadata":{"test":"yes"}}}}')
$$;
CREATE TEMP TABLE before AS SELECT pg_temp.file_of('stripe') AS file, erp_webhook.provider_reading('stripe') AS reading;
SELECT erp_webhook.load_provider('stripe', file) FROM before;
SELECT pg_temp.file_of('stripe') = file AS same_rows, erp_webhook.provider_reading('stripe') = reading AS same_units FROM before;

-- a newer file takes rows away and brings others; a row of the user's own stays, and is tried before the shipped ones
SELECT pg_temp.kind_of_test_payment();
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind)
VALUES ('stripe', 900, '{"type": "payment_intent.succeeded", "/data/object/metadata/test": "yes"}', 'other');
SELECT erp_webhook.load_provider('stripe', jsonb_set(file, '{events}', '[{"match": {"type": "payment_intent.succeeded"}, "kind": "payment.pending"}]')) FROM before;
SELECT ordinal, kind, shipped FROM erp_webhook.provider_event WHERE provider = 'stripe' ORDER BY shipped, ordinal;
SELECT pg_temp.kind_of_test_payment();

-- a provider that the user made his own is left alone
UPDATE erp_webhook.provider SET shipped = false, note = 'mine' WHERE provider = 'stripe';
SELECT erp_webhook.load_provider('stripe', file) FROM before;
SELECT note, shipped FROM erp_webhook.provider WHERE provider = 'stripe';
ROLLBACK;
