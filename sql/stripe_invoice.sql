-- Stripe from API 2025-03-31: an invoice does not name its payment. Asked for (settings.invoices = fetch), it links them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET TimeZone = 'UTC';

SELECT erp_webhook.add_company('Stripe invoices', 'EUR') AS company \gset
INSERT INTO erp_webhook.account (company_id, account_no, name, currency) VALUES (:company, 'SI-1', 'A customer', 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT company_id, 'KADE-0008', account_id, 'EUR', 49.00, '2025-11-01' FROM erp_webhook.account WHERE company_id = :company;
SELECT erp_webhook.add_source('stripe-2025', 'stripe', 'Stripe invoices', '{"invoices": "fetch"}') > 0 AS added,
       erp_webhook.add_secret('stripe-2025', 'whsec_0123456789abcdef0123456789abcdef') > 0 AS secured;

CREATE FUNCTION pg_temp.deliver(id text, type text, object text) RETURNS TABLE (outcome text, events int) LANGUAGE sql AS $$
  SELECT r.outcome, r.events
  FROM (SELECT convert_to(format('{"id":"%s","object":"event","api_version":"2025-09-30.clover","created":1760000411,"type":"%s","data":{"object":%s}}', id, type, object), 'UTF8') AS body) b,
       erp_webhook.ingest('stripe-2025', erp_webhook.sign('stripe-2025', b.body, clock_timestamp()), b.body) r
$$;

-- the payment says nothing of the invoice, the link between them nothing of its number
SELECT * FROM pg_temp.deliver('evt_1', 'payment_intent.succeeded', '{"id":"pi_3B2","amount":4900,"amount_received":4900,"currency":"eur","customer":"cus_R1","metadata":{}}');
SELECT * FROM pg_temp.deliver('evt_2', 'invoice_payment.paid',
  '{"id":"inpay_1B2","amount_paid":4900,"currency":"eur","invoice":"in_1B2","payment":{"type":"payment_intent","payment_intent":"pi_3B2"},"status":"paid"}');
SELECT * FROM pg_temp.deliver('evt_3', 'invoice.paid',
  '{"id":"in_1B2","amount_paid":4900,"currency":"eur","customer":"cus_R1","number":"KADE-0008","parent":{"subscription_details":{"subscription":"sub_1B"}},"status":"paid"}');
SELECT number, paid, state FROM erp_webhook.invoice WHERE company_id = :company;
SELECT type, kind, state, reason FROM erp_webhook.event WHERE company_id = :company ORDER BY event_id;

-- what the worker gets for GET /v1/invoices/in_1B2?expand[]=payments, read by the rule of the provider's file
SELECT rule, ref FROM erp_webhook.waiting_event WHERE company_id = :company;
WITH said AS (
  SELECT array_agg(f) AS facts
  FROM erp_webhook.event e
  JOIN erp_webhook.api_access a ON a.company_id = e.company_id AND a.source_id = e.source_id,
       erp_webhook.read_object(a, a.rules #> '{objects,0}', to_jsonb(e),
         '{"id":"in_1B2","number":"KADE-0008","customer":"cus_R1","parent":{"subscription_details":{"subscription":"sub_1B"}},"payments":{"data":[
            {"id":"inpay_0","status":"canceled","amount_paid":null,"currency":"eur","payment":{"type":"payment_intent","payment_intent":"pi_old"}},
            {"id":"inpay_1B2","status":"paid","amount_paid":4900,"currency":"eur","payment":{"type":"payment_intent","payment_intent":"pi_3B2"}}]}}', 'fetch') f
  WHERE e.company_id = :company AND e.state = 'waiting')
SELECT facts[1].kind, facts[1].state, facts[1].payment_ref, facts[1].correlation, facts[1].subscription_ref, cardinality(facts) AS facts,
       erp_webhook.keep_events(facts, 'GET', 'invoice/in_1B2', '{}') IS NOT NULL AS kept
FROM said;
SELECT number, paid, state FROM erp_webhook.invoice WHERE company_id = :company;
SELECT payment_ref, captured FROM erp_webhook.payment WHERE company_id = :company;
