-- sign(): all headers that make a body one of the source's. What is given is kept and signed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
RESET client_min_messages;
\set VERBOSITY terse
SELECT erp_webhook.add_source('sign-' || p, p, settings => '{"url": "https://erp.example/hooks/sign"}') > 0 AS made
FROM unnest('{generic,stripe,square,chargebee,worldpay,coinbase-cdp,mercadopago}'::text[]) p;
SELECT erp_webhook.add_secret('sign-generic', 'whsec_' || encode('0123456789abcdef0123456789abcdef', 'base64')) > 0 AS added;
SELECT erp_webhook.add_secret('sign-' || p, 'sign-secret:1', key_id => CASE p WHEN 'worldpay' THEN '7' END) > 0 AS added
FROM unnest('{stripe,square,chargebee,worldpay,coinbase-cdp,mercadopago}'::text[]) p;

-- Known answers (openssl dgst -sha256 -mac hmac).
\set at '''2026-05-28 20:26:40+00'''
SELECT erp_webhook.sign('sign-generic', '{"a":1}', :at, '{"Webhook-Id": "msg_1"}');
SELECT erp_webhook.sign('sign-stripe', '{"a":1}', :at);
SELECT erp_webhook.sign('sign-square', '{"a":1}', :at) = erp_webhook.sign('sign-square', '{"a":1}', url => 'https://erp.example/hooks/sign') AS url_defaults_to_the_setting,
       erp_webhook.sign('sign-square', '{"a":1}', :at) = erp_webhook.sign('sign-square', '{"a":1}', url => 'https://erp.example/other') AS another_url;
SELECT erp_webhook.sign('sign-chargebee', '{}');
SELECT erp_webhook.sign('sign-worldpay', '{"a":1}');
SELECT erp_webhook.sign('sign-coinbase-cdp', '{"a":1}', :at, '{"content-type": "application/json"}');

-- What nobody gave is made, and never the same twice.
SELECT jsonb_object_keys(h) AS header FROM (SELECT erp_webhook.sign('sign-generic', '{}') AS h) q ORDER BY 1;
SELECT erp_webhook.sign('sign-generic', '{}', :at) = erp_webhook.sign('sign-generic', '{}', :at) AS same;
-- A time that was given is the one that is signed.
SELECT h ->> 'webhook-timestamp' AS given, (erp_webhook.verify('sign-generic', h, '{}', at => to_timestamp(1700000000))).reason
FROM (SELECT erp_webhook.sign('sign-generic', '{}', :at, '{"webhook-timestamp": "1700000000"}') AS h) q;
-- The query is part of what Mercado Pago signs.
SELECT (erp_webhook.verify('sign-mercadopago', h, '{}', url => 'https://erp.example/hooks/sign?data.id=1', at => :at)).reason IS NULL AS same_id,
       (erp_webhook.verify('sign-mercadopago', h, '{}', url => 'https://erp.example/hooks/sign?data.id=2', at => :at)).reason AS other_id
FROM (SELECT erp_webhook.sign('sign-mercadopago', '{}', :at, url => 'https://erp.example/hooks/sign?data.id=1') AS h) q;

-- While two secrets are valid both sign, and either is enough.
SELECT erp_webhook.rotate_secret('sign-stripe', 'sign-secret:2', '1 day') > 0 AS rotated;
SELECT array_length(string_to_array(h ->> 'stripe-signature', 'v1='), 1) - 1 AS signatures, (v).ok
FROM (SELECT h, erp_webhook.verify('sign-stripe', h, '{}', at => now()) AS v FROM (SELECT erp_webhook.sign('sign-stripe', '{}') AS h) q) q;

-- Who cannot sign says why.
SELECT erp_webhook.add_source('sign-' || p, p) > 0 AS made FROM unnest('{wise,adyen-item,github,mollie-classic}'::text[]) p;
SELECT erp_webhook.sign('sign-wise', '{}');
SELECT erp_webhook.sign('sign-adyen-item', '{}');
SELECT erp_webhook.sign('sign-github', '{}');
SELECT erp_webhook.sign('sign-mollie-classic', 'id=tr_1');
SELECT erp_webhook.sign('sign-nobody', '{}');
SELECT erp_webhook.sign('sign-generic', '{}', headers => '{"webhook-id": ["a", "b"]}');
SELECT erp_webhook.sign('sign-generic', '{}', headers => '[]');
SELECT erp_webhook.sign('sign-generic', NULL) IS NULL AS nothing;
