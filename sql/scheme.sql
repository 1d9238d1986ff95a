-- A provider's row: what its members mean, and what a row is refused for before any request meets it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
RESET client_min_messages;
\set VERBOSITY terse
CREATE FUNCTION pg_temp.refusal(scheme jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM erp_webhook.verify_with(scheme, '{"secrets": []}', '{}', '{}', '');
  RETURN 'taken';
EXCEPTION WHEN invalid_parameter_value OR invalid_regular_expression THEN
  RETURN SQLERRM;
END
$$;
\set base '{"alg": "hmac-sha256", "sig": {"from": "header:x"}, "msg": "{body}"}'
SELECT what, pg_temp.refusal(:'base'::jsonb || change::jsonb) FROM (VALUES
  (1, 'as it is', '{}'),
  (2, 'unknown algorithm', '{"alg": "md5"}'),
  (3, 'an algorithm of the wrong type', '{"alg": 1}'),
  (4, 'no algorithm', '{"alg": null}'),
  (5, 'no message', '{"msg": null}'),
  (6, 'no signature', '{"sig": null}'),
  (7, 'an unknown place', '{"sig": {"from": "cookie:x"}}'),
  (8, 'a pointer that is none', '{"sig": {"from": "json:x"}}'),
  (9, 'an unknown token', '{"msg": "{bodyy}"}'),
  (10, 'an open brace', '{"msg": "{body"}'),
  (11, 'an open bracket', '{"msg": "[{body}"}'),
  (12, 'an unknown encoding', '{"sig": {"from": "header:x", "enc": "base32"}}'),
  (13, 'a list without syntax', '{"sig": {"from": "header:x", "split": ","}}'),
  (14, 'an empty separator', '{"sig": {"from": "header:x", "split": "", "kv": "=", "sig": ["v1"]}}'),
  (15, 'a bad pattern', '{"sig": {"from": "header:x", "must": "("}}'),
  (16, 'a public key for an HMAC', '{"key": "pem"}'),
  (17, 'a shared secret for RSA', '{"alg": "rsa-sha256", "key": "utf8"}'),
  (18, 'a JWS without algorithms', '{"alg": "jws", "key": "jwk"}'),
  (19, 'a JWS that allows none', '{"alg": "jws", "key": "jwk", "jws_algs": ["none"]}'),
  (20, 'a JWS that allows HMAC', '{"alg": "jws", "key": "jwk", "jws_algs": ["HS256"]}'),
  (21, 'a digest without the secret', '{"alg": "sha256"}'),
  (22, 'an equality without the secret', '{"alg": "equal", "expected": "open sesame"}'),
  (23, 'a time without tolerance', '{"ts": {"from": "header:t", "unit": "s"}}'),
  (24, 'a time without unit', '{"ts": {"from": "header:t", "past": 300}}'),
  (25, 'a certificate from any host', '{"alg": "rsa-sha256", "key": "x509-chain", "cert_url": "header:u"}'),
  (26, 'an unknown cipher', '{"decrypt": {"alg": "rot13", "ct": "/x"}}')
) AS t (n, what, change) ORDER BY n;

-- Each construct by itself: the signature is made outside, by core's sha256 where it is a plain digest.
CREATE FUNCTION pg_temp.digest_of(msg text, message text, headers jsonb DEFAULT '{}', body text DEFAULT '', url text DEFAULT NULL, settings jsonb DEFAULT '{}')
RETURNS text LANGUAGE sql AS $$
  SELECT coalesce((erp_webhook.verify_with(jsonb_build_object('alg', 'sha256', 'sig', '{"from": "header:x"}'::jsonb, 'msg', '{secret}' || msg),
    '{"secrets": [{"secret": "s"}]}', settings, headers || jsonb_build_object('X', encode(sha256(convert_to('s' || message, 'UTF8')), 'hex')),
    convert_to(body, 'UTF8'), 'POST', url)).reason, 'ok') $$;
SELECT what, pg_temp.digest_of(msg, message, headers::jsonb, body, url, settings::jsonb) FROM (VALUES
  (1, 'body', '{body}', '{"a":1}', '{}', '{"a":1}', NULL, '{}'),
  (2, 'method, path and query', '{method} {path} {query:id}', 'POST /p/q 4 2', '{}', '', 'https://h:1/p/q?x=1&id=4+2#f', '{}'),
  (3, 'no path', '{path}', '/', '{}', '', 'https://h?x=1', '{}'),
  (4, 'the other slash', '{path_slash}', '/p', '{}', '', 'https://h/p/', '{}'),
  (5, 'header, first of two', '{header:B|C}', '3', '{"c": "3", "d": "4"}', '', NULL, '{}'),
  (6, 'an absent header', '{header:b}', '', '{}', '', NULL, '{}'),
  (7, 'an absent one that may be', '{header:b?}', '', '{}', '', NULL, '{}'),
  (8, 'a group that is there', '[b={header:b};]', 'b=2;', '{"b": "2"}', '', NULL, '{}'),
  (9, 'a group that is not', '[b={header:b};]', '', '{}', '', NULL, '{}'),
  (10, 'a header twice', '[b={header:b};]', '', '{"b": ["1", "2"]}', '', NULL, '{}'),
  (11, 'json by pointer', '{json:/a/0/b~1c}', 'é', '{}', '{"a":[{"b/c":"\u00e9"}]}', NULL, '{}'),
  (12, 'json number and truth', '{json:/a}{json:/b}', '1.50true', '{}', '{"a":1.50,"b":true}', NULL, '{}'),
  (13, 'json null is absent', '{json:/a?}', '', '{}', '{"a":null}', NULL, '{}'),
  (14, 'json object is no value', '{json:/a?}', '', '{}', '{"a":{}}', NULL, '{}'),
  (15, 'json member twice', '{json:/a}', '1', '{}', '{"a":1,"a":2}', NULL, '{}'),
  (16, 'form', '{form:a b}', 'é&', '{}', 'a+b=%C3%A9%26', NULL, '{}'),
  (17, 'form field twice', '{form:a}', '1', '{}', 'a=1&a=2', NULL, '{}'),
  (18, 'form by name', '{form_sorted}', 'a=1&b=2', '{}', 'b=2&sign_type=x&a=1&sign=y', NULL, '{}'),
  (19, 'form by name, with sign_type', '{form_sorted+sign_type}', 'a=1&b=2&sign_type=x', '{}', 'b=2&sign_type=x&a=1&sign=y', NULL, '{}'),
  (20, 'form run together', '{form_concat}', 'a1b2', '{}', 'b=2&a=1', NULL, '{}'),
  (21, 'setting', '{config:k}', 'v', '{}', '', NULL, '{"k": "v"}'),
  (22, 'crc32, known answer', '{crc32}', '3421780262', '{}', '123456789', NULL, '{}'),
  (23, 'base64 of the body', '{b64body}', 'YWI=', '{}', 'ab', NULL, '{}'),
  (24, 'the configured URL', '{url}', 'https://us/p', '{}', '', NULL, '{"url": "https://us/p"}'),
  (25, 'the configured URL behind a proxy', '{url}', 'https://us/p', '{}', '', 'http://inside/p', '{"url": "https://us/p"}'),
  (26, 'no URL at all', '{url}', '', '{}', '', NULL, '{}')
) AS t (n, what, msg, message, headers, body, url, settings) ORDER BY n;

-- A timestamp among named values needs a list of them.
SELECT erp_webhook.sign_with('{"alg": "hmac-sha256", "msg": "{ts}", "sig": {"from": "header:x"}, "ts": {"from": "sig:t", "unit": "s", "past": 300}}', '{}', '{}', '');
