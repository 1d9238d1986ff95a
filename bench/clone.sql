-- Tables of the same shape as the extension's, in schema :schema: same columns, constraints, indexes and fill factors, none of its
-- triggers. What the peers and the floor write to.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS :schema CASCADE;
CREATE SCHEMA :schema;
SET search_path = :schema;
CREATE TABLE delivery (LIKE erp_webhook.delivery INCLUDING ALL) PARTITION BY RANGE (received_at);
CREATE TABLE delivery_default PARTITION OF delivery DEFAULT;
CREATE TABLE event (LIKE erp_webhook.event INCLUDING ALL);
CREATE TABLE money_object (LIKE erp_webhook.money_object INCLUDING ALL) WITH (fillfactor = 90);
CREATE TABLE voucher (LIKE erp_webhook.voucher INCLUDING ALL);
CREATE TABLE entry (LIKE erp_webhook.entry INCLUDING ALL);
CREATE TABLE allocation (LIKE erp_webhook.allocation INCLUDING ALL);
CREATE TABLE invoice (LIKE erp_webhook.invoice INCLUDING ALL) WITH (fillfactor = 70);
CREATE SEQUENCE delivery_id;
INSERT INTO invoice (company_id, invoice_id, number, account_id, currency, total, issued_on, due_on)
SELECT company_id, invoice_id, number, account_id, currency, total, issued_on, due_on FROM erp_webhook.invoice;
VACUUM (ANALYZE);
CHECKPOINT;
