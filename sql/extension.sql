-- The extension installs, drops without a trace and installs again.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS erp_webhook CASCADE;
CREATE EXTENSION erp_webhook;
DROP EXTENSION erp_webhook;
SELECT count(*) FROM pg_namespace WHERE nspname = 'erp_webhook' AND EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid);
CREATE EXTENSION erp_webhook;
SELECT extname FROM pg_extension WHERE extname = 'erp_webhook';

-- Another encoding is refused at once.
SELECT current_database() AS here \gset
DROP DATABASE IF EXISTS extension_latin1;
CREATE DATABASE extension_latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
\c extension_latin1
\set VERBOSITY terse
CREATE EXTENSION erp_webhook;
\c :here
DROP DATABASE extension_latin1;
