-- verify(): what is genuine, and why the rest is not.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
RESET client_min_messages;
SELECT erp_webhook.add_source('verify-std', 'standardwebhooks') > 0 AS made;
SELECT erp_webhook.add_secret('verify-std', 'whsec_' || encode('0123456789abcdef0123456789abcdef', 'base64')) > 0 AS added;
SELECT erp_webhook.add_source('verify-stripe', 'stripe') > 0 AS made;
SELECT erp_webhook.add_secret('verify-stripe', 'whsec_verify_stripe_1', valid_from => '2026-01-01', valid_until => '2027-01-01') > 0 AS added;

-- Known answers: made by OpenSSL's command line, not by us (openssl dgst -sha256 -mac hmac …).
CREATE TEMP TABLE known (label text, source text, headers jsonb, body text, at timestamptz);
INSERT INTO known VALUES
  ('standard', 'verify-std', '{"webhook-id": "msg_1", "webhook-timestamp": "1780000000", "webhook-signature": "v1,QQSigZlE8Bt4FMiPHv1qRdPMVCV+UdZKD+/en4mUPrI="}', '{"a":1}', to_timestamp(1780000000)),
  ('stripe', 'verify-stripe', '{"Stripe-Signature": "t=1780000000,v1=799fe1c93bb69f487783e336c079100780c3dccce4c3bb3b415c7a12379ef888"}', '{"a":1}', to_timestamp(1780000000));
SELECT label, (v).ok, (v).reason, (v).signed_at = at AS signed_then
FROM known, LATERAL (SELECT erp_webhook.verify(source, headers, body::bytea, at => at) AS v) q ORDER BY label;

-- One thing changed in what Stripe signed, and what is said of it.
CREATE FUNCTION pg_temp.stripe(header text, body text DEFAULT '{"a":1}', at double precision DEFAULT 1780000000) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce((v).reason, 'ok') FROM (
    SELECT erp_webhook.verify('verify-stripe', CASE WHEN header IS NULL THEN '{}' ELSE jsonb_build_object('stripe-signature', header) END,
                              body::bytea, at => to_timestamp(at)) AS v) q $$;
SELECT headers ->> 'Stripe-Signature' AS good FROM known WHERE label = 'stripe' \gset
SELECT what, pg_temp.stripe(header, body, at) AS verdict FROM (VALUES
  (1, 'as signed', :'good', '{"a":1}', 1780000000),
  (2, 'body changed', :'good', '{"a":2}', 1780000000),
  (3, 'body shorter', :'good', '{"a":1', 1780000000),
  (4, 'time changed', replace(:'good', 't=1780000000', 't=1780000001'), '{"a":1}', 1780000000),
  (5, 'the last second of tolerance', :'good', '{"a":1}', 1780000300),
  (6, 'one second too old', :'good', '{"a":1}', 1780000301),
  (7, 'five minutes ahead of us', :'good', '{"a":1}', 1779999700),
  (8, 'further ahead', :'good', '{"a":1}', 1779999699),
  (9, 'no header', NULL, '{"a":1}', 1780000000),
  (10, 'empty header', '', '{"a":1}', 1780000000),
  (11, 'words', 'nonsense', '{"a":1}', 1780000000),
  (12, 'time in words', replace(:'good', 't=1780000000', 't=now'), '{"a":1}', 1780000000),
  (13, 'time with a sign', replace(:'good', 't=1780000000', 't=+1780000000'), '{"a":1}', 1780000000),
  (14, 'time with a space', replace(:'good', 't=1780000000', 't= 1780000000'), '{"a":1}', 1780000000),
  (15, 'time twice', 't=1780000000,' || :'good', '{"a":1}', 1780000000),
  (16, 'time beyond all years', replace(:'good', 't=1780000000', 't=99999999999999999'), '{"a":1}', 1780000000),
  (17, 'half a signature', left(:'good', 40), '{"a":1}', 1780000000),
  (18, 'garbage behind it', :'good' || 'zz', '{"a":1}', 1780000000),
  (19, 'only the test scheme v0', replace(:'good', 'v1=', 'v0='), '{"a":1}', 1780000000),
  (20, 'a wrong one before the right one', replace(:'good', 'v1=', 'v1=' || repeat('00', 32) || ',v1='), '{"a":1}', 1780000000),
  (21, 'more signatures than anybody has keys', :'good' || repeat(',v1=00', 16), '{"a":1}', 1780000000),
  (22, 'before the secret was valid', 't=1,v1=00', '{"a":1}', 1),
  (23, 'after it', :'good', '{"a":1}', extract(epoch FROM timestamptz '2027-01-01'))
) AS t (n, what, header, body, at) ORDER BY n;

-- A header given twice is refused where the scheme reads it, and nowhere else.
SELECT what, (erp_webhook.verify('verify-stripe', headers, '{"a":1}', at => to_timestamp(1780000000))).reason FROM (VALUES
  ('as a list', jsonb_build_object('stripe-signature', jsonb_build_array(:'good', :'good'))),
  ('in two spellings', jsonb_build_object('stripe-signature', :'good', 'Stripe-Signature', :'good')),
  ('another header', jsonb_build_object('stripe-signature', :'good', 'accept', '["a", "b"]'::jsonb)),
  ('not an object', to_jsonb(:'good'::text)),
  ('a number', jsonb_build_object('stripe-signature', 1))) AS t (what, headers);

-- Who is unknown, switched off, or has no secret.
SELECT (erp_webhook.verify('verify-nobody', '{}', '')).*;
SELECT erp_webhook.add_source('verify-bare', 'github') > 0 AS made;
SELECT (erp_webhook.verify('verify-bare', '{}', '')).*;
UPDATE erp_webhook.source SET active = false WHERE name = 'verify-stripe';
SELECT pg_temp.stripe(:'good');
UPDATE erp_webhook.source SET active = true WHERE name = 'verify-stripe';
SELECT pg_temp.stripe(:'good');

-- Two secrets at once, and the end of the old one.
SELECT erp_webhook.rotate_secret('verify-stripe', 'whsec_verify_stripe_2', '0') > 0 AS rotated;
SELECT pg_temp.stripe(:'good', at => extract(epoch FROM now())) AS old_secret_now;
