-- The mapping language (docs/adding-a-provider.md), one construct at a time.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET TimeZone = 'UTC';

-- What an expression makes of a body.
CREATE FUNCTION pg_temp.value(expression jsonb, body text, settings jsonb DEFAULT '{}', headers jsonb DEFAULT '{}') RETURNS text
LANGUAGE sql AS $$
  SELECT coalesce(r.object_ref, r.reason, '-')
  FROM erp_webhook.read_body(jsonb_build_object('fields', jsonb_build_object('object_ref', expression)), '[]', settings, headers, convert_to(body, 'UTF8')) r
$$;

-- pointers (RFC 6901) and the two steps of ours
SELECT n, pg_temp.value(to_jsonb(e), '{"a":{"b":[10,{"c":"x"},[true]],"":"empty","m~n":"t","p/q":"s","0":"zero"},"l":[{"k":"r","v":1},{"k":"s","v":2},{"k":"s","v":3}],"big":6289470000000000123,"nul":null}')
FROM (VALUES (1, '/a/b/0'), (2, '/a/b/1/c'), (3, '/a/b/2/0'), (4, '/a/'), (5, '/a/m~0n'), (6, '/a/p~1q'), (7, '/a/0'), (8, '/a/b/00'), (9, '/a/b/9'), (10, '/nul'), (11, '/big'), (12, '/a'),
             (21, '/l/[k=s]/v'), (22, '/l/*/v'), (23, '/l/*[k=s]/v'), (24, '/l/[k=z]/v'), (25, '/a/[b=1]')) AS t (n, e)
ORDER BY n;

-- alternatives, constants, headers, settings, templates with parts that may be missing
SELECT n, pg_temp.value(e, '{"a":"A","o":{"id":"O"},"e":""}', '{"shop":"S"}', '{"X-Id":"H"}')
FROM (VALUES (1, '["/x", "/e", "/a"]'::jsonb), (2, '["/o", "/o/id"]'), (3, '"=const"'), (4, '"header:x-id"'), (5, '"header:X-ID"'), (6, '"setting:shop"'), (7, '"{/a}-{header:x-id}"'),
             (8, '"{/a}:{/x}"'), (9, '"{/a}:{/x?}:{setting:shop}"'), (10, '["{/x}", "=else"]'), (11, '"header:none"')) AS t (n, e)
ORDER BY n;
SELECT pg_temp.value('"header:x-id"', '{}', '{}', '{"x-id":["a","b"]}'), pg_temp.value('"header:x-id"', '{}', '{}', '{"x-id":"a","X-ID":"a"}');
SELECT pg_temp.value('"header:x-id"', '{}', '{}', '{"x-id":["a"]}');

-- operations on texts: case, map, and patterns with one hole
SELECT n, pg_temp.value(e, '{"c":"eur","t":"TL","u":"https://api.example/v2/captures/42-A_b?x=1","r":"Order 7, INV-12 and INV-13."}')
FROM (VALUES (1, '{"of": "/c", "upper": true}'::jsonb), (2, '{"of": "=ABC", "lower": true}'), (3, '{"of": "/t", "map": {"TL": "TRY"}}'), (4, '{"of": "/c", "map": {"TL": "TRY"}}'),
             (5, '{"of": "/u", "take": "/captures/{word}"}'), (6, '{"of": "/u", "take": "//{}/v2"}'), (7, '{"of": "/u", "take": "x={}"}'), (8, '{"of": "/u", "take": "y={}"}'),
             (9, '{"of": "/r", "take": "INV-{digits}"}'), (10, '{"of": "/r", "find": "INV-{digits}"}'), (11, '{"of": "/r", "take": "Order {digits},"}'), (12, '{"of": "/r", "take": "Order {digits}."}')) AS t (n, e)
ORDER BY n;

-- references: all of several pointers, lists, every match of a pattern, the merchant's own pointers first, each once
SELECT n, correlation, correlation_amounts, reason
FROM (VALUES (1, '{"correlation": {"all": ["/a", "/l", "/a"]}}'::jsonb, '{}'::jsonb), (2, '{"correlation": ["/x", "/l"]}', '{}'), (3, '{"correlation": {"of": "/r", "find": "INV-{digits}"}}', '{}'),
             (4, '{"correlation": "/a"}', '{"correlation": ["/m/po", "/l"]}'), (8, '{"correlation": "/a"}', '{"correlation": "/m/po"}'), (9, '{"correlation": "/a"}', '{"correlation": ["m", 7, "/none"]}'), (5, '{"correlation": "/i/*/n", "correlation_amounts": "/i/*/v"}', '{"correlation": ["/a"]}'),
             (6, '{"correlation": "/i/*/n", "correlation_amounts": "/i/0/v"}', '{}'), (7, '{"correlation": "/i/*/n", "correlation_amounts": "/j/*/v"}', '{}')) AS t (n, f, s),
     erp_webhook.read_body(jsonb_build_object('fields', f || '{"object_ref": "=p", "amount": "=1.00", "currency": "=EUR"}'), '[{"kind": "payment.succeeded"}]', s, '{}',
       '{"a":"A","l":["L1","L2",null,""],"r":"INV-1, INV-22; INV-","m":{"po":"PO"},"i":[{"n":"I1","v":"0.40"},{"n":"I2","v":"0.60"}],"j":[{"v":"1.00"},{"v":"1.001"}]}') r
ORDER BY n;

-- a thousand references are many, more are none; what is too long names nothing
SELECT n, cardinality(correlation) AS refs, length(object_ref) AS length, state, reason
FROM unnest(ARRAY[999, 1000, 1001]) AS n,
     erp_webhook.read_body('{"fields": {"object_ref": "=p", "amount": "=1.00", "currency": "=EUR", "correlation": "/l"}}', '[{"kind": "payment.succeeded"}]', '{}', '{}',
       convert_to((SELECT json_build_object('l', json_agg(i::text)) FROM generate_series(1, n) i)::text, 'UTF8')) r
UNION ALL
SELECT n, NULL, length(object_ref), state, reason
FROM unnest(ARRAY[512, 513]) AS n,
     erp_webhook.read_body('{"fields": {"object_ref": "/r", "amount": "=1.00", "currency": "=EUR"}}', '[{"kind": "payment.succeeded"}]', '{}', '{}', convert_to(format('{"r":"%s"}', repeat('x', n)), 'UTF8')) r
ORDER BY n;

-- the first row that holds wins; tests on fields
SELECT n, r.kind, r.state
FROM (VALUES (1, '{"t":"a","s":"ok"}'), (2, '{"t":"a","s":"no"}'), (3, '{"t":"a"}'), (4, '{"t":"b","v":"0.00"}'), (5, '{"t":"b","v":"-1"}'), (6, '{"t":"b","v":"1"}'), (7, '{"t":"pre.x"}'),
             (8, '{"t":"c","x":"1","y":"1"}'), (9, '{"t":"c","x":"1","y":"2"}'), (10, '{"t":"z"}'), (11, '{}'), (12, '{"t":"d","o":{}}'), (13, '{"t":"d","o":null}'), (14, '{"t":"e","n":3,"b":true}')) AS t (n, body),
     erp_webhook.read_body('{"type": "/t", "fields": {"object_ref": "=p"}}',
       '[{"match": {"type": "a", "/s": ["ok", "yes"]}, "kind": "payment.failed"}, {"match": {"type": "a", "/s": {"exists": true}}, "kind": "payment.pending"}, {"match": {"type": "a"}, "kind": "payment.linked"},
         {"match": {"type": "b", "/v": {"zero": true}}, "kind": "dispute.opened"}, {"match": {"type": "b", "/v": {"negative": true}}, "kind": "dispute.closed"}, {"match": {"type": "b", "/v": {"not": ["2"]}}, "kind": "refund.failed"},
         {"match": {"type": {"prefix": "pre."}}, "kind": "subscription.recovered"}, {"match": {"type": "c", "/x": {"same_as": "/y"}}, "kind": "payout.scheduled"},
         {"match": {"type": "d", "/o": {"exists": true}}, "kind": "payout.failed"}, {"match": {"type": "e", "/n": "3", "/b": true}, "kind": "subscription.cancelled"}]', '{}', '{}', convert_to(body, 'UTF8')) r
ORDER BY n;

-- batches, and rows that make several facts of one item
SELECT regexp_replace(external_id, 'sha256:.{64}', 'sha256') AS external_id, kind, state, object_ref, payment_ref
FROM erp_webhook.read_body('{"each": "/e/*", "type": "/t", "fields": {"external_id": "/id", "object_ref": "/id"}}',
  '[{"match": {"type": "f"}, "kind": "payment.failed"}, {"match": {"type": "f", "/sub": {"exists": true}}, "kind": "subscription.payment_failed", "fields": {"fact": "sub", "object_ref": "/sub"}},
    {"match": {"type": "r"}, "kind": "refund.failed", "fields": {"each": "/l/*[ok=yes]", "object_ref": "/n", "payment_ref": "{item:/id}/{root:/top}"}}]', '{}', '{}',
  '{"top":"T","e":[{"id":"1","t":"f"},{"id":"2","t":"f","sub":"S"},{"id":"3","t":"r","l":[{"n":"a","ok":"yes"},{"n":"b"},{"n":"c","ok":"yes"}]},{"t":"?"},{"id":"5","t":"f","id":"6"}]}');
SELECT kind, state, reason FROM unnest(ARRAY['{"e":[]}', '{}', '{"e":{}}', '{"e":[],"e":[]}']) AS body, erp_webhook.read_body('{"each": "/e/*"}', '[]', '{}', '{}', convert_to(body, 'UTF8'));

-- times: seconds, milliseconds, ISO with fraction and offset, a fixed zone; what is no time is none
SELECT n, given, r.occurred_at, r.value_date
FROM (VALUES (1, '1760000400'), (2, '1760000400123'), (3, '"1760000400"'), (4, '"2025-10-09T09:00:00.123456789Z"'), (5, '"2025-10-09T11:00:00+02:00"'), (6, '"2025-10-09T06:00:00.000-0300"'),
             (7, '"2025-10-09 17:00:00"'), (8, '"20251009170000"'), (9, '"2025-10-09"'), (10, '"2025-10-09T17:00"'), (11, '"2024-02-29T00:00:00Z"'), (12, '"2025-12-31T23:59:60Z"'),
             (21, '"2025-02-29T00:00:00Z"'), (22, '"2025-13-01"'), (23, '"yesterday"'), (24, '"2025-10-09T25:00:00Z"'), (25, '12'), (26, '-1'), (27, '"2025-10-09T09:00:00Zx"'), (28, '1e9'), (29, 'true')) AS t (n, given),
     erp_webhook.read_body('{"zone": "+08:00", "fields": {"occurred_at": "/at", "value_date": "/at"}}', '[]', '{}', '{}', convert_to(format('{"at":%s}', given), 'UTF8')) r
ORDER BY n;

-- the digest tells contents apart, not deliveries: another id or white space is the same, another field is not
SELECT n, digest = first_value(digest) OVER (ORDER BY n) AS same
FROM (VALUES (1, '{"id":"1","ref":"a","to":["x","y"],"at":1760000400}'), (2, ' {"id":"2", "ref":"a", "to":["x","y"], "at":1760000400, "more":1}'), (3, '{"id":"1","ref":"b","to":["x","y"],"at":1760000400}'),
             (4, '{"id":"1","ref":"a","to":["xy"],"at":1760000400}'), (5, '{"id":"1","ref":"a","to":["x","y"],"at":1760000401}'), (6, '{"id":"1","ref":"a","to":["x","y"]}')) AS t (n, body),
     erp_webhook.read_body('{"fields": {"external_id": "/id", "object_ref": "/ref", "correlation": "/to", "occurred_at": "/at"}}', '[]', '{}', '{}', convert_to(body, 'UTF8'))
ORDER BY n;

-- a set of fields that uses itself
\set VERBOSITY sqlstate
SELECT count(*) FROM erp_webhook.read_body('{"sets": {"a": {"use": "a"}}, "fields": {"use": "a"}}', '[]', '{}', '{}', '');
\set VERBOSITY default
