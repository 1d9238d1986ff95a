-- Forms, XML, JWTs and documents inside documents, addressed by the same pointers.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;

-- What stands at one pointer of a body: the event's object_ref, or why there is none.
CREATE FUNCTION pg_temp.at(reading jsonb, pointer text, body text, url text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
  SELECT coalesce(r.object_ref, r.reason, '-')
  FROM erp_webhook.read_body(reading || jsonb_build_object('fields', jsonb_build_object('object_ref', pointer)), '[]', '{}', '{}', convert_to(body, 'UTF8'), url => url) r
$$;

-- forms: percent and plus, order, empty values, names with escapes
SELECT n, pg_temp.at('{"format": "form"}', pointer, body)
FROM (VALUES (1, '/a', 'a=1&b=2'), (2, '/b', 'a=1&b=x+y%20z%2Bw'), (3, '/é', '%C3%A9=ok'), (4, '/a', 'a'), (5, '/a', 'a='), (6, '/a', 'a=1=2'),
             (7, '/a', '&&a=1&'), (8, '/data.id', 'data.id=7'), (9, '/~1x', '/x=1'),
             (11, '/a', 'a=1&a=2'), (12, '/b', 'a=1&a=2&b=3'), (13, '/a', 'a=1&%61=2'),
             (21, '/a', 'a=%4'), (22, '/a', 'a=%zz'), (23, '/a', 'a=%ff'), (24, '/a', 'a=%00'), (25, '/a', 'b=%00&a=1'), (26, '/a', ''), (27, '/a', 'a=%dc&b=%b0')) AS t (n, pointer, body)
ORDER BY n;

-- a GET notification: the query of the URL, where there is no body
SELECT pg_temp.at('{"format": "query"}', '/id', '', 'https://x.example/hooks/n?id=7&s=ok'), pg_temp.at('{"format": "query"}', '/id', 'id=8', 'https://x.example/?id=7'),
       pg_temp.at('{"format": "query"}', '/id', '', 'https://x.example/');

-- XML: elements, attributes, repeated elements by index, entities and CDATA, comments, namespaces
SELECT n, pg_temp.at('{"format": "xml"}', pointer, '<?xml version="1.0" encoding="UTF-8"?><n:a xmlns:n="urn:x" v="1"><b t="date">x &amp; &#252;</b><c><i>1</i><i>2</i></c><d nil="true"/><e><![CDATA[<z>]]></e><f>4<!-- -->2</f></n:a>')
FROM (VALUES (1, '/a/b'), (2, '/a/@v'), (3, '/a/b/@t'), (4, '/a/c/i/0'), (5, '/a/c/i/1'), (6, '/a/c/i/2'), (7, '/a/b/0'), (8, '/a/d'), (9, '/a/d/@nil'), (10, '/a/e'), (11, '/a/f'),
             (21, '/a/c/i'), (22, '/a/c'), (23, '/n:a/b')) AS t (n, pointer)
ORDER BY n;

-- nothing is defined or fetched in a body; what is not well-formed, too deep or not UTF-8 is not read
SELECT n, pg_temp.at('{"format": "xml"}', '/a', body)
FROM (VALUES (1, '<a>1</a>'), (2, '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'), (3, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>1</a>'), (4, '<a>&x;</a>'), (5, '<a>1'), (6, '<a>1</b>'),
             (7, '<a>1</a><a>2</a>'), (8, ''), (9, '{"a":1}'), (10, repeat('<a>', 70) || repeat('</a>', 70)), (11, repeat('<a>', 100000)), (12, '<a>&#0;</a>'),
             (13, '<?xml version="1.0" encoding="UTF-16"?><a>1</a>'), (14, '<a x="1" x="2">1</a>')) AS t (n, body)
ORDER BY n;

-- a JWT's payload; the signature is proof's
SELECT n, pg_temp.at('{"format": "jwt"}', '/jti', body)
FROM (VALUES (1, 'eyJhbGciOiJQUzI1NiJ9.eyJqdGkiOiJrMSJ9.c2ln'), (2, 'eyJhbGciOiJQUzI1NiJ9.eyJqdGkiOiJrMSJ9'), (3, 'a.b=.c'), (4, 'a..c'), (5, '')) AS t (n, body)
ORDER BY n;

-- a document inside a member: as text, and in base64 with line breaks; what stands outside is reached by body:
SELECT pg_temp.at('{"unwrap": [{"at": "/data", "format": "json"}]}', pointer, '{"id":"o1","data":"{\"id\":\"i1\",\"s\":\"\\u00e9\"}"}')
FROM unnest(ARRAY['/id', '/s', 'body:/id']) AS pointer;
SELECT n, pg_temp.at('{"format": "form", "unwrap": [{"at": "/p", "decode": "base64", "format": "xml"}]}', pointer, body)
FROM (VALUES (1, '/a/b', 'p=PGE%2BPGI%2B%0AMTwvYj48L2E%2B%0A'), (2, 'body:/s', 's=7&p=PGE%2BPGI%2BMTwvYj48L2E%2B'), (3, '/a/b', 'p=PGE*'), (4, '/a/b', 'p=PGE%2BPGI%2BMTwvYj48L2E'), (5, '/a/b', 'q=1')) AS t (n, pointer, body)
ORDER BY n;
SELECT pg_temp.at('{"unwrap": [{"at": "/data", "format": "json"}]}', '/id', body) FROM unnest(ARRAY['{"data":{"id":"x"}}', '{"data":"{"}', '{"data":"\ud83d"}', '{"data":"{}","data":"{}"}', '{"id":"flat"}']) AS body;
