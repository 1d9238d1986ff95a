-- A bound function that its owner replaces still runs as its owner, though CREATE OR REPLACE forgets every attribute; one
-- that is dropped and made anew is another function, to be bound again. Both hold for a rule of one's own as well.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('renewed', 'EUR') AS company \gset
SELECT erp_webhook.add_source('renewed-shop', 'generic', 'renewed') AS source \gset
CREATE SCHEMA renewed;
CREATE TABLE renewed.doc (doc_no text, open numeric, note text);
INSERT INTO renewed.doc VALUES ('R-1', 100);
CREATE TABLE renewed.seen (kind text, by name);
CREATE VIEW renewed.open_items AS SELECT doc_no AS erp_key, doc_no AS number, 'K1'::text AS account_no, 'EUR'::text AS currency, 100::numeric AS total, open AS due FROM renewed.doc;
CREATE FUNCTION renewed.settle(voucher erp_webhook.voucher, lines jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'nothing done' $$;
CREATE FUNCTION renewed.lock(text) RETURNS void LANGUAGE sql AS $$ SELECT FROM renewed.doc WHERE doc_no = $1 FOR UPDATE $$;
CREATE FUNCTION renewed.rule(event erp_webhook.event) RETURNS void LANGUAGE sql AS $$ SELECT NULL $$;
SELECT erp_webhook.bind('renewed', 'renewed.open_items', 'renewed.settle(erp_webhook.voucher, jsonb)', 'renewed.lock(text)');
SELECT erp_webhook.on_event('payment.succeeded', 'renewed.rule(erp_webhook.event)', 'renewed');

CREATE OR REPLACE FUNCTION renewed.settle(voucher erp_webhook.voucher, lines jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  UPDATE renewed.doc d SET open = d.open - l.amount, note = current_user = 'erp_webhook_owner' FROM jsonb_to_recordset(lines) l (erp_key text, amount numeric) WHERE d.doc_no = l.erp_key;
  RETURN 'R';
END $$;
CREATE OR REPLACE FUNCTION renewed.lock(text) RETURNS void LANGUAGE sql AS $$ SELECT FROM renewed.doc WHERE doc_no = $1 FOR NO KEY UPDATE $$;
CREATE OR REPLACE FUNCTION renewed.rule(event erp_webhook.event) RETURNS void LANGUAGE sql AS $$ INSERT INTO renewed.seen VALUES (event.kind, current_user) $$;
CREATE FUNCTION pg_temp.pay(ref text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency)
  SELECT s.company_id, s.source_id, ref, 'payment.succeeded', 'applied', '2025-10-09', now(), ref, ref, ARRAY['R-1'], 30, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'renewed-shop'
$$;
SELECT pg_temp.pay('p1');
SELECT open, note AS by_us FROM renewed.doc;
SELECT kind, by = (SELECT relowner::regrole::name FROM pg_class WHERE oid = 'renewed.seen'::regclass) AS by_its_owner FROM renewed.seen;

DROP FUNCTION renewed.rule(erp_webhook.event);
CREATE FUNCTION renewed.rule(event erp_webhook.event) RETURNS void LANGUAGE sql AS $$ INSERT INTO renewed.seen VALUES ('again', current_user) $$;
SELECT pg_temp.pay('p2');
SELECT erp_webhook.on_event('payment.succeeded', 'renewed.rule(erp_webhook.event)', 'renewed');
SELECT pg_temp.pay('p2');
SELECT open FROM renewed.doc;
-- Nobody gets a function called as another role by way of ours.
CREATE ROLE renewed_nobody;
GRANT USAGE ON SCHEMA erp_webhook TO renewed_nobody;
SET ROLE renewed_nobody;
SELECT erp_webhook.call_as_owner('pg_catalog.pg_reload_conf()'::regprocedure, VARIADIC '{}'::text[]);
RESET ROLE;
GRANT EXECUTE ON FUNCTION erp_webhook.call_as_owner(regprocedure, "any"), renewed.lock(text) TO renewed_nobody;
GRANT USAGE ON SCHEMA renewed TO renewed_nobody;
SET ROLE renewed_nobody;
SELECT erp_webhook.call_as_owner('renewed.lock(text)'::regprocedure, 'x'::text);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION erp_webhook.call_as_owner(regprocedure, "any") FROM renewed_nobody;
DELETE FROM erp_webhook.event_rule WHERE company_id = :company;
DELETE FROM erp_webhook.binding WHERE company_id = :company;
DROP SCHEMA renewed CASCADE;
REVOKE USAGE ON SCHEMA erp_webhook FROM renewed_nobody;
DROP ROLE renewed_nobody;
