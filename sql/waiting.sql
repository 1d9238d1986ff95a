-- What ingest leaves to the worker: notices that name what to fetch, and requests whose key has to be fetched first.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('waiting nv', 'EUR') > 0 AS made;

-- Byte-identical notices: each arrival asks again, whatever came of the last.
SELECT erp_webhook.add_source('waiting-mollie', 'mollie-classic', 'waiting nv') > 0 AS made;
CREATE VIEW pg_temp.notice AS SELECT e.external_id, e.state, e.reason, e.attempts, e.retry_at IS NOT NULL AS asked_again
  FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'waiting-mollie';
SELECT outcome, events FROM erp_webhook.ingest('waiting-mollie', '{}', 'id=tr_1');
SELECT * FROM pg_temp.notice;
UPDATE erp_webhook.event SET state = 'no_effect', reason = 'confirmed', attempts = 3 WHERE external_id = 'tr_1';
SELECT outcome, events FROM erp_webhook.ingest('waiting-mollie', '{}', 'id=tr_1');
SELECT * FROM pg_temp.notice;
-- What was found impossible stays so.
UPDATE erp_webhook.event SET state = 'quarantined', reason = 'contradiction', retry_at = NULL WHERE external_id = 'tr_1';
SELECT outcome, events FROM erp_webhook.ingest('waiting-mollie', '{}', 'id=tr_1');
SELECT * FROM pg_temp.notice;

-- A key the worker may fetch: the request is kept apart and answered; without such a rule it is rejected.
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'waiting-jws', scheme, reading FROM erp_webhook.provider WHERE provider = 'plaid';
SELECT erp_webhook.add_source('waiting-keys', 'waiting-jws', 'waiting nv') > 0 AS made;
CREATE FUNCTION pg_temp.named(kid text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('Plaid-Verification',
    translate(encode(convert_to(format('{"alg":"ES256","kid":"%s"}', kid), 'UTF8'), 'base64'), '+/=', '-_') || '.e30.' || repeat('A', 86))
$$;
SELECT outcome, http_status FROM erp_webhook.ingest('waiting-keys', pg_temp.named('k1'), '{}');
UPDATE erp_webhook.provider SET "fetch" = '{"keys": {"id": "jose:plaid-verification", "url": "https://keys.example/{ref}", "form": "jwk"}}' WHERE provider = 'waiting-jws';
SELECT outcome, http_status, event_id, events FROM erp_webhook.ingest('waiting-keys', pg_temp.named('k1'), '{}');
SELECT outcome, http_status, event_id, events FROM erp_webhook.ingest('waiting-keys', pg_temp.named('k1'), '{}');
SELECT key_id, state, method FROM erp_webhook.unverified;
-- A request that names no key, or is not even a JWS, is rejected as ever.
SELECT outcome, http_status, detail FROM erp_webhook.ingest('waiting-keys', '{"Plaid-Verification": "x.y.z"}', '{}');
SELECT count(*) FROM erp_webhook.unverified;
-- The key arrives, and this backend knows it.
SELECT reason FROM erp_webhook.verify('waiting-keys', pg_temp.named('k1'), '{}');
INSERT INTO erp_webhook.fetched_key (company_id, source_id, key_id, key)
SELECT company_id, source_id, 'k1', '{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k1"}'
FROM erp_webhook.source WHERE name = 'waiting-keys';
SELECT reason FROM erp_webhook.verify('waiting-keys', pg_temp.named('k1'), '{}');
UPDATE erp_webhook.source SET active = false WHERE name = 'waiting-keys';
DELETE FROM erp_webhook.unverified;
