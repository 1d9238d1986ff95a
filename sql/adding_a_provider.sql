-- The example of docs/adding-a-provider.md, step by step (test/documents.t sees that they are the same).
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET TimeZone = 'UTC';

-- the provider: how it signs, where its events say what
INSERT INTO erp_webhook.provider (provider, scheme, reading) VALUES ('kadepay',
  '{"alg": "hmac-sha256", "key": "utf8", "sig": {"from": "header:kadepay-signature", "enc": "hex"}, "msg": "{body}"}',
  '{"type": "/name",
    "amounts": {"unit": "major", "type": "string"},
    "fields": {"external_id": "/event", "occurred_at": "/at"},
    "sets": {"charge": {"object_ref": "/charge/ref", "payment_ref": "/charge/ref", "amount": "/charge/gross", "currency": "/charge/cur",
                        "fee": "/charge/cost", "account_ref": "/charge/payer",
                        "correlation": "/charge/invoices/*/no", "correlation_amounts": "/charge/invoices/*/part"}}}');

-- its events: the first row that holds says what an event is
INSERT INTO erp_webhook.provider_event (provider, ordinal, match, kind, fields) VALUES
  ('kadepay', 1, '{"type": "charge.done", "/charge/result": "paid"}', 'payment.succeeded', '{"use": "charge"}'),
  ('kadepay', 2, '{"type": "charge.done"}', 'payment.failed', '{"use": "charge", "fee": null}'),
  ('kadepay', 3, '{"type": "refund.done"}', 'refund.succeeded',
   '{"object_ref": "/refund/ref", "payment_ref": {"of": "/refund/charge_url", "take": "/charges/{word}"}, "amount": "/refund/value", "currency": "/refund/cur"}');

-- try it on a body, before anything is configured
SELECT external_id, kind, state, reason, object_ref, amount, currency, fee, correlation, correlation_amounts
FROM erp_webhook.provider p,
     erp_webhook.read_body(p.reading, erp_webhook.provider_events('kadepay'), '{}', '{}',
       '{"event": "e-1", "name": "charge.done", "at": 1760000400,
         "charge": {"ref": "c-1", "result": "paid", "gross": "60.00", "cur": "EUR", "cost": "1.20", "payer": "K-7",
                    "invoices": [{"no": "KP-1", "part": "40.00"}, {"no": "KP-2", "part": "20.00"}]}}')
WHERE p.provider = 'kadepay';

-- a company, its customer and invoices, and a source with its secret
SELECT erp_webhook.add_company('Kade Wholesale', 'EUR') AS company \gset
INSERT INTO erp_webhook.account (company_id, account_no, name, currency) VALUES (:company, 'K-1', 'A customer', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT company_id, number, account_id, 'EUR', total, '2025-11-01'
FROM erp_webhook.account, (VALUES ('KP-1', 40.00), ('KP-2', 50.00)) AS i (number, total)
WHERE company_id = :company;
SELECT erp_webhook.add_source('kadepay-shop', 'kadepay', 'Kade Wholesale') > 0 AS added,
       erp_webhook.add_secret('kadepay-shop', 'a-long-enough-secret-of-ours') > 0 AS secured;

-- a payment, signed as kadepay would sign it, and a refund of it
CREATE FUNCTION pg_temp.deliver(body text) RETURNS TABLE (outcome text, http_status int, events int) LANGUAGE sql AS $$
  SELECT outcome, http_status, events
  FROM erp_webhook.ingest('kadepay-shop', erp_webhook.sign('kadepay-shop', convert_to(body, 'UTF8')), convert_to(body, 'UTF8'))
$$;
SELECT * FROM pg_temp.deliver('{"event": "e-1", "name": "charge.done", "at": 1760000400,
  "charge": {"ref": "c-1", "result": "paid", "gross": "60.00", "cur": "EUR", "cost": "1.20", "payer": "K-7",
             "invoices": [{"no": "KP-1", "part": "40.00"}, {"no": "KP-2", "part": "20.00"}]}}');
SELECT * FROM pg_temp.deliver('{"event": "e-2", "name": "refund.done", "at": 1760000500,
  "refund": {"ref": "r-1", "charge_url": "https://api.kadepay.example/v1/charges/c-1", "value": "5.00", "cur": "EUR"}}');

-- the books
SELECT number, total, paid, credited, state FROM erp_webhook.invoice WHERE company_id = :company ORDER BY number;
SELECT ledger_account, currency, balance FROM erp_webhook.ledger_balance WHERE company_id = :company ORDER BY 1;

-- the same again changes nothing; a type no row knows is kept; an impossible amount is kept apart
SELECT * FROM pg_temp.deliver('{"event": "e-2", "name": "refund.done", "at": 1760000500,
  "refund": {"ref": "r-1", "charge_url": "https://api.kadepay.example/v1/charges/c-1", "value": "5.00", "cur": "EUR"}}');
SELECT * FROM pg_temp.deliver('{"event": "e-3", "name": "terminal.opened", "at": 1760000600}');
SELECT * FROM pg_temp.deliver('{"event": "e-4", "name": "charge.done", "at": 1760000700, "charge": {"ref": "c-2", "result": "paid", "gross": "1e3", "cur": "EUR"}}');
SELECT kind, reason, external_id FROM erp_webhook.exceptions WHERE company_id = :company ORDER BY 1;

-- a mapping that is not well made is refused where it is stored or first used, never half applied
SELECT erp_webhook.read_body('{"fields": {"amout": "/x"}}', '[]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{}', '[{"match": {"/a": {"like": "x"}}, "kind": "other"}]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{}', '[{"kind": "payment.done"}]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{"fields": {"amount": ["/a", {"sum": "/b"}]}}', '[]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{"fields": {"object_ref": {"of": "/a", "negate": true}}}', '[]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{"fields": {"amount": {"of": "/a", "tkae": "x"}}}', '[]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{"fields": {"amount": "a/b"}}', '[]', '{}', '{}', '{}');
SELECT erp_webhook.read_body('{"fields": {"object_ref": "{/a"}}', '[]', '{}', '{}', '{}');
