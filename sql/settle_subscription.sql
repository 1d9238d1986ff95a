-- Subscriptions: the latest of failure and success decides; policies; links; messages.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('subs', 'EUR') AS company \gset
SELECT erp_webhook.add_source('subs-shop', 'generic', 'subs') AS source \gset
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-1', 'EUR'), (:company, 'C-2', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on, subscription_ref)
  SELECT :company, 'SUB-' || right(a.account_no, 1), a.account_id, 'EUR', 49, '2025-11-01', 'sub_' || right(a.account_no, 1) FROM erp_webhook.account a WHERE a.company_id = :company;

CREATE FUNCTION pg_temp.tell(kind text, ref text, second numeric, sub text, number text DEFAULT NULL, attempt text DEFAULT NULL, customer text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, subscription_ref, correlation, attempt, account_ref, amount, currency)
  SELECT s.company_id, s.source_id, kind || ref || second, kind, 'applied', timestamptz '2025-10-09 09:00+00' + second * interval '1 second', now(), ref, ref, sub,
         CASE WHEN number IS NOT NULL THEN ARRAY[number] END, attempt, customer, 49, 'EUR'
  FROM erp_webhook.source_name s WHERE s.name = 'subs-shop'
$$;
CREATE VIEW pg_temp.state AS
  SELECT a.account_no, a.state AS account, s.subscription_ref, s.state AS subscription FROM erp_webhook.account a
  LEFT JOIN erp_webhook.subscription_state s ON s.company_id = a.company_id AND s.account_no = a.account_no
  WHERE a.company_id = (SELECT company_id FROM erp_webhook.company WHERE name = 'subs');

-- A failure suspends; a payment of its invoice restores; an older failure that comes late does nothing.
SELECT pg_temp.tell('subscription.payment_failed', 'f1', 100, 'sub_1');
SELECT * FROM pg_temp.state ORDER BY 1, 3;
SELECT pg_temp.tell('payment.succeeded', 'p1', 200, NULL, 'SUB-1');
SELECT pg_temp.tell('subscription.payment_failed', 'f0', 50, 'sub_1');
SELECT * FROM pg_temp.state ORDER BY 1, 3;
-- Cancelling neither suspends nor restores.
SELECT pg_temp.tell('subscription.payment_failed', 'f2', 300, 'sub_1'), pg_temp.tell('subscription.cancelled', 'c', 400, 'sub_1');
SELECT * FROM pg_temp.state ORDER BY 1, 3;
SELECT pg_temp.tell('subscription.recovered', 'c', 500, 'sub_1');
SELECT kind, object, object_ref FROM erp_webhook.message WHERE company_id = :company AND object = 'account' ORDER BY message_id;

-- After n failures: the same attempt told twice is one.
SELECT erp_webhook.set_policy('subs', 'suspend', 'after:2');
SELECT pg_temp.tell('subscription.payment_failed', 'f5', 600, 'sub_2', NULL, 'in_2:1'), pg_temp.tell('subscription.payment_failed', 'f6', 601, 'sub_2', NULL, 'in_2:1');
SELECT * FROM pg_temp.state WHERE account_no = 'C-2';
SELECT pg_temp.tell('subscription.payment_failed', 'f7', 700, 'sub_2', NULL, 'in_2:2');
SELECT * FROM pg_temp.state WHERE account_no = 'C-2';
-- A grace period runs from the first failure and ends by the clock.
SELECT erp_webhook.set_policy('subs', 'suspend', 'grace:1000 years');
SELECT * FROM pg_temp.state WHERE account_no = 'C-2';
SELECT erp_webhook.set_policy('subs', 'suspend', 'grace:7 days');
SELECT * FROM pg_temp.state WHERE account_no = 'C-2';

-- Nobody's subscription waits as an exception until its customer is linked.
SELECT erp_webhook.set_policy('subs', 'suspend', 'immediate');
SELECT pg_temp.tell('subscription.payment_failed', 'f9', 900, 'sub_9', NULL, NULL, 'cus_9');
SELECT kind, object_ref, reason, since FROM erp_webhook.exceptions WHERE company_id = :company;
SELECT erp_webhook.link_account('subs-shop', 'cus_9', 'C-1');
SELECT * FROM pg_temp.state ORDER BY 1, 3;
SELECT kind FROM erp_webhook.exceptions WHERE company_id = :company;

-- Money that comes to its invoice only because that is the oldest names nothing, and restores nobody.
SELECT erp_webhook.set_policy('subs', 'allocate', 'due_date');
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-3', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on, subscription_ref)
  SELECT :company, n, a.account_id, 'EUR', 20, d, s FROM erp_webhook.account a, (VALUES ('SUB-3', date '2025-10-01', 'sub_3'), ('SUB-4', '2025-11-01', NULL)) v (n, d, s)
  WHERE a.company_id = :company AND a.account_no = 'C-3';
SELECT pg_temp.tell('subscription.payment_failed', 'f10', 1000, 'sub_3'), pg_temp.tell('payment.succeeded', 'p10', 1100, NULL, 'SUB-4');
SELECT number, paid FROM erp_webhook.invoice WHERE company_id = :company AND number IN ('SUB-3', 'SUB-4') ORDER BY 1;
SELECT * FROM pg_temp.state WHERE account_no = 'C-3';
SELECT pg_temp.tell('payment.succeeded', 'p11', 1200, 'sub_3');
SELECT * FROM pg_temp.state WHERE account_no = 'C-3';

-- Whose invoice it is may be corrected, and which subscription it bills: suspension follows.
CREATE VIEW pg_temp.suspended AS SELECT a.account_no FROM erp_webhook.account a JOIN erp_webhook.company c USING (company_id)
  WHERE c.name = 'subs' AND a.state = 'suspended' AND a.account_no >= 'C-3';
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'C-4', 'EUR');
SELECT pg_temp.tell('subscription.payment_failed', 'f12', 1300, 'sub_5', 'SUB-5');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
  SELECT :company, 'SUB-5', a.account_id, 'EUR', 20, '2025-11-01' FROM erp_webhook.account a WHERE a.company_id = :company AND a.account_no = 'C-3';
SELECT * FROM pg_temp.suspended;
UPDATE erp_webhook.invoice i SET account_id = a.account_id FROM erp_webhook.account a
  WHERE i.company_id = :company AND i.number = 'SUB-5' AND a.company_id = :company AND a.account_no = 'C-4';
SELECT * FROM pg_temp.suspended;
SELECT pg_temp.tell('subscription.payment_failed', 'f13', 1400, 'sub_3');
SELECT * FROM pg_temp.suspended ORDER BY 1;
UPDATE erp_webhook.invoice SET subscription_ref = NULL WHERE company_id = :company AND number = 'SUB-3';
SELECT * FROM pg_temp.suspended;

SELECT erp_webhook.set_policy('subs', 'suspend', 'sometimes');
SELECT erp_webhook.settle_again('subs') AS again, (SELECT count(*) FROM erp_webhook.audit('subs')) AS breaches;
