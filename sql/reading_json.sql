-- A body that is not exactly one readable JSON text is kept and quarantined, never mis-read; never an error.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET TimeZone = 'UTC';

CREATE FUNCTION pg_temp.read(body bytea) RETURNS TABLE (kind text, state text, reason text, object_ref text, amount numeric)
LANGUAGE sql AS $$
  SELECT kind, state, reason, object_ref, amount
  FROM erp_webhook.read_body(
    '{"type": "/type", "fields": {"external_id": "/id", "object_ref": "/ref", "amount": "/amount", "currency": "=EUR"}}',
    '[{"match": {"type": "paid"}, "kind": "payment.succeeded"}]', '{}', '{}', body)
$$;
CREATE FUNCTION pg_temp.read(body text) RETURNS TABLE (kind text, state text, reason text, object_ref text, amount numeric)
LANGUAGE sql AS $$ SELECT * FROM pg_temp.read(convert_to(body, 'UTF8')) $$;

-- what is read, for comparison
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"p1","amount":"10.00"}');
SELECT * FROM pg_temp.read(' {"\u0074ype":"pa\u0069d","id":"e","ref":"Z\u00fcrich \ud83d\ude00 \"\\\/\n","amount":"10.00"} ');

-- a key twice: on a path that is used, beside it, once spelled with an escape, and as the type
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"p1","amount":"10.00","amount":"1.00"}');
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"p1","amount":"10.00","x":1,"x":2}');
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"p1","amount":"10.00","\u0061mount":"1.00"}');
SELECT * FROM pg_temp.read('{"type":"paid","type":"failed","id":"e","ref":"p1","amount":"10.00"}');

-- strings that hold no text, used and not used
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"a\ud83d","amount":"10.00"}');
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"a\ude00\ud83d","amount":"10.00"}');
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"a\ud83d\u0041","amount":"10.00"}');
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"a\u0000b","amount":"10.00"}');
SELECT * FROM pg_temp.read('{"type":"paid","id":"e","ref":"p1","amount":"10.00","x":"\u0000\ud83d","\udc00":1}');

-- 64 levels are read, 65 are too deep, a bomb is too deep
SELECT depth, r.*
FROM (VALUES (62), (63), (64), (100000)) AS d (depth),
     pg_temp.read('{"type":"paid","id":"e","ref":"p1","amount":"10.00","x":' || repeat('[', depth) || repeat(']', depth) || '}') r;
SELECT * FROM pg_temp.read(repeat('{"a":', 100000));

-- not JSON
SELECT n, r.state, r.reason
FROM (VALUES (1, ''), (2, ' '), (3, '{'), (4, '{"type":"paid"'), (5, '{"type":"paid"} x'), (6, '{"type":"paid"}{}'),
             (7, '{"type":"paid",}'), (8, '{"type" "paid"}'), (9, '{"type":}'), (10, '[1,]'), (11, '{paid}'),
             (12, '{''type'':"paid"}'), (13, '{"a":01}'), (14, '{"a":+1}'), (15, '{"a":.5}'), (16, '{"a":NaN}'),
             (17, '{"a":"\x41"}'), (18, '{"a":"\u12"}'), (19, E'{"a":"\t"}'), (20, '{"a":tru}'), (21, ']'), (22, '{"a":1]'),
             (23, '{"a":1 "b":2}'), (24, '[1 2]'), (25, ','), (26, '{"a":1,,"b":2}'), (27, '{1:2}')) AS b (n, body),
     pg_temp.read(body) r
ORDER BY n;

-- byte order mark, invalid UTF-8 (stray, overlong, surrogate, beyond Unicode), a NUL byte, UTF-16
SELECT n, r.state, r.reason
FROM (VALUES (1, '\xefbbbf7b7d'::bytea), (2, '\x7b2261223a22ff227d'), (3, '\x7b2261223a22c0af227d'),
             (4, '\x7b2261223a22eda080227d'), (5, '\x7b2261223a22f4908080227d'), (6, '\x7b7d00'), (7, '\xff7b007d00')) AS b (n, body),
     pg_temp.read(body) r
ORDER BY n;

-- a body that is a single value or an array has no members
SELECT n, r.kind, r.state, r.reason FROM (VALUES (1, '"x"'), (2, '1e400'), (3, 'null'), (4, '[]'), (5, '{}')) AS b (n, body), pg_temp.read(body) r ORDER BY n;

-- the id of what has none is made of the bytes: the same for the same bytes
SELECT count(DISTINCT external_id), min(external_id) ~ '^sha256:[0-9a-f]{64}$' AS shape
FROM (VALUES ('{'), ('{'), ('[')) AS b (body), erp_webhook.read_body('{}', '[]', '{}', '{}', convert_to(body, 'UTF8'));
