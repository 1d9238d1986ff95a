-- Who may what: nothing for PUBLIC, one owner without power, roles that see their company and no other.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse
CREATE ROLE privileges_nobody; CREATE ROLE privileges_ingress; CREATE ROLE privileges_reader; CREATE ROLE privileges_admin; CREATE ROLE privileges_all;

-- Every object, as somebody who was granted nothing.
SELECT p.oid::regprocedure AS executable_by_anybody FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object
WHERE has_function_privilege('privileges_nobody', p.oid, 'EXECUTE');
SELECT c.oid::regclass AS readable_by_anybody FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND has_any_column_privilege('privileges_nobody', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
   OR c.relkind = 'S' AND has_sequence_privilege('privileges_nobody', c.oid, 'USAGE, SELECT, UPDATE');
SELECT t.oid::regtype AS usable_by_anybody FROM erp_webhook.member() m JOIN pg_type t ON m.class = 'pg_type'::regclass AND t.oid = m.object
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c' AND has_type_privilege('privileges_nobody', t.oid, 'USAGE');
SELECT has_schema_privilege('privileges_nobody', 'erp_webhook', 'USAGE, CREATE') AS schema_for_anybody;

-- One owner, who cannot log in and is nobody special.
SELECT DISTINCT pg_get_userbyid(owner) AS owner FROM (
  SELECT p.proowner AS owner FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object
  UNION ALL SELECT c.relowner FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
  UNION ALL SELECT t.typowner FROM erp_webhook.member() m JOIN pg_type t ON m.class = 'pg_type'::regclass AND t.oid = m.object
  UNION ALL SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'erp_webhook') o;
SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = 'erp_webhook_owner';

-- What runs as the owner looks nothing up on the caller's path; views show what the caller may see; company data has the policy.
SELECT p.oid::regprocedure AS definer_without_path FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object
WHERE p.prosecdef AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false);
SELECT c.oid::regclass AS view_as_its_owner FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
WHERE c.relkind = 'v' AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false);
SELECT c.oid::regclass AS table_without_policy FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id'
WHERE c.relnamespace = 'erp_webhook'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT (c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'company'));

-- What an admin may call and runs as the owner asks whose company it is.
SELECT f AS asks_nobody FROM erp_webhook.grantable_functions('admin') f JOIN pg_proc p ON p.oid = f
WHERE p.prosecdef AND p.proname <> 'check_access' AND p.prosrc !~ '(check_access|company_named|source_named|find_company|find_source|subscriber_called)\(';

-- Two companies, and roles for the one.
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('privileges a', 'EUR') > 0 AND erp_webhook.add_company('privileges b', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('privileges-' || c, 'token', 'privileges ' || c) > 0 AND erp_webhook.add_secret('privileges-' || c, 'privileges-token') > 0 AS made FROM unnest('{a,b}'::text[]) c;
SELECT count(*) FROM erp_webhook.ingest_batch('{privileges-a,privileges-b}', array_fill('{"x-token": "privileges-token", "webhook-id": "e"}'::jsonb, ARRAY[2]), ARRAY['{"type": "tea"}', '{"type": "tea"}']::bytea[]);
SELECT company_id AS company_b FROM erp_webhook.company WHERE name = 'privileges b' \gset
SELECT erp_webhook.grant_ingress('privileges_ingress'), erp_webhook.grant_reader('privileges_reader', 'privileges a'),
       erp_webhook.grant_admin('privileges_admin', 'privileges a'), erp_webhook.grant_reader('privileges_all');
SELECT erp_webhook.grant_reader('no such role', 'privileges a');
SELECT erp_webhook.grant_reader('privileges_reader', 'no such company');

-- The ingress ingests and sees nothing.
SET ROLE privileges_ingress;
SELECT outcome FROM erp_webhook.ingest('privileges-a', '{"x-token": "privileges-token", "webhook-id": "f"}', '{"type": "tea"}');
SELECT count(*) FROM erp_webhook.event;
SELECT erp_webhook.add_source('privileges-c', 'token');
SELECT * FROM erp_webhook.verify('privileges-a', '{}', '');
RESET ROLE;
SELECT p.proname FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object
WHERE has_function_privilege('privileges_ingress', p.oid, 'EXECUTE') ORDER BY 1;

-- A reader reads his company.
SET ROLE privileges_reader;
SELECT name FROM erp_webhook.company;
SELECT s.name, e.external_id FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) ORDER BY 1, 2;
SELECT DISTINCT name FROM erp_webhook.source WHERE name LIKE 'privileges-%';
SELECT count(*) > 0 AS bodies FROM erp_webhook.delivery;
SELECT sealed FROM erp_webhook.secret;
SELECT count(key_name) FROM erp_webhook.secret;
SELECT count(*) FROM erp_webhook.delivery_default;
SELECT erp_webhook.add_source('privileges-c', 'token', 'privileges a');
INSERT INTO erp_webhook.account (company_id, account_no, name, currency) SELECT company_id, 'R', 'R', 'EUR' FROM erp_webhook.company;
SELECT erp_webhook.ingest('privileges-a', '{}', '');
RESET ROLE;

-- An admin configures his company, signs for his sources, and touches no other.
SET ROLE privileges_admin;
SELECT erp_webhook.add_source('privileges-c', 'token', 'privileges a') > 0 AND erp_webhook.add_secret('privileges-c', 'privileges-token') > 0 AS made;
SELECT erp_webhook.add_source('privileges-d', 'token', 'privileges b');
SELECT erp_webhook.add_secret('privileges-b', 'privileges-token');
SELECT erp_webhook.add_company('privileges c', 'EUR');
SELECT erp_webhook.set_trust('privileges-c', 'confirm');
SELECT ok FROM erp_webhook.verify('privileges-a', '{"x-token": "privileges-token"}', '');
SELECT ok FROM erp_webhook.verify('privileges-b', '{"x-token": "privileges-token"}', '');
SELECT erp_webhook.sign('privileges-b', '');
INSERT INTO erp_webhook.account (company_id, account_no, name, currency) SELECT company_id, 'A', 'A', 'EUR' FROM erp_webhook.company;
INSERT INTO erp_webhook.account (company_id, account_no, name, currency) VALUES (:company_b, 'B', 'B', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) SELECT company_id, 'P-1', account_id, 'EUR', 10, '2026-01-01' FROM erp_webhook.account;
SELECT number, state FROM erp_webhook.invoice;
SELECT erp_webhook.void_invoice('privileges a', 'P-1');
SELECT * FROM erp_webhook.dry_run('privileges a', '2025-01-01', '2099-12-31');
SELECT erp_webhook.set_policy('privileges a', 'refund', 'reopen');
SELECT erp_webhook.set_policy('privileges b', 'refund', 'reopen');
SELECT erp_webhook.settle_again('privileges b');
SELECT erp_webhook.link_account('privileges-b', 'cus', 'A');
SELECT erp_webhook.write_off('privileges b', 'P-1', 1, 'x');
SELECT erp_webhook.add_subscriber('x', 'notify:x', company => 'privileges b');
UPDATE erp_webhook.event SET state = 'applied';
DELETE FROM erp_webhook.voucher;
-- An admin has functions called that are his own, for his company.
RESET ROLE;
CREATE SCHEMA privileges_rule AUTHORIZATION privileges_admin;
CREATE FUNCTION privileges_rule.anothers(jsonb) RETURNS void LANGUAGE sql AS '';
SET ROLE privileges_admin;
CREATE FUNCTION privileges_rule.own(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT erp_webhook.on_event('tea', 'privileges_rule.own(jsonb)', 'privileges a');
SELECT erp_webhook.on_event('tea', 'privileges_rule.own(jsonb)', 'privileges b');
SELECT erp_webhook.on_event('tea', 'privileges_rule.anothers(jsonb)', 'privileges a');
SELECT erp_webhook.keep_event_rule(company_id, 'tea', 'privileges_rule.anothers(jsonb)') FROM erp_webhook.company;
SELECT erp_webhook.keep_event_rule(:company_b, 'tea', 'privileges_rule.own(jsonb)');
SELECT erp_webhook.keep_binding('privileges a', 'pg_catalog.pg_class', 'privileges_rule.own(jsonb)', NULL);
RESET ROLE;
DELETE FROM erp_webhook.event_rule WHERE kind = 'tea';
DROP SCHEMA privileges_rule CASCADE;
SET ROLE privileges_admin;
-- What is read as the owner meets no operator and no type of the caller's.
RESET ROLE;
CREATE SCHEMA privileges_trap AUTHORIZATION privileges_admin;
SET ROLE privileges_admin;
CREATE FUNCTION privileges_trap.spring(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;
CREATE OPERATOR privileges_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = privileges_trap.spring);
CREATE DOMAIN privileges_trap.int4 AS text;
SET search_path = privileges_trap, pg_catalog;
SELECT erp_webhook.add_source('privileges-e', 'token', 'privileges a') > 0 AS made;
SELECT (erp_webhook.verify('privileges-e', '{}', '')).reason;
SELECT erp_webhook.sign('privileges-c', '');
SELECT count(*) FROM erp_webhook.preview('privileges-c', '{}', '{}');
RESET search_path;
DROP SCHEMA privileges_trap CASCADE;
-- what settlement derives is not his to write, whatever he sets; what he entered is
SET erp_webhook.settling = on;
UPDATE erp_webhook.invoice SET paid = total, state = 'paid';
UPDATE erp_webhook.account SET state = 'suspended';
RESET erp_webhook.settling;
UPDATE erp_webhook.invoice SET due_on = '2026-02-01' RETURNING number, due_on;
UPDATE erp_webhook.account SET name = 'A BV' RETURNING account_no, name;
RESET ROLE;

-- A reader of all reads all.
SET ROLE privileges_all;
SELECT count(*) FROM erp_webhook.company WHERE name LIKE 'privileges%';
RESET ROLE;

-- Who is no longer there leaves nothing open.
DROP OWNED BY privileges_reader; DROP ROLE privileges_reader;
SET ROLE privileges_all;
SELECT count(*) FROM erp_webhook.company WHERE name LIKE 'privileges%';
RESET ROLE;
DROP OWNED BY privileges_nobody, privileges_ingress, privileges_admin, privileges_all;
DROP ROLE privileges_nobody, privileges_ingress, privileges_admin, privileges_all;
