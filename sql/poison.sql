-- One event that cannot be settled: it ends as failed, and its neighbours never notice.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY sqlstate

-- A provider of our own, by INSERT alone: a static token, and the generic body.
INSERT INTO erp_webhook.provider (provider, scheme, reading)
SELECT 'token', '{"alg": "equal", "expected": "{secret}", "sig": {"from": "header:x-token"}}', reading
FROM erp_webhook.provider WHERE provider = 'generic' ON CONFLICT DO NOTHING;
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields)
SELECT 'token', ordinal, match, kind, fields FROM erp_webhook.provider_event WHERE provider = 'generic' ON CONFLICT DO NOTHING;
SELECT erp_webhook.add_company('poison nv', 'EUR') > 0 AS made;
SELECT erp_webhook.add_source('poison-shop', 'token', 'poison nv') > 0 AS made;
SELECT erp_webhook.add_secret('poison-shop', 'poison-token') > 0 AS made;

-- Stands for an ERP's own code behind our tables: raises what the payment id says.
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'applied' AND NEW.payment_ref ~ '^raise-' THEN
    RAISE EXCEPTION 'the ledger is shut' USING ERRCODE = substr(NEW.payment_ref, 7, 5);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER poison_now AFTER INSERT ON erp_webhook.event FOR EACH ROW WHEN (NEW.payment_ref !~ 'later') EXECUTE FUNCTION poison();
CREATE CONSTRAINT TRIGGER poison_later AFTER INSERT ON erp_webhook.event DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.payment_ref ~ 'later') EXECUTE FUNCTION poison();
CREATE TEMP TABLE answer (n bigint, outcome text, http_status int, content_type text, response bytea, event_id bigint, events int, detail text);
CREATE FUNCTION pg_temp.send(batch text, payments text[])
RETURNS TABLE (n bigint, outcome text, http_status int, state text, sqlstate text, error text, attempts int) LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE answer;
  INSERT INTO answer SELECT row_number() OVER (), r.* FROM erp_webhook.ingest_batch(array_fill('poison-shop'::text, ARRAY[cardinality(payments)]),
    ARRAY(SELECT jsonb_build_object('webhook-id', batch || i, 'x-token', 'poison-token') FROM generate_series(1, cardinality(payments)) i),
    ARRAY(SELECT convert_to(jsonb_build_object('type', 'payment.succeeded', 'timestamp', '2026-01-05T10:00:00Z',
                 'data', jsonb_build_object('id', p, 'amount', '1.00', 'currency', 'EUR'))::text, 'UTF8') FROM unnest(payments) p)) r;
  RETURN QUERY SELECT a.n, a.outcome, a.http_status, e.state, e.sqlstate, e.error, e.attempts
    FROM answer a LEFT JOIN erp_webhook.event e ON e.event_id = a.event_id ORDER BY a.n;
END
$$;

SELECT * FROM pg_temp.send('a', '{pa1,pa2,raise-22012,pa4,pa5}');
-- Also where the error would first come at COMMIT.
BEGIN;
SELECT * FROM pg_temp.send('b', '{pb1,raise-23514-later,pb3}');
COMMIT;
-- All of them, and none.
SELECT outcome, count(*) FROM pg_temp.send('c', ARRAY(SELECT 'raise-22012-' || i FROM generate_series(1, 17) i)) GROUP BY 1;
SELECT outcome, count(*) FROM pg_temp.send('d', ARRAY(SELECT 'pd' || i FROM generate_series(1, 17) i)) GROUP BY 1;
-- The body is kept like any other; a repetition is a duplicate.
SELECT count(*) FROM erp_webhook.event e JOIN erp_webhook.delivery d USING (company_id, delivery_id) WHERE e.state = 'failed' AND e.external_id = 'a3';
SELECT outcome FROM pg_temp.send('a', '{pa1}');

-- What says nothing about the event is never caught: nothing of the batch is kept, and the sender comes again.
SELECT * FROM pg_temp.send('e', '{pe1,raise-40001,pe3}');
SELECT * FROM pg_temp.send('e', '{pe1,raise-40P01,pe3}');
SELECT * FROM pg_temp.send('e', '{pe1,raise-53100,pe3}');
SELECT * FROM pg_temp.send('e', '{pe1,raise-57014,pe3}');
SELECT * FROM pg_temp.send('e', '{pe1,raise-58030,pe3}');
SELECT * FROM pg_temp.send('e', '{pe1,raise-XX000,pe3}');
SELECT * FROM pg_temp.send('e', '{pe1,raise-55P03,pe3}');
SELECT count(*) FROM erp_webhook.event JOIN erp_webhook.source USING (company_id, source_id) WHERE name = 'poison-shop' AND external_id IN ('e1', 'e2', 'e3');
-- But another of class 55 is the event's own.
SELECT n, outcome, sqlstate FROM pg_temp.send('f', '{pf1,raise-55006,pf3}');
DROP TRIGGER poison_now ON erp_webhook.event;
DROP TRIGGER poison_later ON erp_webhook.event;
DROP FUNCTION poison();
