-- A reader with a schema of his own: he may run what runs as its caller, and gets no further by it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('Hostile BV', 'EUR') > 0 AS company, erp_webhook.add_source('hostile', 'generic', 'Hostile BV') > 0 AS source;
CREATE ROLE hostile_reader;
SELECT erp_webhook.grant_reader('hostile_reader', 'Hostile BV');
CREATE SCHEMA hostile AUTHORIZATION hostile_reader;
SELECT erp_webhook.add_company('Hostile to none BV', 'EUR') > 0 AS company, erp_webhook.add_source('neighbour', 'generic', 'Hostile to none BV') > 0 AS source;
RESET client_min_messages;
\c -
SELECT outcome FROM unnest('{hostile,neighbour}'::text[]) s, erp_webhook.ingest(s, '{}', '');
SELECT source, outcome, reason, n FROM erp_webhook.stats WHERE source IN ('hostile', 'neighbour') ORDER BY 1;
SET ROLE hostile_reader;

-- Of the counters he sees those of his company, and of what is nobody's.
SELECT source, outcome, reason, n FROM erp_webhook.stats WHERE source <> 'unknown' ORDER BY 1;
SELECT count(*) FROM erp_webhook.counters() WHERE company_id NOT IN (SELECT 0 UNION ALL SELECT company_id FROM erp_webhook.company);

-- Operators that go before pg_catalog's. If one of them runs as anybody else, it says so.
CREATE FUNCTION hostile.equal(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_user <> 'hostile_reader' THEN
    RAISE NOTICE 'runs as %', current_user;
  END IF;
  RETURN a OPERATOR(pg_catalog.=) b;
END $$;
CREATE FUNCTION hostile.equal(a int, b int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_user <> 'hostile_reader' THEN
    RAISE NOTICE 'runs as %', current_user;
  END IF;
  RETURN a OPERATOR(pg_catalog.=) b;
END $$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.equal);
CREATE OPERATOR hostile.= (LEFTARG = int, RIGHTARG = int, FUNCTION = hostile.equal);
SET search_path = hostile, pg_catalog;
SELECT 'a'::text = 'a'::text AS they_are_found, 1 = 1 AS these_too;
SELECT (erp_webhook.verify('no such source', '{}', '')).reason;
SELECT erp_webhook.verify('hostile', '{}', '');
SELECT erp_webhook.sign('hostile', '');
SELECT erp_webhook.check_source('hostile');
SELECT count(*) FROM erp_webhook.preview('hostile', '{"webhook-id": "msg_1"}', '{"type": "payment.succeeded"}');
SELECT current_setting('search_path');
RESET search_path;

-- What is passed to a function must be what it takes.
CREATE FUNCTION hostile.texts(a text) RETURNS text LANGUAGE sql AS 'SELECT a';
SELECT erp_webhook.call_as_owner('hostile.texts(text)', 'a text'::text);
SELECT erp_webhook.call_as_owner('hostile.texts(text)', 42::bigint);
SELECT erp_webhook.call_as_owner('hostile.texts(text)', 'one'::text, 'two'::text);
SELECT erp_webhook.call_as_owner('hostile.texts(text)', VARIADIC '{one}'::text[]);

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP OWNED BY hostile_reader;
DROP ROLE hostile_reader;
