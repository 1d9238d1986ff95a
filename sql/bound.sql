-- Events of a bound company are settled one by one from the start; a refusal of the ERP undoes that event alone.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('bound nv', 'EUR') > 0 AND erp_webhook.add_company('unbound nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('bound-shop', 'token', 'bound nv') > 0 AND erp_webhook.add_source('unbound-shop', 'token', 'unbound nv') > 0 AS made;
SELECT erp_webhook.add_secret('bound-shop', 'bound-token') > 0 AND erp_webhook.add_secret('unbound-shop', 'bound-token') > 0 AS made;

-- A small ERP: documents, a view of them, and a function that settles all but one.
CREATE SCHEMA bound_erp;
CREATE TABLE bound_erp.document (id text PRIMARY KEY, customer text, total numeric, due numeric);
INSERT INTO bound_erp.document VALUES ('B-1', 'K1', 10, 10), ('B-2', 'K1', 10, 10), ('B-3', 'K1', 10, 10);
CREATE VIEW bound_erp.open_items AS SELECT id AS erp_key, id AS number, customer AS account_no, 'EUR'::text AS currency, total, due FROM bound_erp.document;
CREATE FUNCTION bound_erp.settle(v erp_webhook.voucher, lines erp_webhook.erp_line[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(lines) l WHERE l.erp_key = 'B-2') THEN
    RAISE EXCEPTION 'period closed' USING ERRCODE = 'P0001';
  END IF;
  UPDATE bound_erp.document d SET due = d.due - l.amount FROM unnest(lines) l WHERE l.erp_key = d.id;
  RETURN 'posted';
END
$$;
SELECT erp_webhook.bind('bound nv', 'bound_erp.open_items', 'bound_erp.settle(erp_webhook.voucher, erp_webhook.erp_line[])');

-- Counts the statements that insert events.
CREATE TABLE bound_erp.statement (rows bigint);
CREATE FUNCTION bound_erp.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN INSERT INTO bound_erp.statement SELECT count(*) FROM fresh; RETURN NULL; END $$;
CREATE TRIGGER bound_note AFTER INSERT ON erp_webhook.event REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION bound_erp.note();
CREATE FUNCTION pg_temp.send(sources text[], kind text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT r.outcome FROM erp_webhook.ingest_batch(sources,
    ARRAY(SELECT jsonb_build_object('x-token', 'bound-token', 'webhook-id', left(kind, 1) || i) FROM generate_series(1, cardinality(sources)) i),
    ARRAY(SELECT convert_to(jsonb_build_object('type', kind, 'timestamp', '2026-01-05T10:00:00Z', 'data',
            jsonb_build_object('id', 'p' || i, 'amount', '10.00', 'currency', 'EUR', 'invoice_number', 'B-' || i))::text, 'UTF8') FROM generate_series(1, cardinality(sources)) i)) r
$$;
SELECT * FROM pg_temp.send('{unbound-shop,unbound-shop,unbound-shop}', 'tea');
SELECT count(*) AS statements, sum(rows) AS events FROM bound_erp.statement;
DELETE FROM bound_erp.statement;
SELECT * FROM pg_temp.send('{bound-shop,unbound-shop,bound-shop,bound-shop}', 'coffee');
SELECT count(*) AS statements, sum(rows) AS events FROM bound_erp.statement;
SELECT * FROM pg_temp.send('{bound-shop,bound-shop,bound-shop}', 'payment.succeeded');
SELECT * FROM bound_erp.document ORDER BY id;
SELECT e.external_id, e.state, e.error FROM erp_webhook.event e JOIN erp_webhook.source s USING (company_id, source_id) WHERE s.name = 'bound-shop' AND e.kind <> 'other' ORDER BY 1;
SELECT law, breaches FROM erp_webhook.audit('bound nv');
DROP TRIGGER bound_note ON erp_webhook.event;
UPDATE erp_webhook.source SET active = false WHERE name = 'bound-shop';
