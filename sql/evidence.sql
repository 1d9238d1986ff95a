-- Deliveries and events are evidence: proven again, never altered, kept by month.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse
SELECT erp_webhook.add_company('evidence nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('evidence-' || p, p, 'evidence nv', '{"url": "https://x.example/hooks/evidence"}') > 0 AS made FROM unnest('{stripe,generic,square,github}'::text[]) p;
SELECT erp_webhook.add_secret('evidence-' || p, CASE p WHEN 'generic' THEN 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3' ELSE 'whsec_evidence_evidence' END) > 0 AS made FROM unnest('{stripe,generic,square,github}'::text[]) p;

-- Proven again, although the secret was rotated and the source deactivated since, and although the clock has moved.
SET erp_webhook.clock = '2025-11-20 10:00:00Z';
CREATE TEMP TABLE body AS SELECT p AS provider, 'evidence-' || p AS source, convert_to('{"id": "evt_1", "type": "tea.ready"}', 'UTF8') AS body FROM unnest('{stripe,generic,square,github}'::text[]) p;
SELECT provider, (erp_webhook.ingest(source, erp_webhook.sign(source, body, erp_webhook.clock(), '{"User-Agent": "x", "Authorization": "not kept", "X-GitHub-Delivery": "g1"}'), body, 'POST', 'https://x.example/hooks/evidence')).outcome
FROM body ORDER BY 1;
SET erp_webhook.clock = '2025-12-20 10:00:00Z';
SELECT erp_webhook.rotate_secret('evidence-stripe', 'whsec_another_another', '1 hour') > 0 AS made;
UPDATE erp_webhook.source SET active = false WHERE name = 'evidence-stripe';
CREATE VIEW pg_temp.kept AS SELECT s.provider, e.event_id, d.headers::jsonb AS headers FROM erp_webhook.event e
  JOIN erp_webhook.source s USING (company_id, source_id) JOIN erp_webhook.delivery d USING (company_id, delivery_id) WHERE s.name LIKE 'evidence-%';
SELECT provider, v.ok, v.reason, v.signed_at AT TIME ZONE 'UTC' AS signed_at FROM pg_temp.kept k, erp_webhook.reprove('evidence nv', k.event_id) v ORDER BY 1;
SELECT provider, ARRAY(SELECT jsonb_object_keys(headers) ORDER BY 1) AS kept_headers FROM pg_temp.kept ORDER BY 1;
SELECT erp_webhook.reprove('evidence nv', 0);

-- maintain(): this month and three more; what sat in the default partition moves, and is proven still.
SELECT d.tableoid::regclass, count(*) FROM erp_webhook.delivery d JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name LIKE 'evidence-%' GROUP BY 1;
SELECT made > 3 AS made, dropped FROM erp_webhook.maintain();
SELECT made, dropped FROM erp_webhook.maintain();
SELECT d.tableoid::regclass, count(*) FROM erp_webhook.delivery d JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name LIKE 'evidence-%' GROUP BY 1;
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'erp_webhook.delivery'::regclass AND inhrelid::regclass::text ~ '2025_12|2026_0[123]' ORDER BY 1;
SELECT provider, v.ok FROM pg_temp.kept k, erp_webhook.reprove('evidence nv', k.event_id) v ORDER BY 1;

-- No altering, in no partition, by no command.
\set VERBOSITY sqlstate
UPDATE erp_webhook.delivery SET body = '';
DELETE FROM erp_webhook.delivery;
\set VERBOSITY terse
TRUNCATE erp_webhook.delivery;
UPDATE erp_webhook.delivery_2025_11 SET body = '';
DELETE FROM erp_webhook.delivery_2025_11;
TRUNCATE erp_webhook.delivery_2025_11;
TRUNCATE erp_webhook.delivery_default;
DELETE FROM erp_webhook.event;
TRUNCATE erp_webhook.event CASCADE;
UPDATE erp_webhook.event SET amount = 1;
UPDATE erp_webhook.event SET received_at = now();
BEGIN; UPDATE erp_webhook.event SET state = 'failed', reason = 'x', attempts = 1, retry_at = now(), sqlstate = '0', error = 'x'; ROLLBACK;
-- Also where a replica applies.
SET session_replication_role = replica;
DELETE FROM erp_webhook.delivery_2025_11;
RESET session_replication_role;

-- Retention drops whole months, and no event.
SET erp_webhook.keep_deliveries = 1;
SET erp_webhook.clock = '2026-01-20 10:00:00Z';
SELECT dropped > 0 AS dropped FROM erp_webhook.maintain();
SELECT to_regclass('erp_webhook.delivery_2025_11') AS november, to_regclass('erp_webhook.delivery_2025_12') AS december;
SELECT count(*) FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name LIKE 'evidence-%';
SELECT outcome FROM erp_webhook.ingest('evidence-github', erp_webhook.sign('evidence-github', '{"id": "evt_1", "type": "tea.ready"}', headers => '{"X-GitHub-Delivery": "g1"}'), '{"id": "evt_1", "type": "tea.ready"}', 'POST', 'https://x.example/hooks/evidence');
\set VERBOSITY sqlstate
SELECT erp_webhook.reprove('evidence nv', max(event_id)) FROM erp_webhook.event JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'evidence-github';
RESET erp_webhook.keep_deliveries;
RESET erp_webhook.clock;
-- Every month has its key.
SELECT i.inhrelid::regclass AS month_without_key FROM pg_inherits i WHERE i.inhparent = 'erp_webhook.delivery'::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = i.inhrelid AND k.contype = 'p' AND pg_get_constraintdef(k.oid) = 'PRIMARY KEY (company_id, delivery_id, received_at)');
