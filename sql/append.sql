-- Payments are written past the executor; nobody may be able to tell. What others hang on the tables is done all the same.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('append bv', 'EUR') AS company \gset
SELECT erp_webhook.add_source('append-shop', 'token', 'append bv') AS source \gset
SELECT erp_webhook.add_secret('append-shop', 'append-token') > 0 AS made;
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-1', 'EUR') RETURNING account_id AS account \gset
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT :company, 'A-' || n, :account, 'EUR', 10, '2026-01-31' FROM generate_series(1, 99) n;

-- Payments of these invoices in one batch (one goes alone), and what became of them.
CREATE FUNCTION pg_temp.pay(invoices int[]) RETURNS TABLE (invoice int, outcome text, state text, error text) LANGUAGE plpgsql AS $$
DECLARE
  ids bigint[];
  outcomes text[];
BEGIN
  SELECT array_agg(r.event_id ORDER BY r.n), array_agg(r.outcome ORDER BY r.n) INTO ids, outcomes
  FROM erp_webhook.ingest_batch(array_fill('append-shop'::text, ARRAY[cardinality(invoices)]),
    ARRAY(SELECT jsonb_build_object('webhook-id', 'p' || n, 'x-token', 'append-token') FROM unnest(invoices) n),
    ARRAY(SELECT convert_to(jsonb_build_object('type', 'payment.succeeded', 'timestamp', '2026-01-05T10:00:00Z', 'data',
            jsonb_build_object('id', 'pay' || n, 'amount', '10.00', 'currency', 'EUR', 'fee', '0.25', 'invoice_number', 'A-' || n))::text, 'UTF8')
          FROM unnest(invoices) n)) WITH ORDINALITY r (outcome, http_status, content_type, response, event_id, events, detail, n);
  RETURN QUERY SELECT i.invoice, i.outcome, e.state, e.error FROM unnest(invoices, ids, outcomes) WITH ORDINALITY i (invoice, event_id, outcome, n)
    LEFT JOIN erp_webhook.event e ON e.event_id = i.event_id ORDER BY i.n;
END
$$;
-- What it wrote: all columns but ids and what differs by the clock.
CREATE VIEW pg_temp.written AS
  SELECT substring(o.object_ref FROM '^pay(.*)$')::int AS invoice,
         to_jsonb(o) - '{company_id,source_id,object_ref,payment_ref,decided_by,fee_by,refs,facts}'::text[] AS object,
         (SELECT jsonb_agg(to_jsonb(v) - '{company_id,source_id,voucher_id,object_ref,event_id,posted_at,digest}'::text[] || jsonb_build_object('entries',
            (SELECT jsonb_agg(to_jsonb(e) - '{company_id,voucher_id}'::text[] ORDER BY e.entry_no) FROM erp_webhook.entry e WHERE e.company_id = v.company_id AND e.voucher_id = v.voucher_id))
            ORDER BY v.step)
          FROM erp_webhook.voucher v WHERE v.company_id = o.company_id AND v.object = 'payment' AND v.object_ref = o.object_ref) AS vouchers,
         (SELECT jsonb_agg(to_jsonb(a) - '{company_id,source_id,invoice_id,object_ref}'::text[]) FROM erp_webhook.allocation a
          WHERE a.company_id = o.company_id AND a.object = 'payment' AND a.object_ref = o.object_ref) AS allocations,
         (SELECT to_jsonb(i) - '{company_id,account_id,invoice_id,number,issued_on}'::text[] FROM erp_webhook.invoice i
          WHERE i.company_id = o.company_id AND i.number = o.refs[1]) AS paid
  FROM erp_webhook.money_object o JOIN erp_webhook.company c USING (company_id) WHERE c.name = 'append bv';

SELECT * FROM pg_temp.pay('{1}');
SELECT * FROM pg_temp.pay('{4,3,2,1}');
SELECT jsonb_pretty(object), jsonb_pretty(vouchers), jsonb_pretty(allocations), jsonb_pretty(paid) FROM pg_temp.written WHERE invoice = 1 \gx
-- The same where the executor does it: a server with Citus, and a trigger that may change the row.
SET citus.shard_count = 32;
SELECT * FROM pg_temp.pay('{5}');
SELECT * FROM pg_temp.pay('{7,6,5}');
RESET citus.shard_count;
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING '% % % of %: %', TG_WHEN, TG_OP, TG_LEVEL, regexp_replace(TG_TABLE_NAME, '_[0-9_]+$', ''), CASE TG_LEVEL WHEN 'ROW' THEN to_jsonb(NEW)->>'object_ref' END;
  RETURN NEW;
END
$$;
CREATE TRIGGER before_row BEFORE INSERT ON erp_webhook.voucher FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
CREATE TRIGGER before_row BEFORE INSERT ON erp_webhook.event FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
SELECT * FROM pg_temp.pay('{9,8,7}');
DROP TRIGGER before_row ON erp_webhook.voucher;
DROP TRIGGER before_row ON erp_webhook.event;
SELECT count(*), count(DISTINCT (object, vouchers, allocations, paid)) FROM pg_temp.written;
-- What the two ways would not write alike goes the long one: a fee below zero, a list that does not begin at one.
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency, fee)
VALUES (:company, :source, 'odd', 'payment.succeeded', 'applied', '2026-01-05', now(), 'odd', 'odd', '[0:0]={A-60}', 10, 'EUR', NULL),
       (:company, :source, 'negative', 'payment.succeeded', 'applied', '2026-01-05', now(), 'negative', 'negative', '{A-61}', 10, 'EUR', -1);
SELECT e.external_id, erp_webhook.is_plain(e) FROM erp_webhook.event e WHERE company_id = :company AND external_id IN ('odd', 'negative', 'p1') ORDER BY 1;
-- The long way to the same: it finds nothing to post.
SELECT erp_webhook.settle(:company, array_agg(e ORDER BY event_id DESC)) AS posted FROM erp_webhook.event e WHERE company_id = :company;
SELECT count(DISTINCT (object, vouchers, allocations, paid)) FROM pg_temp.written WHERE invoice IS NOT NULL;
SELECT * FROM erp_webhook.verify_chain('append bv');

-- Triggers after the row and for the statement, also those that are deferred.
CREATE TRIGGER before_statement BEFORE INSERT ON erp_webhook.allocation EXECUTE FUNCTION pg_temp.note();
CREATE TRIGGER after_row AFTER INSERT ON erp_webhook.voucher FOR EACH ROW WHEN (NEW.object_ref <> 'pay11') EXECUTE FUNCTION pg_temp.note();
CREATE TRIGGER after_statement AFTER INSERT ON erp_webhook.entry EXECUTE FUNCTION pg_temp.note();
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON erp_webhook.money_object DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
SELECT * FROM pg_temp.pay('{10}');
SELECT * FROM pg_temp.pay('{11,12}');
DROP TRIGGER before_statement ON erp_webhook.allocation;
DROP TRIGGER after_row ON erp_webhook.voucher;
DROP TRIGGER after_statement ON erp_webhook.entry;
DROP TRIGGER deferred ON erp_webhook.money_object;
-- A rule.
CREATE RULE nothing AS ON INSERT TO erp_webhook.allocation DO INSTEAD NOTHING;
SELECT * FROM pg_temp.pay('{13}');
DROP RULE nothing ON erp_webhook.allocation;
-- And when it is gone, where the executor does it.
SET citus.shard_count = 32;
SELECT * FROM pg_temp.pay('{14}');
RESET citus.shard_count;
SELECT invoice, allocations FROM pg_temp.written WHERE invoice IN (13, 14) ORDER BY invoice;

-- Constraints, also those that are made, change or go while a session has the old ones.
CREATE FUNCTION public.append_allows(object_ref text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT object_ref <> 'pay21' $$;
ALTER TABLE erp_webhook.voucher ADD CONSTRAINT voucher_allowed CHECK (public.append_allows(object_ref)) NOT VALID;
SELECT * FROM pg_temp.pay('{20,21,22}');
CREATE OR REPLACE FUNCTION public.append_allows(object_ref text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT object_ref <> 'pay24' $$;
SELECT * FROM pg_temp.pay('{23}');
SELECT * FROM pg_temp.pay('{24}');
ALTER TABLE erp_webhook.voucher DROP CONSTRAINT voucher_allowed;
SELECT * FROM pg_temp.pay('{25,26}');
DROP FUNCTION public.append_allows(text);
ALTER TABLE erp_webhook.event ADD CONSTRAINT event_allowed CHECK (external_id <> 'p28') NOT VALID;
SELECT * FROM pg_temp.pay('{28,29}');
ALTER TABLE erp_webhook.event DROP CONSTRAINT event_allowed;
-- Indexes likewise, partial and unique ones and those over expressions.
CREATE INDEX entry_of_debit ON erp_webhook.entry (upper(debit)) WHERE entry_no = 1;
CREATE UNIQUE INDEX entry_alone ON erp_webhook.entry (company_id, amount) WHERE company_id = 0;
SELECT * FROM pg_temp.pay('{30,31}');
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM erp_webhook.entry WHERE entry_no = 1 AND upper(debit) = 'CLEARING:APPEND-SHOP';
SELECT count(*) FROM erp_webhook.entry WHERE entry_no = 1 AND upper(debit) = 'CLEARING:APPEND-SHOP';
RESET enable_seqscan;
DROP INDEX erp_webhook.entry_of_debit, erp_webhook.entry_alone;
-- A column that an upgrade adds behind ours.
ALTER TABLE erp_webhook.voucher ADD COLUMN memo text;
SELECT * FROM pg_temp.pay('{32,33}');
ALTER TABLE erp_webhook.voucher DROP COLUMN memo;
SELECT * FROM pg_temp.pay('{34}');
SELECT count(DISTINCT (object, vouchers, allocations, paid)) FROM pg_temp.written WHERE invoice IN (32, 34, 1);
-- Columns of others that want more than a null.
ALTER TABLE erp_webhook.voucher ADD COLUMN exported boolean NOT NULL DEFAULT false, ADD COLUMN booked_year int GENERATED ALWAYS AS (extract(year FROM booked_on)) STORED;
SELECT * FROM pg_temp.pay('{50}');
SELECT * FROM pg_temp.pay('{51,52,50}');
SELECT object_ref, exported, booked_year FROM erp_webhook.voucher WHERE company_id = :company AND object_ref ~ '^pay5.$' ORDER BY 1;
ALTER TABLE erp_webhook.voucher DROP COLUMN exported, DROP COLUMN booked_year;
SELECT * FROM pg_temp.pay('{53,54}');
-- Constraints that are checked later.
ALTER TABLE erp_webhook.voucher ADD CONSTRAINT once EXCLUDE (occurred_on WITH =) WHERE (object_ref ~ '^pay5[56]$') DEFERRABLE INITIALLY IMMEDIATE;
SELECT * FROM pg_temp.pay('{55}');
SELECT * FROM pg_temp.pay('{56}');
ALTER TABLE erp_webhook.voucher DROP CONSTRAINT once;
-- Settings are what they were, whatever a trigger does.
CREATE FUNCTION pg_temp.meddle() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = '2s' SET enable_hashjoin = on AS $$
BEGIN
  PERFORM set_config('lock_timeout', '3s', true), set_config('enable_seqscan', 'on', true);
  IF NEW.object_ref = 'pay57' THEN
    RAISE EXCEPTION 'no';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER meddle AFTER INSERT ON erp_webhook.voucher FOR EACH ROW EXECUTE FUNCTION pg_temp.meddle();
SELECT * FROM pg_temp.pay('{57}');
SELECT * FROM pg_temp.pay('{58,59}');
DROP TRIGGER meddle ON erp_webhook.voucher;
SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit') AND setting <> reset_val;
SELECT erp_webhook.is_settling();
-- Bodies lie in their month, also one that is made meanwhile; who watches the table sees them come.
CREATE VIEW pg_temp.bodies AS
  SELECT e.external_id, d.tableoid::regclass::text = 'erp_webhook.delivery_' || to_char(d.received_at AT TIME ZONE 'UTC', 'YYYY_MM') AS in_month,
         length(d.body) AS body
  FROM erp_webhook.event e JOIN erp_webhook.delivery d USING (company_id, delivery_id) WHERE company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'append bv');
SELECT * FROM pg_temp.pay('{40}');
SELECT made >= 0 AS made FROM erp_webhook.maintain();
SELECT * FROM pg_temp.pay('{41}');
SELECT * FROM pg_temp.pay('{42,43}');
CREATE TRIGGER after_statement AFTER INSERT ON erp_webhook.delivery EXECUTE FUNCTION pg_temp.note();
SELECT * FROM pg_temp.pay('{44}');
DROP TRIGGER after_statement ON erp_webhook.delivery;
CREATE TRIGGER after_row AFTER INSERT ON erp_webhook.delivery FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
SELECT * FROM pg_temp.pay('{45}');
DROP TRIGGER after_row ON erp_webhook.delivery;
SELECT * FROM pg_temp.bodies WHERE external_id ~ '^p4.$' ORDER BY 1;
-- Whoever may not write to the tables cannot do it this way.
CREATE ROLE append_reader;
SELECT erp_webhook.grant_reader('append_reader', 'append bv');
SET ROLE append_reader;
SELECT erp_webhook.settle_plain(:company, array_agg(ROW(e.*)::erp_webhook.event)) FROM erp_webhook.event e WHERE company_id = :company AND external_id = 'p1';
SELECT erp_webhook.house_of(:company);
RESET ROLE;
DROP OWNED BY append_reader;
DROP ROLE append_reader;
