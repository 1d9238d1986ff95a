-- Bank files in SWIFT MT940.
--
-- A file is read line by line into fields (a line that does not begin with :tag: continues the one before),
-- then field by field.

CREATE FUNCTION erp_webhook.mt940_fields(document text) RETURNS TABLE (line int, tag text, said text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH written AS (
    -- Some banks leave the SWIFT envelope {1:…}{4: … -} around the message.
    SELECT n::int AS line, regexp_replace(rtrim(l, E'\r'), '^(\{[^}]*\})*\{4:', '') AS l
    FROM string_to_table(document, E'\n') WITH ORDINALITY AS t (l, n)),
  numbered AS (
    SELECT line, l, count(*) FILTER (WHERE l ~ '^:\d\d[A-Z]?:' OR l ~ '^-') OVER (ORDER BY line) AS field
    FROM written WHERE l <> '')
  SELECT min(line), substring(min(l) FILTER (WHERE l ~ '^:\d\d[A-Z]?:') FROM '^:(\d\d[A-Z]?):'),
         string_agg(regexp_replace(l, '^:\d\d[A-Z]?:', ''), E'\n' ORDER BY line)
  FROM numbered GROUP BY field ORDER BY 1
$$;
COMMENT ON FUNCTION erp_webhook.mt940_fields(text) IS
  'the fields of an MT940 file with the line each begins on; wrapped lines stay joined by a line feed';

-- Codes between slashes (/EREF/…/NAME/…), numbered subfields (?20…?32…), or plain words. Wrapping is undone by joining
-- what the bank cut at its line width, and by a blank where the line was shorter.
CREATE FUNCTION erp_webhook.mt940_details(said text) RETURNS TABLE (end_to_end_id text, counterparty text, reference text)
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  codes CONSTANT text :=
    'EREF|KREF|MREF|PREF|IREF|NAME|REMI|IBAN|BIC|TRTP|MARF|CSID|BENM|ORDP|ISDT|TRCD|RTRN|ADDR|ULTB|ULTD|PURP|CREF|SVCL|CNTP';
  flat text;
  purpose text;
BEGIN
  IF said ~ '^/' THEN
    flat := '/' || btrim(replace(said, E'\n', ''), '/') || '/';
    end_to_end_id := substring(flat FROM '/EREF/(.*?)/(?:(?:' || codes || ')/|$)');
    counterparty := coalesce(substring(flat FROM '/NAME/(.*?)/(?:(?:' || codes || ')/|$)'));
    reference := coalesce(substring(flat FROM '/REMI/(.*?)/(?:(?:' || codes || ')/|$)'), flat);
    reference := regexp_replace(reference, '^(USTD|STRD)//', '');
  ELSIF said ~ '^\d{3}\?|\?[0-9]{2}' THEN
    flat := replace(said, E'\n', '');
    SELECT string_agg(m[2], '' ORDER BY n) FILTER (WHERE m[1] ~ '^(2\d|6[0-3])$'),
           string_agg(m[2], '' ORDER BY n) FILTER (WHERE m[1] IN ('32', '33'))
    INTO purpose, counterparty
    FROM regexp_matches(flat, '\?(\d\d)([^?]*)', 'g') WITH ORDINALITY AS f (m, n);
    end_to_end_id := btrim(substring(purpose FROM 'EREF\+(.*?)(?:[A-Z]{4}\+|$)'));
    reference := coalesce(btrim(substring(purpose
                                          FROM 'SVWZ\+(.*?)(?:(?:EREF|KREF|MREF|CRED|DEBT|ABWA|ABWE|IBAN|BIC)\+|$)')), purpose);
  ELSE
    reference := regexp_replace(regexp_replace(said, E'([^\n]{65})\n', '\1', 'g'), E' ?\n', ' ', 'g');
  END IF;
  end_to_end_id := erp_webhook.given_ref(end_to_end_id);
  counterparty := nullif(btrim(counterparty), '');
  reference := nullif(btrim(reference), '');
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION erp_webhook.mt940_details(text) IS 'id, counterparty and reference out of a :86: field';

-- :61: value date, entry date (without a year), mark, amount, type, customer's reference, //bank's reference.
CREATE FUNCTION erp_webhook.mt940_entry(said text, at_line int, head erp_webhook.statement_record)
RETURNS erp_webhook.statement_record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  part text[] := regexp_match(
    said, '^(\d{6})(\d{4})?(R?[CD]|E[CD])([A-Z])?(\d[\d,]*)([A-Z][A-Z0-9]{3})([^\n]*?)(?://([^\n]*))?(?:\n(.*))?$');
  r erp_webhook.statement_record := head;
BEGIN
  IF part IS NULL THEN
    PERFORM erp_webhook.refuse_statement(at_line, format('"%s" is not a :61: entry', left(said, 60)));
  END IF;
  r.what := CASE WHEN part[3] LIKE 'E%' THEN 'pending' ELSE 'entry' END;
  r.line := at_line;
  r.value_date := erp_webhook.statement_date(part[1], at_line, 'YYMMDD');
  -- The entry date has no year: that of the value date,
  -- or the one before or after where the turn of the year lies between.
  r.booking_date := coalesce(
    (SELECT c.day FROM generate_series(-1, 1) y,
       LATERAL (SELECT CASE WHEN part[2] = '0229' AND (extract(year FROM r.value_date)::int + y) % 4 <> 0 THEN NULL
                            ELSE erp_webhook.statement_date(
                              to_char(extract(year FROM r.value_date)::int + y, 'FM0000') || part[2],
                              at_line, 'YYYYMMDD') END) c (day)
     WHERE part[2] IS NOT NULL ORDER BY abs(c.day - r.value_date) LIMIT 1), r.value_date);
  r.reversal := part[3] LIKE 'R%';
  r.amount := CASE WHEN part[3] IN ('C', 'RD', 'EC') THEN 1 ELSE -1 END
              * erp_webhook.statement_amount(part[5], r.currency, at_line, ',');
  r.bank_ref := erp_webhook.given_ref(part[8]);
  r.end_to_end_id := erp_webhook.given_ref(part[7]);
  r.reference := r.end_to_end_id;
  RETURN r;
END
$$;
COMMENT ON FUNCTION erp_webhook.mt940_entry(text, int, erp_webhook.statement_record) IS
  'one :61: field; RC takes a credit back and RD a debit';

CREATE FUNCTION erp_webhook.mt940_balance(said text, at_line int, OUT currency text, OUT day date, OUT amount numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  part text[] := regexp_match(btrim(said), '^([CD])(\d{6})([A-Z]{3})(\d[\d,]*)$');
BEGIN
  IF part IS NULL THEN
    PERFORM erp_webhook.refuse_statement(at_line, format('"%s" is not a balance', left(said, 60)));
  END IF;
  currency := part[3];
  day := erp_webhook.statement_date(part[2], at_line, 'YYMMDD');
  amount := CASE part[1] WHEN 'C' THEN 1 ELSE -1 END * erp_webhook.statement_amount(part[4], currency, at_line, ',');
END
$$;
COMMENT ON FUNCTION erp_webhook.mt940_balance(text, int) IS 'one :60: or :62: field';

CREATE FUNCTION erp_webhook.read_mt940(content bytea) RETURNS SETOF erp_webhook.statement_record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  f record;
  head erp_webhook.statement_record;
  entry erp_webhook.statement_record;
  statement int := 0;
  balance record;
  details record;
BEGIN
  FOR f IN SELECT * FROM erp_webhook.mt940_fields(erp_webhook.mt940_text(content)) LOOP
    IF entry.what IS NOT NULL AND f.tag IS DISTINCT FROM '86' THEN
      IF entry.what = 'entry' THEN RETURN NEXT entry; END IF;
      entry := NULL;
    END IF;
    CASE
      WHEN f.tag = '20' THEN
        IF head.what IS NOT NULL THEN
          PERFORM erp_webhook.refuse_statement(f.line, 'a new statement begins before the last one closed');
        END IF;
        statement := statement + 1;
        head := NULL;
        head.what := 'statement';
        head.line := f.line;
        head.statement_no := statement;
        head.statement_ref := f.said;
      WHEN head.what IS NULL THEN
        IF f.tag IS NOT NULL AND f.tag NOT IN ('64', '65', '86') THEN
          PERFORM erp_webhook.refuse_statement(f.line, format(':%s: before any :20:', f.tag));
        END IF;
      WHEN f.tag IN ('25', '25P') THEN head.account := split_part(f.said, E'\n', 1);
      WHEN f.tag = '28C' THEN head.statement_ref := head.statement_ref || ' ' || f.said;
      WHEN f.tag IN ('60F', '60M') THEN
        balance := erp_webhook.mt940_balance(f.said, f.line);
        head.currency := balance.currency; head.opening := balance.amount; head.from_date := balance.day;
        -- Some banks write the currency behind the account number.
        head.account := regexp_replace(head.account, '([0-9A-Z]{8,}) ?' || balance.currency || '$', '\1');
      WHEN f.tag = '61' THEN
        IF head.currency IS NULL THEN PERFORM erp_webhook.refuse_statement(f.line, 'an entry before the opening balance'); END IF;
        entry := erp_webhook.mt940_entry(f.said, f.line, head);
      WHEN f.tag = '86' AND entry.what IS NOT NULL THEN
        details := erp_webhook.mt940_details(f.said);
        entry.end_to_end_id := coalesce(details.end_to_end_id, entry.end_to_end_id);
        entry.counterparty := details.counterparty;
        entry.reference := coalesce(details.reference, entry.reference);
      WHEN f.tag IN ('62F', '62M') THEN
        balance := erp_webhook.mt940_balance(f.said, f.line);
        IF balance.currency IS DISTINCT FROM head.currency THEN
          PERFORM erp_webhook.refuse_statement(f.line, 'closes in another currency than it opened');
        END IF;
        head.closing := balance.amount; head.to_date := balance.day;
        RETURN NEXT head;
        head := NULL;
      ELSE NULL;
    END CASE;
  END LOOP;
  IF entry.what IS NOT NULL OR head.what IS NOT NULL THEN
    PERFORM erp_webhook.refuse_statement(coalesce(entry.line, head.line), 'the statement never closes: no :62F:');
  ELSIF statement = 0 THEN
    PERFORM erp_webhook.refuse_statement(1, 'no statement in it: no :20:');
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_mt940(bytea) IS 'statements and booked entries of an MT940 file';

CREATE FUNCTION erp_webhook.mt940_text(content bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- The standard allows plain ASCII; banks that go beyond it write UTF-8 or Windows-1252.
  RETURN erp_webhook.statement_text(content, 'UTF8');
EXCEPTION WHEN bad_copy_file_format THEN
  RETURN erp_webhook.statement_text(content, 'WIN1252');
END
$$;
COMMENT ON FUNCTION erp_webhook.mt940_text(bytea) IS 'the text of an MT940 file';
