-- Bank files in ISO 20022 XML: camt.052, camt.053 and camt.054, any version.
--
-- The server's libxml reads only what has passed three checks made on the text: no document type (so no entity of
-- anybody's making), not too large, not too deep.

CREATE FUNCTION erp_webhook.xml_encoding(content bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  head text;
  declared text;
BEGIN
  IF substring(content FOR 2) IN ('\xfeff', '\xfffe') OR substring(content FOR 2) IN ('\x003c', '\x3c00') THEN
    PERFORM erp_webhook.refuse_statement(1, 'UTF-16 is not read: ask the bank for UTF-8');
  END IF;
  head := convert_from(substring(content FOR 200), 'LATIN1');
  declared := upper(substring(head FROM '<\?xml[^>]*\sencoding\s*=\s*["'']([A-Za-z0-9._-]+)["'']'));
  declared := CASE coalesce(declared, 'UTF-8')
    WHEN 'UTF-8' THEN 'UTF8' WHEN 'UTF8' THEN 'UTF8' WHEN 'US-ASCII' THEN 'UTF8'
    WHEN 'ISO-8859-1' THEN 'LATIN1' WHEN 'ISO-8859-2' THEN 'LATIN2' WHEN 'ISO-8859-15' THEN 'LATIN9'
    WHEN 'WINDOWS-1252' THEN 'WIN1252' WHEN 'WINDOWS-1250' THEN 'WIN1250' END;
  IF declared IS NULL THEN
    PERFORM erp_webhook.refuse_statement(1, 'its encoding is not one we read');
  END IF;
  RETURN declared;
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
  PERFORM erp_webhook.refuse_statement(1, 'not text');
END
$$;
COMMENT ON FUNCTION erp_webhook.xml_encoding(bytea) IS 'the server''s name of the encoding an XML file declares';

-- Every piece after a "<" opens an element, closes one, or does neither; the running sum is the depth.
CREATE FUNCTION erp_webhook.xml_depth(document text) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN (
  SELECT coalesce(max(depth), 0)
  FROM (SELECT sum(CASE WHEN piece ~ '^/' THEN -1
                        WHEN piece ~ '^[?!]' OR split_part(piece, '>', 1) ~ '/$' THEN 0
                        ELSE 1 END) OVER (ORDER BY n) AS depth
        FROM string_to_table(document, '<') WITH ORDINALITY AS p (piece, n)
        WHERE n > 1) AS walk);
COMMENT ON FUNCTION erp_webhook.xml_depth(text) IS 'how deep the elements of an XML text nest, counted without parsing it';

CREATE FUNCTION erp_webhook.element_lines(document text, element text) RETURNS int[]
LANGUAGE sql IMMUTABLE
RETURN (
  SELECT array_agg(line::int ORDER BY n)
  FROM (SELECT n, 1 + sum(regexp_count(piece, E'\\n')) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS line
        FROM regexp_split_to_table(document, '<(\w+:)?' || element || '[\s>]') WITH ORDINALITY AS p (piece, n)) AS walk
  WHERE n > 1);
COMMENT ON FUNCTION erp_webhook.element_lines(text, text) IS 'the line each element of this name begins on';

CREATE FUNCTION erp_webhook.statement_xml(content bytea) RETURNS xml
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  forbidden CONSTANT text := '<!(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)';
  document text;
  where_ text;
  why text;
BEGIN
  document := erp_webhook.statement_text(content, erp_webhook.xml_encoding(content));
  IF document ~* forbidden THEN
    PERFORM erp_webhook.refuse_statement(1 + regexp_count(left(document, regexp_instr(document, forbidden, 1, 1, 0, 'i')), '\n'),
      'a document type or entity has no place in a bank statement');
  END IF;
  IF erp_webhook.xml_depth(document) > 40 THEN
    PERFORM erp_webhook.refuse_statement(1, 'its elements nest deeper than 40');
  END IF;
  -- The declaration speaks of bytes that are text of the server by now; blanks before it are not for the parser either.
  RETURN xmlparse(DOCUMENT regexp_replace(document, '^\s*<\?xml\s[^>]*\?>', ''));
EXCEPTION WHEN invalid_xml_document OR invalid_xml_content THEN
  GET STACKED DIAGNOSTICS where_ = PG_EXCEPTION_DETAIL;
  why := regexp_replace(split_part(where_, E'\n', 1), '^line \d+: ', '');
  PERFORM erp_webhook.refuse_statement(coalesce(substring(where_ FROM '^line (\d+)')::int, 1),
                                       'not well-formed XML: ' || why);
END
$$;
COMMENT ON FUNCTION erp_webhook.statement_xml(bytea) IS
  'the document of an XML bank file, after the checks that make parsing it safe';

-- Party and date have had a level more since version 08; string() takes whichever is there.
CREATE FUNCTION erp_webhook.camt_entries(stmt xml, ns text)
RETURNS TABLE (n bigint, node xml, amount text, currency text, direction text, reversal boolean, status text,
               booked text, valued text,
               bank_ref text, batch_ref text, info text, parts bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT e.n, e.node, e.amount, e.currency, e.direction, lower(e.reversal) IN ('true', '1'), e.status, left(e.booked, 10),
         left(e.valued, 10),
         erp_webhook.given_ref(e.bank_ref), erp_webhook.given_ref(coalesce(e.bank_ref, e.batch_id, e.entry_ref)), e.info,
         e.parts::bigint
  FROM XMLTABLE(XMLNAMESPACES(ns AS c), '/*/c:Ntry' PASSING stmt COLUMNS
    n FOR ORDINALITY, node xml PATH '.',
    amount text PATH 'c:Amt', currency text PATH 'c:Amt/@Ccy', direction text PATH 'c:CdtDbtInd',
    reversal text PATH 'c:RvslInd',
    status text PATH 'normalize-space(c:Sts)',
    booked text PATH 'string(c:BookgDt/c:Dt | c:BookgDt/c:DtTm)', valued text PATH 'string(c:ValDt/c:Dt | c:ValDt/c:DtTm)',
    bank_ref text PATH 'c:AcctSvcrRef', batch_id text PATH 'c:NtryDtls[1]/c:Btch/c:PmtInfId',
    entry_ref text PATH 'c:NtryRef',
    info text PATH 'normalize-space(c:AddtlNtryInf)', parts text PATH 'string(count(c:NtryDtls/c:TxDtls))') e
$$;
COMMENT ON FUNCTION erp_webhook.camt_entries(xml, text) IS 'the entries of one statement, as written';

CREATE FUNCTION erp_webhook.camt_details(entry xml, ns text)
RETURNS TABLE (n bigint, amount text, currency text, direction text, bank_ref text, end_to_end_id text, debtor text,
               creditor text, reference text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.n, nullif(d.amount, ''), nullif(d.currency, ''), d.direction, erp_webhook.given_ref(d.bank_ref),
         erp_webhook.given_ref(d.end_to_end_id),
         nullif(d.debtor, ''), nullif(d.creditor, ''),
         coalesce(nullif(d.free, ''), nullif(d.structured, ''), nullif(d.info, ''))
  FROM XMLTABLE(XMLNAMESPACES(ns AS c), '/*/c:NtryDtls/c:TxDtls' PASSING entry COLUMNS
    n FOR ORDINALITY,
    amount text PATH 'string(c:Amt | c:AmtDtls/c:TxAmt/c:Amt)',
    currency text PATH 'string(c:Amt/@Ccy | c:AmtDtls/c:TxAmt/c:Amt/@Ccy)',
    direction text PATH 'c:CdtDbtInd', bank_ref text PATH 'c:Refs/c:AcctSvcrRef',
    end_to_end_id text PATH 'c:Refs/c:EndToEndId',
    debtor text PATH 'normalize-space(c:RltdPties/c:Dbtr/c:Nm | c:RltdPties/c:Dbtr/c:Pty/c:Nm)',
    creditor text PATH 'normalize-space(c:RltdPties/c:Cdtr/c:Nm | c:RltdPties/c:Cdtr/c:Pty/c:Nm)',
    free text PATH
      'normalize-space(concat(c:RmtInf/c:Ustrd[1], " ", c:RmtInf/c:Ustrd[2], " ", c:RmtInf/c:Ustrd[3], " ", c:RmtInf/c:Ustrd[4],
      " ", c:RmtInf/c:Ustrd[5], " ", c:RmtInf/c:Ustrd[6], " ", c:RmtInf/c:Ustrd[7], " ", c:RmtInf/c:Ustrd[8]))',
    structured text PATH 'normalize-space(concat(c:RmtInf/c:Strd[1]/c:CdtrRefInf/c:Ref, " ", c:RmtInf/c:Strd[1]/c:RfrdDocInf/c:Nb,
      " ", c:RmtInf/c:Strd[2]/c:CdtrRefInf/c:Ref, " ", c:RmtInf/c:Strd[2]/c:RfrdDocInf/c:Nb))',
    info text PATH 'normalize-space(c:AddtlTxInf)') d
$$;
COMMENT ON FUNCTION erp_webhook.camt_details(xml, text) IS 'the transactions inside one entry, as written';

CREATE FUNCTION erp_webhook.camt_sign(direction text, line int) RETURNS int
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF direction IS NULL OR direction NOT IN ('CRDT', 'DBIT') THEN
    PERFORM erp_webhook.refuse_statement(line, 'an entry is neither CRDT nor DBIT');
  END IF;
  RETURN CASE direction WHEN 'CRDT' THEN 1 ELSE -1 END;
END
$$;
COMMENT ON FUNCTION erp_webhook.camt_sign(text, int) IS
  'credit is positive; the reversal of a debit is written as the credit it is';

-- A batch becomes its parts only if the bank says what each is worth and they add up; otherwise it is one line.
CREATE FUNCTION erp_webhook.camt_lines(stmt xml, ns text, head erp_webhook.statement_record, lines int[])
RETURNS SETOF erp_webhook.statement_record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  e record;
  d record;
  r erp_webhook.statement_record;
  whole numeric;
  itemised boolean;
BEGIN
  FOR e IN SELECT * FROM erp_webhook.camt_entries(stmt, ns) WHERE status = 'BOOK' ORDER BY n LOOP
    r := head;
    r.what := 'entry';
    r.line := lines[e.n];
    r.currency := erp_webhook.statement_currency(e.currency, r.line);
    whole := erp_webhook.camt_sign(e.direction, r.line) * erp_webhook.statement_amount(e.amount, r.currency, r.line);
    r.booking_date := erp_webhook.statement_date(coalesce(nullif(e.booked, ''), e.valued), r.line);
    r.value_date := erp_webhook.statement_date(coalesce(nullif(e.valued, ''), e.booked), r.line);
    r.reversal := coalesce(e.reversal, false);
    itemised := e.parts > 1 AND whole = (
      SELECT CASE WHEN bool_and(t.amount IS NOT NULL AND t.currency = r.currency)
                  THEN sum(erp_webhook.camt_sign(coalesce(t.direction, e.direction), r.line)
                           * erp_webhook.statement_amount(t.amount, r.currency, r.line)) END
      FROM erp_webhook.camt_details(e.node, ns) t);
    FOR d IN
      SELECT t.* FROM (SELECT) AS one LEFT JOIN erp_webhook.camt_details(e.node, ns) t ON e.parts = 1 OR itemised
      ORDER BY t.n
    LOOP
      r.amount := CASE WHEN itemised THEN erp_webhook.camt_sign(coalesce(d.direction, e.direction), r.line)
                                          * erp_webhook.statement_amount(d.amount, r.currency, r.line) ELSE whole END;
      r.bank_ref := CASE WHEN itemised THEN d.bank_ref ELSE coalesce(e.bank_ref, d.bank_ref) END;
      r.batch_ref := CASE WHEN itemised THEN e.batch_ref END;
      r.end_to_end_id := d.end_to_end_id;
      -- A reversal keeps the roles of what it reverses.
      r.counterparty := CASE WHEN (r.amount > 0) <> r.reversal THEN coalesce(d.debtor, CASE WHEN r.reversal THEN d.creditor END)
                             ELSE coalesce(d.creditor, CASE WHEN r.reversal THEN d.debtor END) END;
      r.reference := coalesce(d.reference, nullif(e.info, ''));
      RETURN NEXT r;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.camt_lines(xml, text, erp_webhook.statement_record, int[]) IS
  'the booked entries of one statement; a batch as its parts where they are given';

-- The balances of one statement by currency; PRCD is the closing balance of the day before, so an opening one.
CREATE FUNCTION erp_webhook.camt_heads(stmt xml, ns text, line int, kind text)
RETURNS SETOF erp_webhook.statement_record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH head AS (
    SELECT h.id, coalesce(nullif(h.iban, ''), nullif(h.other, '')) AS account, h.currency,
           left(h.from_day, 10) AS from_day, left(h.to_day, 10) AS to_day,
           left(h.made, 10) AS made
    FROM XMLTABLE(XMLNAMESPACES(ns AS c), '/*' PASSING stmt COLUMNS
      id text PATH 'normalize-space(c:Id)', iban text PATH 'normalize-space(c:Acct/c:Id/c:IBAN)',
      other text PATH 'normalize-space(c:Acct/c:Id/c:Othr/c:Id)', currency text PATH 'c:Acct/c:Ccy',
      from_day text PATH 'c:FrToDt/c:FrDtTm', to_day text PATH 'c:FrToDt/c:ToDtTm', made text PATH 'c:CreDtTm') h),
  balance AS (
    SELECT b.code, b.currency, left(b.day, 10) AS day,
           erp_webhook.camt_sign(b.direction, line)
           * erp_webhook.statement_amount(b.amount, erp_webhook.statement_currency(b.currency, line), line) AS amount
    FROM XMLTABLE(XMLNAMESPACES(ns AS c), '/*/c:Bal' PASSING stmt COLUMNS
      code text PATH 'c:Tp/c:CdOrPrtry/c:Cd', currency text PATH 'c:Amt/@Ccy', amount text PATH 'c:Amt',
      direction text PATH 'c:CdtDbtInd',
      day text PATH 'string(c:Dt/c:Dt | c:Dt/c:DtTm)') b
    WHERE b.code IN ('OPBD', 'PRCD', 'CLBD')),
  per_currency AS (
    SELECT currency,
           coalesce(max(amount) FILTER (WHERE code = 'OPBD'), max(amount) FILTER (WHERE code = 'PRCD')) AS opening,
           max(amount) FILTER (WHERE code = 'CLBD') AS closing,
           min(day) AS first_day, max(day) FILTER (WHERE code = 'CLBD') AS last_day
    FROM balance GROUP BY currency
    UNION ALL SELECT currency, NULL, NULL, NULL, NULL
    FROM head WHERE currency IS NOT NULL AND currency NOT IN (SELECT currency FROM balance)
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL FROM head WHERE currency IS NULL AND NOT EXISTS (SELECT FROM balance))
  SELECT 'statement', line, NULL::int, h.id, h.account, p.currency,
         erp_webhook.statement_date(coalesce(h.from_day, p.first_day, h.made), line),
         erp_webhook.statement_date(coalesce(p.last_day, h.to_day, h.made), line),
         p.opening, p.closing, NULL::date, NULL::date, NULL::numeric, NULL, NULL, NULL, NULL, NULL, NULL::boolean
  FROM head h CROSS JOIN per_currency p ORDER BY p.currency
$$;
COMMENT ON FUNCTION erp_webhook.camt_heads(xml, text, int, text) IS
  'account, days and balances of one statement, one row a currency';

CREATE FUNCTION erp_webhook.read_camt(content bytea, kind text) RETURNS SETOF erp_webhook.statement_record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  document xml := erp_webhook.statement_xml(content);
  ns text := substring(document::text FROM 'urn:iso:std:iso:20022:tech:xsd:(camt\.05[234])\.001\.\d\d');
  lines int[];
  stmt record;
  head erp_webhook.statement_record;
  seen int := 0;
BEGIN
  IF ns IS NULL OR ns <> kind THEN
    PERFORM erp_webhook.refuse_statement(1, format('this is no %s but %s', kind, coalesce(ns, 'another document')));
  END IF;
  ns := substring(document::text FROM 'urn:iso:std:iso:20022:tech:xsd:camt\.05[234]\.001\.\d\d');
  lines := erp_webhook.element_lines(erp_webhook.statement_text(content, erp_webhook.xml_encoding(content)), 'Ntry');
  FOR stmt IN
    SELECT s.n, s.node, s.entries::int AS entries
    FROM XMLTABLE(XMLNAMESPACES(ns AS c), '//c:Stmt | //c:Rpt | //c:Ntfctn' PASSING document
                  COLUMNS n FOR ORDINALITY, node xml PATH '.', entries text PATH 'string(count(c:Ntry))') s
  LOOP
    FOR head IN SELECT * FROM erp_webhook.camt_heads(stmt.node, ns, coalesce(lines[seen + 1], 1), kind) LOOP
      head.statement_no := stmt.n;
      RETURN NEXT head;
    END LOOP;
    RETURN QUERY SELECT * FROM erp_webhook.camt_lines(stmt.node, ns, head, lines[seen + 1 : seen + stmt.entries]);
    seen := seen + stmt.entries;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_camt(bytea, text) IS
  'statements and booked entries of a camt.052, camt.053 or camt.054 file';
