-- What an ERP's role bound runs as that role and never as ours: its function, what its function defers, the functions in its view.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('owned', 'EUR') > 0 AND erp_webhook.add_source('owned-shop', 'token', 'owned') > 0 AND erp_webhook.add_secret('owned-shop', 'owned-token') > 0 AS made;
CREATE ROLE seam_owner_erp;
CREATE SCHEMA owned_erp AUTHORIZATION seam_owner_erp;
SET ROLE seam_owner_erp;
CREATE TABLE owned_erp.document (id text PRIMARY KEY, due numeric);
INSERT INTO owned_erp.document SELECT 'O-' || n, 10 FROM generate_series(1, 3) n;
CREATE TABLE owned_erp.ran (what text, as_role text);
CREATE TABLE owned_erp.posting (id text PRIMARY KEY);
CREATE TABLE owned_erp.line (posting text REFERENCES owned_erp.posting DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION owned_erp.due_of(due numeric) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN INSERT INTO owned_erp.ran VALUES ('view', current_user); RETURN due; END $$;
CREATE VIEW owned_erp.open_items AS
  SELECT id AS erp_key, id AS number, 'K'::text AS account_no, 'EUR'::text AS currency, 10::numeric AS total, owned_erp.due_of(due) AS due FROM owned_erp.document;
CREATE FUNCTION owned_erp.later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO owned_erp.ran VALUES ('deferred', current_user); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON owned_erp.line DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION owned_erp.later();
-- Line before posting: what its own constraint allows until COMMIT.
CREATE FUNCTION owned_erp.settle(voucher jsonb, lines jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO owned_erp.ran VALUES ('settle', current_user);
  INSERT INTO owned_erp.line VALUES (voucher ->> 'voucher_id');
  INSERT INTO owned_erp.posting VALUES (voucher ->> 'voucher_id');
  UPDATE owned_erp.document d SET due = d.due - (l ->> 'amount')::numeric FROM jsonb_array_elements(lines) l WHERE l ->> 'erp_key' = d.id;
  RETURN 'posted';
END $$;
RESET ROLE;
SELECT erp_webhook.bind('owned', 'owned_erp.open_items', 'owned_erp.settle(jsonb,jsonb)');
SELECT r.outcome FROM erp_webhook.ingest_batch(array_fill('owned-shop'::text, ARRAY[3]),
  ARRAY(SELECT jsonb_build_object('x-token', 'owned-token', 'webhook-id', 'o' || i) FROM generate_series(1, 3) i),
  ARRAY(SELECT convert_to(jsonb_build_object('type', 'payment.succeeded', 'timestamp', '2026-01-05T10:00:00Z', 'data',
          jsonb_build_object('id', 'p' || i, 'amount', '10.00', 'currency', 'EUR', 'invoice_number', 'O-' || i))::text, 'UTF8') FROM generate_series(1, 3) i)) r;
SELECT id, due FROM owned_erp.document ORDER BY id;
SELECT DISTINCT what, as_role FROM owned_erp.ran ORDER BY 1;
SELECT law FROM erp_webhook.audit('owned');
-- Nobody else reads through a view's owner, and a view whose owner took the privilege back is not read at all.
SET ROLE seam_owner_erp;
REVOKE SELECT ON owned_erp.open_items FROM erp_webhook_owner;
GRANT SELECT ON owned_erp.open_items TO PUBLIC;
RESET ROLE;
SELECT erp_webhook.settle_invoice('owned', 'O-1');
SELECT erp_webhook.read_as_owner('erp_webhook.view_rows(regclass,text[],text[])', 'owned_erp.open_items', '{O-1}', '{}');
UPDATE erp_webhook.source SET active = false WHERE name = 'owned-shop';
DELETE FROM erp_webhook.binding USING erp_webhook.company c WHERE c.company_id = binding.company_id AND c.name = 'owned';
DROP OWNED BY seam_owner_erp CASCADE;
DROP ROLE seam_owner_erp;
