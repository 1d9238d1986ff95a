-- The company of the bench: one Stripe source, a thousand customers, :invoices open invoices that each wait for one payment.
-- Triggers are off while the invoices are written, so they have no vouchers of their own: nothing measured reads those.
SET client_min_messages = warning;
CREATE EXTENSION erp_webhook;
SELECT erp_webhook.add_company('Bench', 'EUR');
SELECT erp_webhook.add_source('stripe', 'stripe', 'Bench');
SELECT erp_webhook.add_secret('stripe', :'secret');
INSERT INTO erp_webhook.account (company_id, account_no, name, currency)
SELECT company_id, 'C-' || n, 'Customer ' || n, 'EUR'
FROM erp_webhook.company, generate_series(1, greatest(:invoices / 20, 1)) AS n WHERE name = 'Bench';
ALTER TABLE erp_webhook.invoice DISABLE TRIGGER USER;
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
SELECT company_id, 'B-' || lpad(n::text, 8, '0'), account_id, 'EUR', (10000 + (n - 1) % 5000) / 100.0, DATE '2030-01-01' + n % 365
FROM erp_webhook.account JOIN generate_series(1, :invoices) AS n ON account_no = 'C-' || (n % greatest(:invoices / 20, 1) + 1);
ALTER TABLE erp_webhook.invoice ENABLE TRIGGER USER;
VACUUM (ANALYZE);
CHECKPOINT;
