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

-- Private keys as JWK sign, and their public half verifies: a JWK may hold both.
SELECT p, (v).ok FROM (
  SELECT p, erp_webhook.verify_with(row, secrets, '{}', erp_webhook.sign_with(row, secrets, '{}', 'x', :at), 'x', at => :at) AS v
  FROM (VALUES
    ('plaid', '{"kty":"EC","crv":"P-256","x":"ZXcTdkYhKyYybp5oc_ffPoRO94of-JGsSTEKhqIqf-M","y":"D1umNZODxO6CEtAL6dp5VGjU6WqJ5FQ6E4VyLk60x50","d":"V8oUKLGlnz-hOG6yrDpMwqrBXIo54rpVbdssNNH17Ug"}'),
    ('standardwebhooks-ed25519', '{"kty":"OKP","crv":"Ed25519","x":"OkAOd-PEbgAI7Zo1u1LpUtXVNou5J4Wp8GeU0L1fCfs","d":"9rquL_soZETFqe61pbBJd8PUCSrpC6w4SbzBvEEvqX8"}'),
    ('wise', '{"kty":"RSA","n":"09s7hUrePVGAyGJ-4AaS4ZukAsPR62-yvLHPmRYFcJxpW80v7u-IZACiNrZ0cVP4raM1JT4aoXnrCcesulfDVZpZzrIV7scxkVk3bG-VElaOnh3t7zSzqvNNziJCLDQ2ECMMfO4PM87dxf9ReExLtgaLFjBz2qgx9CwMz_CVBVi9qWmGaXI90SDMkP5gM8NV84ve8E0hNRLNDeJYXzDFBrPqhdXpdb0m9Fx-JW1bUxg6ltXINsWr0oRu1Y2BBDcPNQ5rQzjKZoa9BQv0HIEwuZKXfWjDy8-at0-_7nFc5NR8r6mkqhvjUd5BN-c28Mkn6F4utnXUfK9J6qxBVx6N4Q","e":"AQAB","d":"TO7k-2-Hqu7I_HvAJSxd9G2nrpVbysqCNsG_aJE1ooI6RGsLyBHWDrKoNYQmXu0mdi-5Ye_ejdsPPjrzf6vVNGXbzRKgolhVqLmkRc1zbfhezA6EVARoZmD6VSvdqd2_8DY6F7f_b0nlATzJYg0axVw07_bia3n-wfOpJ23vP8QjJTPt_IV2itmC3adk20ix2eDUH1mykXAAkBgVPv6-0KlTyU9SID8spiKq8-ttdhTuca7qRaq-XzxI8-fjmHctBukVFGbg0dx29LrtNoN-NG4EpFpXS8mETywXiGoSt3uMyIlxH_Il0RtQkze8REHp3QrCfg0EI6y8l_rn9ElLTQ","p":"_4STxUkALoJ7SAadT8z4xi4gFSikrG8AmqgpJnezAdF9yzFQEytSL-Gvj97CLBGuTcHwey6qNQ0Wia_juOvjYWGisRswlqZrd0zyG3WKkNEAB-S3BkpI1e8JERSFyv_Mt-eV1XaraLylB5hJmpnETFbUSc_T3iYwVDSpCH00UDM","q":"1EGQwi_Sp56XFdHKW0AgJBGBy-hnTakj2UQO_3cKTTOus2aaj4bTFLRYm4zfuixsUXcXyyi7eyOAM3nLIgdHpczmqo3KmIiDN4HjX-ymF4N_6G64vGWKFKpTMkAU0hXBbWoM17dTM5XpGfitohAFv8uISR-mFH4Mw2IYATybBZs"}')) AS k (p, jwk),
  LATERAL (SELECT erp_webhook.provider_scheme(p), jsonb_build_object('secrets', jsonb_build_array(
    jsonb_build_object('secret', jwk), jsonb_build_object('secret', jwk, 'purpose', 'sign')))) AS s (row, secrets)) q;

-- Who cannot sign says why.
SELECT erp_webhook.add_source('sign-' || p, p) > 0 AS made FROM unnest('{wise,adyen-item,github,mollie-classic}'::text[]) p;
SELECT erp_webhook.sign('sign-wise', '{}');
SELECT erp_webhook.sign('sign-adyen-item', '{}');
SELECT erp_webhook.sign('sign-github', '{}');
SELECT erp_webhook.sign('sign-mollie-classic', 'id=tr_1');
SELECT erp_webhook.sign('sign-nobody', '{}');
SELECT erp_webhook.sign('sign-generic', '{}', headers => '{"webhook-id": ["a", "b"]}');
SELECT erp_webhook.sign('sign-generic', '{}', headers => '[]');
SELECT erp_webhook.sign('sign-generic', '{}', 'infinity');
SELECT erp_webhook.sign('sign-generic', '{}', '1969-12-31 23:59:59Z');
SELECT erp_webhook.sign('sign-generic', NULL) IS NULL AS nothing;

-- A list whose signatures are named by a setting; without the setting nobody can say under which name.
SELECT named.headers, erp_webhook.verify_with(row, secrets, '{"n": "v7"}', named.headers, 'x', at => :at) AS v
FROM (VALUES ('{"alg": "hmac-sha256", "key": "utf8", "msg": "{body}", "sig": {"from": "header:x", "split": ",", "kv": "=", "sig_name_from": "config:n"}}'::jsonb,
              '{"secrets": [{"secret": "a shared secret"}]}'::jsonb)) AS t (row, secrets),
     LATERAL (SELECT erp_webhook.sign_with(row, secrets, '{"n": "v7"}', 'x', :at)) AS named (headers);
SELECT erp_webhook.sign_with('{"alg": "hmac-sha256", "key": "utf8", "msg": "{body}", "sig": {"from": "header:x", "split": ",", "kv": "=", "sig_name_from": "config:n"}}',
                             '{"secrets": [{"secret": "a shared secret"}]}', '{}', 'x', :at);
