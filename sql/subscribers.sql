-- Who is told of what, and what comes back when it did not arrive. Deliveries themselves: test/worker.t.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
\set VERBOSITY terse
SET search_path = erp_webhook;
SELECT add_company('told', 'EUR') AS told \gset

-- Only https, no credentials, no odd port; loopback and plain http where an administrator lists them.
SELECT url, url_refused(url) FROM (VALUES (1, 'https://hook.example/in'), (2, 'http://hook.example/in'), (3, 'https://user:pw@hook.example/'),
  (4, 'https://hook.example:8443/'), (5, 'ftp://hook.example/'), (6, 'file:///etc/passwd'), (7, '/in'), (8, E'https://hook.example/\r\nx: y')) u(n, url) ORDER BY n;
SELECT a, address_refused(a::inet, 443) FROM (VALUES (1, '93.184.216.34'), (2, '2606:2800:220:1::1'), (3, '10.0.0.1'), (4, '172.31.255.255'), (5, '172.32.0.1'),
  (6, '192.168.1.1'), (7, '127.0.0.1'), (8, '0.0.0.0'), (9, '169.254.169.254'), (10, '100.64.0.1'), (11, '198.18.0.1'), (12, '224.0.0.1'), (13, '255.255.255.255'),
  (14, '::1'), (15, '::'), (16, '::ffff:10.0.0.1'), (17, '64:ff9b::a00:1'), (18, '64:ff9b:1::1'), (19, 'fd00::1'), (20, 'fe80::1'), (21, 'ff02::1'), (22, '2002:a00:1::'),
  (23, '2001:0:1::1'), (24, '2001:db8::1'), (25, '::10.0.0.1')) v(n, a) ORDER BY n;
SET erp_webhook.allowed_addresses = '127.0.0.1:8443, [fd00::/8]:443, 10.1.0.0/16';
SELECT a, port, http, address_refused(a::inet, port, http) FROM (VALUES (1, '127.0.0.1', 8443, true), (2, '127.0.0.1', 8444, true), (3, '127.0.0.2', 8443, false),
  (4, 'fd12::1', 443, false), (5, 'fd12::1', 443, true), (6, '10.1.2.3', 443, false), (7, '10.1.2.3', 8443, false), (8, '10.2.0.1', 443, false)) v(n, a, port, http) ORDER BY n;
SET erp_webhook.allowed_addresses = '10.0.0.0/33';
RESET erp_webhook.allowed_addresses;
SET erp_webhook.allowed_ports = '443, http';

SELECT add_subscriber('plain', 'http://hook.example/in', company => 'told');
SELECT add_subscriber('weak', 'https://hook.example/in', secret => 'whsec_c2hvcnQ=', company => 'told');
SELECT add_subscriber('channel', 'notify:DROP TABLE x', company => 'told');
SELECT add_subscriber('crm', 'https://hook.example/in', '{invoice.*, account.suspended}', 'whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB', 'told') > 0 AS added;
SELECT add_subscriber('crm', 'https://hook.example/again', company => 'told');
SELECT add_subscriber('all', 'https://all.example/', company => 'told') > 0 AS added;
SELECT add_subscriber('nobody', 'https://x.example/', company => 'no such company');

SELECT cardinality(notify_all(:told, '{invoice.paid,refund.succeeded,account.suspended}', '{invoice,refund,account}', '{INV-1,re_1,C-1}', NULL)) AS messages;
SELECT subscriber, kind, object_ref, state FROM outbox WHERE company_id = :told ORDER BY subscriber, message_id;

-- Facts that somebody should hear of, and invoices that become paid, are told by themselves.
SELECT add_source('told-shop', 'generic', 'told') > 0 AS added;
SELECT add_secret('told-shop', 'whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB') > 0 AS added;
INSERT INTO account (company_id, account_no, name, currency) VALUES (:told, 'C-1', 'C-1', 'EUR') RETURNING account_id AS account \gset
INSERT INTO invoice (company_id, number, account_id, currency, total, due_on) VALUES (:told, 'INV-1', :account, 'EUR', 10, '2025-11-01');
SELECT outcome FROM (VALUES (1, 'payment.succeeded', 'p1', '10.00'), (2, 'refund.succeeded', 'r1', '4.00'), (3, 'payout.scheduled', 'po1', '6.00'), (4, 'payment.succeeded', 'p2', '1.005')) e(n, kind, id, amount),
  LATERAL (SELECT convert_to(jsonb_build_object('type', kind, 'timestamp', '2025-10-09T09:00:00Z', 'data', jsonb_build_object('id', id, 'payment_id', 'p1', 'amount', amount, 'currency', 'EUR', 'invoice_number', 'INV-1'))::text, 'UTF8') AS body) b,
  LATERAL ingest('told-shop', sign('told-shop', body, headers => jsonb_build_object('webhook-id', 'told_' || n)), body) ORDER BY n;
SELECT kind, object, CASE WHEN object <> 'event' THEN object_ref END AS object_ref FROM message WHERE company_id = :told AND payload <> '{}' ORDER BY message_id;
-- An account suspended and restored, a payment that failed: in the transaction that caused them, and none if it is undone.
SELECT max(message_id) AS last FROM message WHERE company_id = :told \gset
CREATE FUNCTION pg_temp.tell(kind text, id text, at text DEFAULT '2025-10-09T10:00:00Z') RETURNS text LANGUAGE sql AS $$
  SELECT outcome FROM (SELECT convert_to(jsonb_build_object('type', kind, 'timestamp', at, 'data', jsonb_build_object('id', id, 'payment_id', id, 'amount', '1.00', 'currency', 'EUR',
    'subscription_id', 'sub-1', 'customer', 'cus-1'))::text, 'UTF8') AS body) b, LATERAL erp_webhook.ingest('told-shop', erp_webhook.sign('told-shop', body, headers => jsonb_build_object('webhook-id', id)), body)
$$;
SELECT link_account('told-shop', 'cus-1', 'C-1');
BEGIN;
SELECT pg_temp.tell('subscription.payment_failed', 'undone');
SELECT kind, object_ref FROM message WHERE company_id = :told AND message_id > :last ORDER BY message_id;
ROLLBACK;
SELECT pg_temp.tell('subscription.payment_failed', 'f1'), pg_temp.tell('payment.failed', 'f2'), pg_temp.tell('subscription.recovered', 'f3', '2025-10-09T11:00:00Z');
SELECT kind, object, object_ref FROM message WHERE company_id = :told AND message_id > :last ORDER BY message_id;
-- What failed at first is told when it is settled after all.
SELECT max(message_id) AS last FROM message WHERE company_id = :told \gset
INSERT INTO event (company_id, source_id, external_id, kind, state, received_at, object_ref, payment_ref, amount, currency, sqlstate, error)
  SELECT company_id, source_id, 'late', 'refund.succeeded', 'failed', now(), 'r-late', 'p1', 1, 'EUR', 'P0001', 'the ERP was closed' FROM source WHERE name = 'told-shop';
SELECT retry_failed('told');
SELECT kind, object, object_ref FROM message WHERE company_id = :told AND message_id > :last ORDER BY message_id;

-- A message comes back under its own id, to who asked for its kind or to the one named; what is under way is left alone.
SELECT min(message_id) AS first FROM message WHERE company_id = :told \gset
SELECT resend(:first, company => 'told') AS under_way;
UPDATE dispatch SET state = 'dead' WHERE company_id = :told;
SELECT resend(:first, company => 'told') AS both, resend(:first, 'crm', 'told') AS under_way, resend(0, company => 'told') AS unknown;
SELECT disable_subscriber('all', 'moved', 'told');
SELECT subscriber, state, reason, open > 0 AS open FROM subscriber_health WHERE company_id = :told ORDER BY 1;
SELECT resend(:first, 'all', 'told') AS disabled;
SELECT enable_subscriber('all', 'told');
SELECT resend(:first, 'all', 'told') AS enabled;
SELECT rotate_subscriber_secret('crm', company => 'told') ~ '^whsec_[A-Za-z0-9+/]{43}=$' AS handed_out;
SELECT count(*), count(*) FILTER (WHERE upper_inf(valid)) AS for_ever FROM subscriber_secret WHERE company_id = :told AND subscriber_id = (SELECT subscriber_id FROM subscriber WHERE company_id = :told AND name = 'crm');
SELECT remove_subscriber('crm', 'told'), remove_subscriber('all', 'told');
SELECT count(*) FROM outbox WHERE company_id = :told;
SELECT enable_subscriber('crm', 'told');
