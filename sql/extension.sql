-- The extension installs, drops without a trace and installs again.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS erp_webhook CASCADE;
CREATE EXTENSION erp_webhook;
DROP EXTENSION erp_webhook;
SELECT count(*) FROM pg_namespace WHERE nspname = 'erp_webhook' AND EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid);
CREATE EXTENSION erp_webhook;
SELECT extname FROM pg_extension WHERE extname = 'erp_webhook';
