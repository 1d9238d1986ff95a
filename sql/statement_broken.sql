-- A broken bank file changes nothing and says which line and why; nothing dangerous reaches the XML parser.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
\set VERBOSITY terse
INSERT INTO company (name, currency) VALUES ('broken', 'EUR');
\set good `cat "$PG_ABS_SRCDIR/test/data/statements/camt053_main.xml"`
\set mt940 `cat "$PG_ABS_SRCDIR/test/data/statements/mt940_plain.sta"`
CREATE FUNCTION pg_temp.try(format text, content text) RETURNS int LANGUAGE sql AS
$$ SELECT import_statement('broken', format, convert_to(content, 'UTF8')) $$;

-- Balances that do not add up, amounts and dates that are none.
SELECT pg_temp.try('camt.053', replace(:'good', '>4.50<', '>4.51<'));
SELECT pg_temp.try('camt.053', replace(:'good', '>4.50<', '>4.5e0<'));
SELECT pg_temp.try('camt.053', replace(:'good', '>4.50<', '>NaN<'));
SELECT pg_temp.try('camt.053', replace(:'good', '>4.50<', '>4.505<'));
SELECT pg_temp.try('camt.053', replace(replace(:'good', '2025-10-31', '2025-02-30'), '<Ntry>', E'\n<Ntry>'));
SELECT pg_temp.try('camt.053', replace(:'good', '<CdtDbtInd>DBIT', '<CdtDbtInd>DBT'));
SELECT pg_temp.try('camt.053', replace(:'good', 'NL02KADE0123456789', ''));
SELECT pg_temp.try('camt.054', :'good');
SELECT pg_temp.try('camt.053', left(:'good', 900));
SELECT pg_temp.try('camt.053', '');
-- Entities, document types, depth, encodings.
SELECT pg_temp.try('camt.053', E'<?xml version="1.0"?>\n<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><Document>&a;</Document>');
SELECT pg_temp.try('camt.053', E'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n<Document>&b;</Document>');
SELECT pg_temp.try('camt.053', '<Document>&undeclared;</Document>');
SELECT pg_temp.try('camt.053', repeat('<a>', 100000) || repeat('</a>', 100000));
SELECT import_statement('broken', 'camt.053', '\xfeff003c003f');
SELECT import_statement('broken', 'camt.053', E'\\x3c3f786d6c3e0a3c61ff3e'::bytea);
SELECT import_statement('broken', 'camt.053', '\x3c610000003e');
SELECT import_statement('broken', 'csv', convert_to(repeat('x', 33554433), 'UTF8'));
-- MT940.
SELECT pg_temp.try('mt940', replace(:'mt940', 'D12,', 'D12,01'));
SELECT pg_temp.try('mt940', replace(:'mt940', 'D12,', 'D1.2,'));
SELECT pg_temp.try('mt940', replace(:'mt940', ':61:251016D', ':61:251316D'));
SELECT pg_temp.try('mt940', split_part(:'mt940', ':62F:', 1));
SELECT pg_temp.try('mt940', 'no bank file at all');
-- CSV.
SELECT pg_temp.try('csv', E'a,b\n1,2\n');
SELECT pg_temp.try('csv', E'account,booking_date,amount,currency\nX,2026-01-05,1.00,EUR\nX,2026-01-05,1.00\n');
SELECT pg_temp.try('csv', E'account,booking_date,amount,currency\nX,2026-01-05,1.00,EUR\nX,05.01.2026,1.00,EUR\n');
SELECT pg_temp.try('csv', E'account,booking_date,amount,currency\nX,2026-01-05,"1,00",EUR\n');
SELECT pg_temp.try('csv', E'account,booking_date,amount,currency,reference\nX,2026-01-05,1.00,EUR,"open\nX,2026-01-05,1.00,EUR,b\n');
SELECT pg_temp.try('csv', E'account,booking_date,amount,currency\n,2026-01-05,1.00,EUR\n');
SELECT pg_temp.try('csv', E'account,booking_date,amount,currency\nX,2026-01-05,1.5,JPY\n');

\set VERBOSITY sqlstate
SELECT pg_temp.try('csv', E'a,b\n1,2\n');
-- Nothing of all this is there.
SELECT (SELECT count(*) FROM bank_file f WHERE f.company_id = c.company_id) AS files, (SELECT count(*) FROM bank_entry e WHERE e.company_id = c.company_id) AS lines
FROM company c WHERE name = 'broken';
