-- Amounts: one strict grammar, from the text of what came; the currency's decimals; what is impossible quarantines.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;

-- One payment of an amount, given as JSON text, under a rule for amounts.
CREATE FUNCTION pg_temp.paid(amount text, currency text, amounts jsonb, kind text DEFAULT 'payment.succeeded')
RETURNS TABLE (amount numeric, currency text, state text, reason text)
LANGUAGE sql AS $$
  SELECT r.amount, r.currency, r.state, r.reason
  FROM erp_webhook.read_body(
    jsonb_build_object('amounts', amounts, 'fields', '{"external_id": "=e", "object_ref": "=p", "amount": "/amount", "currency": "/currency"}'::jsonb),
    jsonb_build_array(jsonb_build_object('kind', kind)), '{}', '{}',
    convert_to(format('{"amount":%s,"currency":"%s"}', $1, $2), 'UTF8')) r
$$;

-- decimal strings
SELECT n, left(given, 26) AS given, r.amount, r.state, r.reason
FROM (VALUES (1, '"10.00"'), (2, '"10"'), (3, '"0010.5"'), (4, '"10.100"'), (5, '"12345678901234567890.12"'), (6, '"0.01"'),
             (11, '"0"'), (12, '"0.00"'),
             (21, '"-10.00"'), (22, '"-0"'), (23, '"-0.00"'),
             (31, '"10.001"'), (32, '"19.999"'), (33, '"0.0000000000000000001"'),
             (41, '"123456789012345678901"'), (42, '"' || repeat('9', 100000) || '"'),
             (51, '"1e3"'), (52, '"1E3"'), (53, '"NaN"'), (54, '"Infinity"'), (55, '"0x10"'), (56, '"+10.00"'), (57, '"10,00"'),
             (58, '"1,000.00"'), (59, '" 10.00"'), (60, '"10.00 "'), (61, '"10."'), (62, '".5"'), (63, '"."'), (64, '"-"'),
             (65, '"1.2.3"'), (66, '"10 00"'), (67, '"1_000"'), (68, '"١٠"'), (69, '"$10"'), (70, '"--1"'), (71, '"10-"'),
             (81, '10.00'), (82, 'true'), (83, '{"value":"10.00"}'), (84, '["10.00"]'),
             (91, 'null'), (92, '""')) AS t (n, given),
     pg_temp.paid(given, 'EUR', '{"type": "string"}') r
ORDER BY n;

-- JSON numbers are taken from their literal, not through a float
SELECT n, given, r.amount, r.state, r.reason
FROM (VALUES (1, '10.00'), (2, '0.1'), (3, '12345678901234567890.12'), (11, '1e400'), (12, '1E2'), (13, '-0'), (14, '-5'), (15, '19.999'),
             (16, '0.1000000000000000055511151231257827'), (17, '"10.00"')) AS t (n, given),
     pg_temp.paid(given, 'EUR', '{"type": "number"}') r
ORDER BY n;

-- minor units: the currency's own digits, or the provider's where they differ
SELECT n, given, r.currency, r.amount, r.state, r.reason
FROM (VALUES (1, '12345', 'eur'), (2, '5', 'EUR'), (3, '5000', 'jpy'), (4, '5120', 'KWD'), (5, '150000', 'ISK'), (6, '150050', 'ISK'),
             (7, '1.5', 'EUR'), (8, '100.0', 'EUR'), (9, '12345678901234567890123', 'EUR'), (10, '12345', 'CLF')) AS t (n, given, currency),
     pg_temp.paid(given, t.currency, '{"unit": "minor", "type": "number", "exponents": {"ISK": 2}}') r
ORDER BY n;

-- decimals are the currency's, whatever the provider writes; a currency of the provider's own brings its digits
SELECT n, r.currency, r.amount, r.state, r.reason
FROM (VALUES (1, '"10.5"', 'JPY'), (2, '"10.0"', 'JPY'), (3, '"1.234"', 'BHD'), (4, '"0.00000001"', 'BTC'), (5, '"1.00"', 'EU'), (6, '"1.00"', 'EUR '),
             (7, '"1.00"', '')) AS t (n, given, currency),
     pg_temp.paid(given, t.currency, '{"digits": {"BTC": 8}}') r
ORDER BY n;

-- only a payout may be negative; what asserts no money may be zero, but not impossible
SELECT kind, given, r.amount, r.state, r.reason
FROM unnest(ARRAY['payout.paid', 'payment.failed', 'dispute.opened', 'refund.succeeded', 'other']) AS kind,
     unnest(ARRAY['"-5.00"', '"0"', '"x"']) AS given,
     pg_temp.paid(given, 'EUR', '{}', kind) r;

-- signs turn, and fees add up, only where a row says so; a fee's currency may be its own
SELECT amount, fee, fee_currency, state, reason
FROM (VALUES ('{"a": "-10.00", "fees": [{"v": "0.30"}, {"v": "1.25"}]}'), ('{"a": "10.00", "fees": []}'), ('{"a": "-10.00", "fees": [{"v": "0.30"}, {"v": "1.2x"}]}'),
             ('{"a": "-10.00", "fees": [{"v": "-0.30"}]}')) AS t (body),
     erp_webhook.read_body('{"fields": {"object_ref": "=p", "amount": {"of": "/a", "negate": true}, "currency": "=EUR", "fee": {"sum": "/fees/*/v"}, "fee_currency": "=USD"}}',
                           '[{"kind": "payment.succeeded"}]', '{}', '{}', convert_to(body, 'UTF8'));

-- money whose amount the provider never sends waits for it; what it should have sent is missing
SELECT state, reason FROM erp_webhook.read_body('{"fields": {"object_ref": "/id"}}', '[{"kind": "payment.succeeded"}]', '{}', '{}', '{"id":"p"}');
SELECT state, reason FROM erp_webhook.read_body('{"thin": true, "fields": {"object_ref": "/id", "amount": "/a"}}', '[{"kind": "payment.succeeded"}]', '{}', '{}', '{"id":"p"}');
SELECT state, reason FROM erp_webhook.read_body('{"fields": {"object_ref": "/id", "amount": "/a"}}', '[{"kind": "payment.succeeded"}]', '{}', '{}', '{"id":"p"}');
SELECT state, reason FROM erp_webhook.read_body('{"fields": {"amount": "/a", "currency": "=EUR"}}', '[{"kind": "payment.succeeded"}]', '{}', '{}', '{"a":"1.00"}');

-- what an unauthenticated body says waits, if it would have an effect
SELECT kind, state, reason
FROM unnest(ARRAY['payment.succeeded', 'payment.failed', 'other']) AS k,
     erp_webhook.read_body('{"fields": {"object_ref": "=p", "amount": "=1.00", "currency": "=EUR"}}', jsonb_build_array(jsonb_build_object('kind', k)), '{}', '{}', '{}', trust => 'confirm');

-- minor units are rows: a user's own goes before what a provider's file says, and a currency of one's own has its digits
BEGIN;
INSERT INTO erp_webhook.provider_currency (provider, currency, digits) VALUES ('stripe', 'HUF', 0), ('stripe', 'ISK', 0), ('*', 'XTS', 3);
SELECT c, r.amount, r.reason
FROM unnest(ARRAY['huf', 'isk', 'ugx', 'xts', 'eur']) AS c,
     erp_webhook.read_body(erp_webhook.provider_reading('stripe'), erp_webhook.provider_events('stripe'), '{}', '{}',
       convert_to(format('{"id":"e","type":"payment_intent.succeeded","data":{"object":{"id":"p","amount":150000,"currency":"%s"}}}', c), 'UTF8')) r;
ROLLBACK;
