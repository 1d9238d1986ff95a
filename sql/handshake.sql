-- Handshakes: answered as the provider's row says, never stored, and never a way to have us sign a stranger's message.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_source('hs-' || p, p, settings => '{"public_key": "our_key"}') > 0 AS made
FROM unnest('{xero,zoom,slack,braintree,worldline,woocommerce,stripe}'::text[]) p;
SELECT erp_webhook.add_secret('hs-' || p, 'handshake-secret') > 0 AS added
FROM unnest('{xero,zoom,slack,braintree,worldline,woocommerce,stripe}'::text[]) p;
RESET client_min_messages;
\set VERBOSITY terse
CREATE FUNCTION pg_temp.ask(source text, headers jsonb, body text, method text DEFAULT 'POST', query text DEFAULT '')
RETURNS TABLE (outcome text, http_status int, content_type text, response text, reason text) LANGUAGE sql AS $$
  SELECT r.outcome, r.http_status, r.content_type, convert_from(r.response, 'UTF8'), v.reason
  FROM erp_webhook.ingest('hs-' || source, headers, convert_to(body, 'UTF8'), method, 'https://erp.example/hooks/' || source || query) r,
       erp_webhook.verify('hs-' || source, headers, convert_to(body, 'UTF8'), method, 'https://erp.example/hooks/' || source || query) v $$;
CREATE FUNCTION pg_temp.signed(source text, body text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT erp_webhook.sign('hs-' || source, convert_to(body, 'UTF8'), url => 'https://erp.example/hooks/' || source) $$;

-- Xero: an empty list of events, rightly signed, is the intent to receive; wrongly signed it is refused.
\set itr '{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4nd0mt3xt"}'
SELECT * FROM pg_temp.ask('xero', pg_temp.signed('xero', :'itr'), :'itr');
SELECT * FROM pg_temp.ask('xero', '{"x-xero-signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}', :'itr');
SELECT reason FROM erp_webhook.verify('hs-xero', pg_temp.signed('xero', '{"events":[{}]}'), '{"events":[{}]}');

-- Zoom: the token and its HMAC (known answer: openssl dgst -sha256 -hmac handshake-secret).
\set url_validation '{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}'
SELECT * FROM pg_temp.ask('zoom', pg_temp.signed('zoom', :'url_validation'), :'url_validation');
SELECT outcome, response FROM pg_temp.ask('zoom', '{}', :'url_validation');
SELECT outcome, http_status, reason FROM pg_temp.ask('zoom', '{"x-zm-signature": "v0=00", "x-zm-request-timestamp": "1"}', :'url_validation');
-- A token that is a message to be signed gets no signature.
SELECT outcome, http_status, reason FROM pg_temp.ask('zoom', '{}', '{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1780000000:{}"}}');

-- Slack: the challenge, only if signed.
\set challenge '{"type":"url_verification","challenge":"3eZbrw1aB10FEMAGAZd4FyFQ"}'
SELECT * FROM pg_temp.ask('slack', pg_temp.signed('slack', :'challenge'), :'challenge');
SELECT outcome, http_status, reason FROM pg_temp.ask('slack', '{}', :'challenge');

-- Braintree: GET with a challenge of hexadecimal digits, answered with our key's name and the HMAC under SHA-1 of the private key.
SELECT * FROM pg_temp.ask('braintree', '{}', '', 'GET', '?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53');
SELECT outcome, http_status, reason FROM pg_temp.ask('braintree', '{}', '', 'GET', '?bt_challenge=PG5vdGlmaWNhdGlvbj4K');
SELECT outcome, http_status, reason FROM pg_temp.ask('braintree', '{}', '', 'POST', '?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53');

-- Worldline: GET, a header comes back.
SELECT * FROM pg_temp.ask('worldline', '{"X-GCS-Webhooks-Endpoint-Verification": "abc-123"}', '', 'GET');
SELECT outcome, http_status, reason FROM pg_temp.ask('worldline', '{}', '', 'GET');

-- WooCommerce: its unsigned ping, and nothing that only looks like it.
SELECT * FROM pg_temp.ask('woocommerce', '{"content-type": "application/x-www-form-urlencoded"}', 'webhook_id=15');
SELECT outcome, reason FROM pg_temp.ask('woocommerce', '{}', 'webhook_id=15&order=1');
SELECT outcome, reason FROM pg_temp.ask('woocommerce', '{"x-wc-webhook-signature": "AAAA"}', 'webhook_id=15');

-- What is answered to success and refusal differs by row.
SELECT provider, response -> 'success' ->> 'body' AS success, response -> 'rejected' ->> 'status' AS rejected
FROM erp_webhook.provider WHERE shipped AND (response ? 'success' OR response ? 'rejected') ORDER BY provider COLLATE "C";
SELECT erp_webhook.add_source('hs-gocardless', 'gocardless') > 0 AS made;
SELECT outcome, http_status FROM erp_webhook.ingest('hs-gocardless', '{}', '{"events":[]}');

-- Nothing of all this was kept.
SELECT count(*) FROM erp_webhook.delivery JOIN erp_webhook.source USING (company_id, source_id) WHERE name LIKE 'hs-%';

-- A handshake without a condition would swallow every delivery.
INSERT INTO erp_webhook.provider (provider, scheme, response)
  VALUES ('handshake-test', '{"alg": "none"}', '{"handshake": [{"body": "yes"}]}');
SELECT erp_webhook.add_source('hs-broken', 'handshake-test');
DELETE FROM erp_webhook.provider WHERE provider = 'handshake-test';
