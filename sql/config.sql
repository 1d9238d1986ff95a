-- Configuring: what is refused, and what a configuration becomes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse

-- Companies. "default" is made by whoever needs it first.
SELECT erp_webhook.add_company('config nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_company('config nv', 'EUR');
SELECT erp_webhook.add_company('', 'EUR');
SELECT erp_webhook.add_company('config bv', 'eur');
SELECT s.source_id, s.name, s.provider FROM erp_webhook.source s JOIN erp_webhook.company c USING (company_id) WHERE c.name = 'config nv';
SELECT erp_webhook.add_source('config-default', 'generic') > 0 AS made;
SELECT c.name, c.currency FROM erp_webhook.company c JOIN erp_webhook.source s USING (company_id) WHERE s.name = 'config-default';

-- Sources. The name is the last segment of a URL, one over all companies.
SELECT erp_webhook.add_source('config-shop', 'generic', 'config nv', '{"url": "https://x.example/hooks/config-shop"}') > 0 AS made;
SELECT erp_webhook.add_source('config-shop', 'generic', 'default');
SELECT erp_webhook.add_source('config shop', 'generic');
SELECT erp_webhook.add_source('..', 'generic');
SELECT erp_webhook.add_source('books', 'generic');
SELECT erp_webhook.add_source(repeat('x', 201), 'generic');
SELECT erp_webhook.add_source('config-2', 'no such provider');
SELECT erp_webhook.add_source('config-2', 'generic', 'no such company');
SELECT erp_webhook.add_source('config-2', 'generic', 'config nv', '[]');
SELECT count(*) FROM erp_webhook.source WHERE name = 'config-2';
UPDATE erp_webhook.source SET name = 'config-3' WHERE name = 'config-shop';
DELETE FROM erp_webhook.source WHERE name = 'config-shop';

-- A provider's row that cannot be compiled is refused with the first source that uses it.
INSERT INTO erp_webhook.provider (provider, scheme) VALUES ('config-broken', '{"alg": "rot13"}');
SELECT erp_webhook.add_source('config-2', 'config-broken');
DELETE FROM erp_webhook.provider WHERE provider = 'config-broken';

-- Secrets: sealed, several at once, none that anybody could guess.
SELECT erp_webhook.add_secret('config-shop', '');
SELECT erp_webhook.add_secret('config-shop', E' \n\n\n\n\n\n ');
SELECT erp_webhook.add_secret('config-shop', NULL);
SELECT erp_webhook.add_secret('config-shop', 'abc');
SELECT erp_webhook.add_secret('no such source', 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3');
SELECT erp_webhook.add_secret('config-shop', 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3', purpose => 'guess');
SELECT erp_webhook.add_secret('config-shop', 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3', now(), now());
SELECT erp_webhook.add_secret('config-shop', 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3') > 0 AS made;
SELECT position(convert_to('MDEyMzQ1', 'UTF8') IN sealed) AS in_clear, key_name <> '' AS names_its_key
FROM erp_webhook.secret JOIN erp_webhook.source USING (company_id, source_id) WHERE name = 'config-shop';
DELETE FROM erp_webhook.secret;

-- Rotation: the old one stays for the overlap.
SET erp_webhook.clock = '2026-01-01 00:00:00Z';
SELECT erp_webhook.rotate_secret('config-shop', 'whsec_dGhlIHNlY29uZCBzZWNyZXQgb2YgdGhpcyBzaG9w', '1 hour') > 0 AS made;
SELECT erp_webhook.rotate_secret('config-shop', 'whsec_dGhlIHNlY29uZCBzZWNyZXQgb2YgdGhpcyBzaG9w', '-1 hour');
SELECT lower(valid) IS NULL AS from_the_start, upper(valid) AT TIME ZONE 'UTC' AS ends, count(*)
FROM erp_webhook.secret JOIN erp_webhook.source USING (company_id, source_id) WHERE name = 'config-shop'
GROUP BY 1, 2 ORDER BY 2;
RESET erp_webhook.clock;

-- A secret from a file appears in no statement.
COPY (SELECT 'whsec_YSBzZWNyZXQgZnJvbSBhIGZpbGUsIG5vdCBzaG93bg==') TO PROGRAM 'cat > erp_webhook_config_secret';
SELECT erp_webhook.add_secret_file('config-shop', 'erp_webhook_config_secret') > 0 AS made;
SELECT erp_webhook.add_secret_file('config-shop', 'erp_webhook_no_such_file');
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm erp_webhook_config_secret';

-- Trust: a provider that does not sign its bodies is confirmed unless someone decides otherwise, and is told what that means.
SELECT erp_webhook.add_source('config-unsigned', 'mollie-classic', 'config nv') > 0 AS made;
SELECT trust FROM erp_webhook.source WHERE name = 'config-unsigned';
\set VERBOSITY default
SELECT erp_webhook.set_trust('config-unsigned', 'full');
\set VERBOSITY terse
SELECT erp_webhook.set_trust('config-unsigned', 'blind');
SELECT trust FROM erp_webhook.source WHERE name = 'config-unsigned';

-- The clock of tests is the superuser's.
CREATE ROLE config_user;
SET ROLE config_user;
SET erp_webhook.clock = '2030-01-01 00:00:00Z';
RESET ROLE;
SET erp_webhook.clock = 'never';
SET erp_webhook.clock = '2030-01-01 00:00:00Z';
SELECT erp_webhook.clock() AT TIME ZONE 'UTC';
DROP ROLE config_user;
