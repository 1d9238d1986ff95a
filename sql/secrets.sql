-- Secrets in the forms that providers hand out: what is taken, and what is refused before it is stored.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
RESET client_min_messages;
\set VERBOSITY terse
CREATE FUNCTION pg_temp.try(p text, s text, use text DEFAULT 'verify') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  IF NOT EXISTS (SELECT FROM erp_webhook.source WHERE name = 'secrets-' || p) THEN
    PERFORM erp_webhook.add_source('secrets-' || p, p);
  END IF;
  PERFORM erp_webhook.add_secret('secrets-' || p, s, purpose => use);
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN coalesce(nullif(detail, ''), SQLERRM);
END
$$;

-- Shared secrets.
SELECT what, pg_temp.try(provider, secret) FROM (VALUES
  (1, 'stripe, as handed out', 'stripe', 'whsec_abcdefghijkl'),
  (2, 'empty', 'stripe', ''),
  (3, 'blank', 'stripe', E' \n'),
  (4, 'four letters', 'stripe', 'abcd'),
  (5, 'seven bytes', 'stripe', 'abcdefg'),
  (6, 'eight bytes', 'stripe', 'abcdefgh'),
  (7, 'a copied line end', 'stripe', E'whsec_abcdefghijkl\n'),
  (8, 'standard webhooks, 24 bytes', 'standardwebhooks', 'whsec_' || encode(decode(repeat('ab', 24), 'hex'), 'base64')),
  (9, 'the same without its prefix', 'standardwebhooks', encode(decode(repeat('ab', 24), 'hex'), 'base64')),
  (10, 'not base64', 'standardwebhooks', 'whsec_not base64 at all'),
  (11, 'too few bytes in it', 'standardwebhooks', 'whsec_YWJj'),
  (12, 'adyen, hex', 'adyen-item', repeat('A1', 32)),
  (13, 'adyen, not hex', 'adyen-item', repeat('XY', 32)),
  (14, 'adyen, odd hex', 'adyen-item', repeat('A', 63)),
  (15, 'paytr hands out short ones', 'paytr', 'PTKEY')) AS t (n, what, provider, secret) ORDER BY n;

-- Public keys: made by OpenSSL's command line.
\set rsa '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7Hyr5Spnvv6JzlvT1ex2\n/bbL8rNwccOoktrfAO9TGzDVGy8wh1AlIYBGry9M1F7R4N/ddV5zpDWg2RzHuvkX\nkT+IgKo+U/UucthrGZanyJT6BPycQ8TmQ6dv+6MDqfUKi3Tp1Z/PZwOKu6WHFER6\nkStAk/DohTO95kCsKfmST9WxLe39l6lzoKMbSc12juW53fTyAX0DDj5VhqsAa0fu\nMymKYMIT9gj4Vr7LGyxXsUfpbBIL8hOC5AjNu05FE7SCFsQxmrMsObeLW4PeP05g\nUF1NyeQLyPYNVpHZoeop6PJBavhcBlGWk8MuJICLxDlWslwtWO3e3mTaHnV5UDqz\nCQIDAQAB\n-----END PUBLIC KEY-----\n'
\set small '-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDS+dj3rYumjh1uygaHv+kAHG9y\ni88mNVJo1JoM4gVi+a1CEn4xp4ILnOHxSbjsiWTrAft+fUGOFxN5lbXqOAZGc+Xc\nIJTk7Z+m3/L0tX5VwwdPcPaYDjNgjD9/iMXdCfFT5bLTYdvvA6nU/jS0jK0kpAlv\nAujbwLYlWcxGi1esUQIDAQAB\n-----END PUBLIC KEY-----\n'
\set p256 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy2L735WkgsThPVWesXZf5tciaCgppHkb86WBUBuf7WDpDNSYsaratMKWDkpFDIeI5ZKjJHsGhmtY7nCs5TcT2A=='
\set jwk '{"kty":"EC","crv":"P-256","x":"y2L735WkgsThPVWesXZf5tciaCgppHkb86WBUBuf7WA","y":"6QzUmLGq2rTClg5KRQyHiOWSoyR7BoZrWO5wrOU3E9g"}'
\set private '-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDsfKvlKme+/onO\nW9PV7Hb9tsvys3Bxw6iS2t8A71MbMNUbLzCHUCUhgEavL0zUXtHg3911XnOkNaDZ\nHMe6+ReRP4iAqj5T9S5y2GsZlqfIlPoE/JxDxOZDp2/7owOp9QqLdOnVn89nA4q7\npYcURHqRK0CT8OiFM73mQKwp+ZJP1bEt7f2XqXOgoxtJzXaO5bnd9PIBfQMOPlWG\nqwBrR+4zKYpgwhP2CPhWvssbLFexR+lsEgvyE4LkCM27TkUTtIIWxDGasyw5t4tb\ng94/TmBQXU3J5AvI9g1Wkdmh6ino8kFq+FwGUZaTwy4kgIvEOVayXC1Y7d7eZNoe\ndXlQOrMJAgMBAAECggEAAQLuS0fspkT5bhzRCAbl+8mdD35gxz1ifbC0KBFd+VPl\n1wlsu2kGcTrwUnR91bsYFugHzvMAXjeHTUmehkUYqpurQX2fUAWdVSSdN9oZZ2ke\nG28nJ4tyi3lUwcgQznIu9HZW2UqNlqLnV3+EPeJzGCbatMDguOnscIBegolzBkAu\nHtL3WjskDOyuZoJa94HBc9Xnen/e1bhcYNC15uP4BYCBu0PZ/YhI9XVxIgW8o0Dx\n2U2zZq4rJegQHjOFf8ORGYR7FJoExW15nFJOzhCDl07ema0icHyHXCsruAQgiJ5L\nnbhrP6Pc/C1rsdeLiP459nFakawODcYyAz1PbRPdrwKBgQD6YXHV/DOPwAaIwG8F\nLL+FhX6UMV6ji42bylcg/gsZxl7XnXSzeQTa63gM/9rp3FEcxwqewMQAMXb02jpb\n1NZjXOD1eVf6oTNCljMRnwne6d8Jtftx0Iewzaf/QfEFGpjNI8GaCvbZc2Z/S5MB\nsDtbaeXPmOBXqt8dD4A4N0sFUwKBgQDxy2a2ojmg9q9FvHaTe/msFo+m9ynZchJz\nbsxSgKBeiy3aVbiMbuHfuxlEfJznlZi5+Bg6J+5maGYrM2wLggbjAprPvJ6Hfubi\n8K5MPYWS0we2BEJdfYdvWfD9AE7bm9EoRtELLNhLqBMBK6MgMONDGN0xnSSFEva6\nAz8sGjjeswKBgQCKQRx2qFhgXAw/nuKu3NK0i84lTk2PyRNcnxIVabH/fYYJUSyL\nnZuMttEHfJAI6lrvpQi8OH0CDk49TfNDmfb3zuV5JpPqFPEVJ5Lze/obWNCLsC0z\n343NlwHY9TR9OP5+5+uTf9JmqE5EpBp8qC9efs8jHqtiPTwN8+09HWsTeQKBgFiO\nubDcW6UDlJBDBV7hAkGwBa8OSWqVqAJVK0pwR8w4x3N2/9+XYOzzdr6psUH0fXpn\nTmBGbb9eL0VVURYp6mHMe2zoVVuk8+VcZ0oPIlPzLJjSmIfrSOZUl7niGf++4u0Q\netHP++xBw6wjElzg6uuROLpKJq0ClBDuzX1WoUuXAoGBANgLTljE+j/UsIX59rd/\nqDHPKcPquts/A9mzsqBj8BeMGbw6Zxq2gcXbF9MTEoEi5sSYan7SDqHJpUbwLoY/\nefxDgJnKjv8l16zg30Ny8jnZVi8EvBlcvTddSaCQcM/55y/DvarbDeUsJvkkzBCq\nbX+e1yLni8GVzG9mR/uz+7Vf\n-----END PRIVATE KEY-----\n'
SELECT what, pg_temp.try(provider, secret, purpose) FROM (VALUES
  (1, 'RSA in PEM', 'wise', :'rsa', 'verify'),
  (2, 'RSA, base64 without armour', 'wise', replace(replace(replace(:'rsa', '-----BEGIN PUBLIC KEY-----', ''), '-----END PUBLIC KEY-----', ''), E'\n', ''), 'verify'),
  (3, 'RSA of 1024 bits', 'wise', :'small', 'verify'),
  (4, 'an EC key where RSA signs', 'wise', :'p256', 'verify'),
  (5, 'PEM cut short', 'wise', left(:'rsa', 200), 'verify'),
  (6, 'a private key where a public one belongs', 'wise', :'private', 'verify'),
  (7, 'EC P-256, base64', 'sendgrid', :'p256', 'verify'),
  (8, 'EC P-256 where ES512 wants P-521', 'truelayer', :'p256', 'verify'),
  (9, 'JWK', 'plaid', :'jwk', 'verify'),
  (10, 'JWK set', 'plaid', '{"keys": [{"kty": "oct", "k": "AAAA"}, ' || :'jwk' || ']}', 'verify'),
  (11, 'JWK with a number too long', 'plaid', replace(:'jwk', '"x":"', '"x":"AA'), 'verify'),
  (12, 'a shared secret as JWK', 'plaid', '{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"}', 'verify'),
  (13, 'whpk_', 'standardwebhooks-ed25519', 'whpk_' || encode(decode(repeat('ab', 32), 'hex'), 'base64'), 'verify'),
  (14, 'whpk_ of 31 bytes', 'standardwebhooks-ed25519', 'whpk_' || encode(decode(repeat('ab', 31), 'hex'), 'base64'), 'verify'),
  (15, 'whsk_ to sign', 'standardwebhooks-ed25519', 'whsk_' || replace(encode(decode(repeat('ab', 64), 'hex'), 'base64'), E'\n', ''), 'sign'),
  (16, 'a public key to sign with', 'wise', :'rsa', 'sign'),
  (17, 'a private key to sign with', 'wise', :'private', 'sign'),
  (18, 'no certificate', 'paypal', :'rsa', 'verify'),
  (19, 'an AES key of 32 characters', 'wechatpay', repeat('k', 32), 'decrypt'),
  (20, 'of 31', 'wechatpay', repeat('k', 31), 'decrypt'),
  (21, 'a private key to decrypt with', 'mastercard-jwe', :'private', 'decrypt'),
  (22, 'a public key to decrypt with', 'mastercard-jwe', :'rsa', 'decrypt')) AS t (n, what, provider, secret, purpose) ORDER BY n;

-- What is stored is sealed, never the same twice, and opens in its own row only.
SELECT pg_temp.try('github', 'one-and-the-same-secret'), pg_temp.try('github', 'one-and-the-same-secret');
SELECT count(*), count(DISTINCT sealed) AS seals, bool_or(position('one-and-the-same'::bytea IN sealed) > 0) AS readable,
       count(DISTINCT key_name) AS keys, min(octet_length(sealed)) AS bytes
FROM erp_webhook.secret JOIN erp_webhook.source USING (company_id, source_id) WHERE name = 'secrets-github';
BEGIN;
UPDATE erp_webhook.secret s SET sealed = (SELECT sealed FROM erp_webhook.secret o WHERE o.secret_id <> s.secret_id AND o.source_id = s.source_id LIMIT 1)
FROM erp_webhook.source o WHERE o.source_id = s.source_id AND o.name = 'secrets-github';
COMMIT;
SELECT (erp_webhook.verify('secrets-github', '{}', '')).reason;
UPDATE erp_webhook.secret s SET key_name = '0123456789abcdef'
FROM erp_webhook.source o WHERE o.source_id = s.source_id AND o.name = 'secrets-github';
SELECT regexp_replace(m, 'use is [0-9a-f]{16}', 'use is another') FROM (SELECT pg_temp.try('github', 'a third secret of it')) t (m);
