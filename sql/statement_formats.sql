-- What banks do with the formats: versions and namespaces, wrappers, reversals, batches that do not add up, several currencies,
-- page after page, German subfields, turns of the year, separate credit and debit columns.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SET datestyle = 'ISO';
\set VERBOSITY terse
INSERT INTO company (name, currency) VALUES ('formats', 'EUR');
CREATE FUNCTION pg_temp.lines(format text, content text) RETURNS TABLE (currency text, booked date, valued date, amount numeric, reference text, counterparty text, e2e text, bank_ref text, batch text, reversal boolean)
LANGUAGE sql AS $$ SELECT currency, booking_date, value_date, amount, reference, counterparty, end_to_end_id, bank_ref, batch_ref, reversal
  FROM read_statement(0, format, convert_to(content, 'UTF8'), 'ACC', 'EUR', NULL) WHERE what = 'entry' $$;
CREATE FUNCTION pg_temp.camt(version text, root text, report text, inside text, prefix text DEFAULT '') RETURNS text LANGUAGE sql AS $$
  SELECT format('<?xml version="1.0"?><%1$sDocument xmlns%2$s="urn:iso:std:iso:20022:tech:xsd:%3$s"><%1$s%4$s><%1$s%5$s>%6$s</%1$s%5$s></%1$s%4$s></%1$sDocument>',
    prefix, CASE prefix WHEN '' THEN '' ELSE ':' || rtrim(prefix, ':') END, version, root, report, inside) $$;

-- Version 08: the status has a code, parties and dates a level more; a camt.052 of the day; a prefix for the namespace.
\set entry8 '<Id>R1</Id><CreDtTm>2025-10-13T18:00:00</CreDtTm><Acct><Id><Othr><Id>12345</Id></Othr></Id></Acct><Ntry><Amt Ccy="CHF">12.30</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><DtTm>2025-10-13T11:12:13+02:00</DtTm></BookgDt><ValDt><DtTm>2025-10-14T00:00:00</DtTm></ValDt><AcctSvcrRef>Z1</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>E 1</EndToEndId></Refs><RltdPties><Dbtr><Pty><Nm>Müller &amp; Co</Nm></Pty></Dbtr></RltdPties><RmtInf><Strd><CdtrRefInf><Ref>RF18</Ref></CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls></Ntry><Ntry><Amt Ccy="CHF">1</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>PDNG</Cd></Sts><BookgDt><Dt>2025-10-13</Dt></BookgDt></Ntry>'
SELECT * FROM pg_temp.lines('camt.053', pg_temp.camt('camt.053.001.08', 'BkToCstmrStmt', 'Stmt', :'entry8'));
SELECT count(*), sum(amount) FROM pg_temp.lines('CAMT.052', pg_temp.camt('camt.052.001.06', 'BkToCstmrAcctRpt', 'Rpt', :'entry8'));
SELECT count(*), sum(amount) FROM pg_temp.lines('camt.054', pg_temp.camt('camt.054.001.04', 'BkToCstmrDbtCdtNtfctn', 'Ntfctn', regexp_replace(:'entry8', '<(/?)(\w)', '<\1n:\2', 'g'), 'n:'));
-- A returned transfer is a debit that takes a credit back: the payer stays the payer.
\set taken_back '<Id>R2</Id><CreDtTm>2025-10-13T18:00:00</CreDtTm><Acct><Id><IBAN>X</IBAN></Id></Acct><Ntry><Amt Ccy="EUR">5.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd><Sts>BOOK</Sts><BookgDt><Dt>2025-10-13</Dt></BookgDt><ValDt><Dt>2025-10-13</Dt></ValDt><NtryDtls><TxDtls><RltdPties><Dbtr><Nm>Payer</Nm></Dbtr><Cdtr><Nm>We</Nm></Cdtr></RltdPties></TxDtls></NtryDtls></Ntry>'
SELECT amount, counterparty, reversal FROM pg_temp.lines('camt.053', pg_temp.camt('camt.053.001.02', 'BkToCstmrStmt', 'Stmt', :'taken_back'));
-- Parts that do not add up, or come without amounts: the batch is one line.
\set batch '<Id>R3</Id><CreDtTm>2025-10-13T18:00:00</CreDtTm><Acct><Id><IBAN>X</IBAN></Id></Acct><Ntry><Amt Ccy="EUR">30.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2025-10-13</Dt></BookgDt><AcctSvcrRef>B1</AcctSvcrRef><NtryDtls><TxDtls><Refs><AcctSvcrRef>B1-1</AcctSvcrRef></Refs><AmtDtls><TxAmt><Amt Ccy="EUR">10.00</Amt></TxAmt></AmtDtls></TxDtls><TxDtls><Refs><AcctSvcrRef>B1-2</AcctSvcrRef></Refs><AmtDtls><TxAmt><Amt Ccy="EUR">20.00</Amt></TxAmt></AmtDtls></TxDtls></NtryDtls></Ntry>'
SELECT amount, bank_ref, batch FROM pg_temp.lines('camt.053', pg_temp.camt('camt.053.001.02', 'BkToCstmrStmt', 'Stmt', :'batch'));
SELECT amount, bank_ref, batch FROM pg_temp.lines('camt.053', pg_temp.camt('camt.053.001.02', 'BkToCstmrStmt', 'Stmt', replace(:'batch', '20.00', '19.00')));

-- MT940: the SWIFT envelope, RC and RD, the turn of the year, subfields, two statements in one file, a page (60M, 62M).
SELECT * FROM pg_temp.lines('mt940', E'{1:F01BANK}{2:I940}{4:\r\n:20:A\r\n:25:12345678/0012345678\r\n:28C:1/1\r\n:60F:C251231EUR100,\r\n:61:2512310102RC5,NTRFNONREF//R1\r\n:61:2601020102RD3,50NTRFABC\r\n'
  ':86:166?00GUTSCHRIFT?20EREF+E2E-7?21SVWZ+Rechnung 4711 vom?22 1.1.?32Hans?33 Meier\r\n:61:2601020102EC9,NTRFNONREF\r\n:61:2802290228C1,NTRFNONREF\r\n:62F:C280229EUR99,5\r\n-}');
SELECT * FROM pg_temp.lines('mt940', E'{1:F01BANK}{2:I940}{4:\r\n:20:A\r\n:25:12345678/0012345678\r\n:28C:1/1\r\n:60F:C251231EUR100,\r\n:61:2512310102RC5,NTRFNONREF//R1\r\n:61:2601020102RD3,50NTRFABC\r\n'
  ':86:166?00GUTSCHRIFT?20EREF+E2E-7?21SVWZ+Rechnung 4711 vom?22 1.1.?32Hans?33 Meier\r\n:61:2601020102EC9,NTRFNONREF\r\n:62M:C260102EUR98,5\r\n-}\r\n{1:F01BANK}{2:I940}{4:\r\n'
  ':20:B\r\n:25:12345678/0012345678\r\n:28C:1/2\r\n:60M:C260102JPY98\r\n:61:260103D8,FCHGX//Y\r\nsupplement\r\n:86:plain words that\r\nwrap\r\n:62F:C260103JPY90,\r\n:64:C260103JPY90,\r\n-}');
SELECT statement_ref, currency, from_date, to_date, opening, closing FROM read_statement(0, 'MT940', convert_to(E':20:A\n:25:1\n:28C:7\n:60F:C251231EUR0,\n:62F:C251231EUR0,\n', 'UTF8'), NULL, NULL, NULL);

-- CSV: a dialect of one's own with two columns and a direction, tabs, a byte order mark, quotes over lines, numbers as they are grouped.
INSERT INTO csv_dialect (company_id, dialect, separator, decimal_mark, date_format, encoding, columns)
SELECT company_id, d, s, m, f, 'UTF8', c::jsonb FROM company, (VALUES
  ('two columns', E'\t', ',', 'DD.MM.YYYY', '{"account": "Konto", "booking_date": "Tag", "credit": "Haben", "debit": "Soll", "reference": ["Text 1", "Text 2"], "currency": "W"}'),
  ('direction', '|', '.', 'YYYYMMDD', '{"booking_date": "Date", "amount": "Sum", "direction": "D/C"}')) v (d, s, m, f, c) WHERE name = 'formats';
SELECT import_statement('formats', 'csv', convert_to(E'\ufeffTag\tHaben\tSoll\tText 1\tText 2\tW\tKonto\n05.01.2026\t1.234,50\t\t"a\nb"\tc\tEUR\tK1\n05.01.2026\t\t7\tfee\t\tEUR\tK1\n', 'UTF8')) AS lines,
       import_statement('formats', 'csv', convert_to(E'Date|Sum|D/C\n20260105|1000|C\n20260106|1,000.25|D\n', 'UTF8'), account => 'K2', currency => 'USD') AS lines;
SELECT account, l.currency, booking_date, amount, replace(reference, E'\n', '/') AS reference FROM bank_line l JOIN company USING (company_id) WHERE name = 'formats' ORDER BY 1, 3, 4;
SELECT import_statement('formats', 'csv', convert_to(E'Date|Sum|D/C\n20260105|1|C\n', 'UTF8'));
SELECT import_statement('formats', 'csv', convert_to(E'Date|Sum|D/C\n20260105|1.000|C\n', 'UTF8'), 'K2', 'EUR', 'direction');
SELECT import_statement('formats', 'csv', convert_to(E'Date|Sum|D/C\n', 'UTF8'), dialect => 'no such');

-- The dialects that come with the extension, found by their headings; encoding and decimal comma are the row's.
SELECT d, count(*) AS lines, min(r.booking_date) AS booked, min(r.amount) AS amount, min(r.currency) AS cur, min(r.reference) AS reference, min(r.counterparty) AS counterparty, min(r.bank_ref) AS bank_ref
FROM (VALUES
  ('de', convert_to(E'Auftragskonto;Buchungstag;Valutadatum;Verwendungszweck;Beguenstigter/Zahlungspflichtiger;End-to-End;Betrag;Waehrung\nDE1;05.01.26;06.01.26;"Miete; Januar";Grün & Söhne;E1;-1.234,50;EUR\n', 'WIN1252')),
  ('de-camt', convert_to(E'Auftragskonto;Buchungstag;Valutadatum;Verwendungszweck;Beguenstigter/Zahlungspflichtiger;Kundenreferenz (End-to-End);Betrag;Waehrung\nDE1;05.01.26;05.01.26;x;Straße;NOTPROVIDED;7,00;EUR\n', 'UTF8')),
  ('nl', convert_to(E'"IBAN/BBAN","Munt","Volgnr","Datum","Rentedatum","Bedrag","Naam tegenpartij","Transactiereferentie","Omschrijving-1","Omschrijving-2","Omschrijving-3"\n"NL1","EUR","000123","2026-01-05","2026-01-05","+12,34","Café","","Factuur"," 7",""\n', 'LATIN1')),
  ('wise', convert_to(E'TransferWise ID,Date,Amount,Currency,Description,Payment Reference,Payer Name\nT-1,05-01-2026,9.99,USD,Card,INV-1,Jo\n', 'UTF8')),
  ('plain', convert_to(E'account,booking_date,amount,currency\nP1,2026-01-05,1,EUR\n', 'UTF8'))) f (d, content),
LATERAL read_statement(0, 'csv', content, 'ACC', NULL, NULL) r WHERE r.what = 'entry' GROUP BY d ORDER BY d;
