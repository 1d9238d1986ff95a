-- Bank files in CSV (RFC 4180), in any dialect that has a row in csv_dialect.

-- One row a record. A quoted field may hold separators, line ends and doubled quotes; a quote anywhere else is refused.
CREATE FUNCTION erp_webhook.csv_records(document text, separator text) RETURNS TABLE (line int, fields text[])
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  sep text := CASE separator WHEN E'\t' THEN '\t' ELSE '\' || separator END;
  whole text := rtrim(replace(document, E'\r\n', E'\n'), E'\n') || E'\n';
  stray int;
BEGIN
  RETURN QUERY
  WITH token AS (
    SELECT n, m[1] AS written, m[2] AS ended, regexp_count(m[1] || m[2], E'\n') AS feeds
    FROM regexp_matches(whole, '("(?:[^"]|"")*"|[^"\n' || sep || ']*)(' || sep || '|\n)', 'g') WITH ORDINALITY AS t (m, n)),
  placed AS (
    SELECT n, written, 1 + coalesce(sum(feeds) OVER before_, 0) AS line,
           coalesce(count(*) FILTER (WHERE ended = E'\n') OVER before_, 0) AS record
    FROM token WINDOW before_ AS (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
  SELECT min(p.line)::int,
         array_agg(CASE WHEN written LIKE '"%' THEN replace(substr(written, 2, length(written) - 2), '""', '"')
                        ELSE written END ORDER BY n)
  FROM placed p GROUP BY record HAVING count(*) > 1 OR max(written) <> '' ORDER BY record;

  -- What the pattern passed over is a quote that does not belong: removing all that was read must leave nothing.
  IF regexp_replace(whole, '("(?:[^"]|"")*"|[^"\n' || sep || ']*)(' || sep || '|\n)', '', 'g') <> '' THEN
    stray := regexp_instr(whole, '(^|[\n' || sep || '])([^"\n' || sep || ']+"|"(?:[^"]|"")*("[^"\n' || sep || ']|$))');
    PERFORM erp_webhook.refuse_statement(1 + regexp_count(left(whole, greatest(stray, 1)), E'\n'),
                                         'a quote that is not closed, or stands inside a field');
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.csv_records(text, text) IS 'the records of a CSV text with the line each begins on';

-- The dialect's headings, looked up in the file's first record; NULL if one that is needed is not there.
CREATE FUNCTION erp_webhook.csv_places(columns jsonb, headings text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN (
  WITH wanted AS (
    SELECT c.key, h.heading, h.n, array_position(headings, h.heading) AS place
    FROM jsonb_each(columns) c,
         jsonb_array_elements_text(CASE jsonb_typeof(c.value) WHEN 'array' THEN c.value
                                        ELSE jsonb_build_array(c.value) END) WITH ORDINALITY AS h (heading, n))
  SELECT CASE WHEN bool_and(place IS NOT NULL) FILTER (WHERE key IN ('booking_date', 'amount', 'credit', 'debit', 'direction'))
              THEN jsonb_object_agg(key, places) FILTER (WHERE places <> '[]') END
  FROM (SELECT key, min(place) AS place,
        coalesce(jsonb_agg(place ORDER BY n) FILTER (WHERE place IS NOT NULL),
                 '[]') AS places FROM wanted GROUP BY key) AS found);
COMMENT ON FUNCTION erp_webhook.csv_places(jsonb, text[]) IS 'field → places in a record, or NULL: not this dialect';

CREATE FUNCTION erp_webhook.csv_value(fields text[], places jsonb, field text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN (SELECT nullif(string_agg(nullif(btrim(fields[p::int]), ''), ' ' ORDER BY n), '')
        FROM jsonb_array_elements_text(places -> field) WITH ORDINALITY AS t (p, n));
COMMENT ON FUNCTION erp_webhook.csv_value(text[], jsonb, text) IS 'one field of a record, NULL if empty';

-- The dialect named, else the first whose headings the file has: the company's own before the shipped ones.
CREATE FUNCTION erp_webhook.csv_dialect_of(company_id int, dialect text, content bytea) RETURNS erp_webhook.csv_dialect
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  d erp_webhook.csv_dialect;
  headings text[];
BEGIN
  FOR d IN
    SELECT * FROM erp_webhook.csv_dialect c
    WHERE c.company_id IN (csv_dialect_of.company_id, 0)
      AND (csv_dialect_of.dialect IS NULL OR c.dialect = csv_dialect_of.dialect)
    ORDER BY c.company_id = 0, (SELECT count(*) FROM jsonb_object_keys(c.columns)) DESC, c.dialect COLLATE "C"
  LOOP
    IF csv_dialect_of.dialect IS NOT NULL THEN RETURN d; END IF;
    -- Looked at loosely: a file of another separator is no error here. The reader itself is strict.
    headings := string_to_array(rtrim(split_part(convert_from(content, 'LATIN1'), E'\n', 1), E'\r'), d.separator);
    headings := ARRAY(SELECT btrim(regexp_replace(h, '^\u00ef\u00bb\u00bf', ''), '"')
                      FROM unnest(headings) WITH ORDINALITY t (h, n) ORDER BY n);
    IF erp_webhook.csv_places(d.columns, headings) IS NOT NULL THEN RETURN d; END IF;
  END LOOP;
  IF csv_dialect_of.dialect IS NOT NULL THEN
    RAISE EXCEPTION 'no CSV dialect "%"', csv_dialect_of.dialect USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM erp_webhook.refuse_statement(1, 'its headings are those of no dialect in csv_dialect');
END
$$;
COMMENT ON FUNCTION erp_webhook.csv_dialect_of(int, text, bytea) IS 'the dialect a CSV file is written in';

CREATE FUNCTION erp_webhook.csv_amount(fields text[], places jsonb, currency text, line int, d erp_webhook.csv_dialect)
RETURNS numeric
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT sum(CASE WHEN c.field = 'debit'
                    OR upper(erp_webhook.csv_value(fields, places, 'direction')) IN ('D', 'DEBIT', 'DBIT', 'AF', 'S', 'SOLL')
                  THEN -1 ELSE 1 END
             * erp_webhook.statement_amount(erp_webhook.csv_value(fields, places, c.field), currency, line, d.decimal_mark))
  FROM (VALUES ('amount'), ('credit'), ('debit')) c (field)
  WHERE places ? c.field AND (c.field = 'amount' OR erp_webhook.csv_value(fields, places, c.field) IS NOT NULL)
$$;
COMMENT ON FUNCTION erp_webhook.csv_amount(text[], jsonb, text, int, erp_webhook.csv_dialect) IS
  'the signed amount of a record';

CREATE FUNCTION erp_webhook.read_csv(content bytea, d erp_webhook.csv_dialect, account text, currency text)
RETURNS SETOF erp_webhook.statement_record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  document text;
  places jsonb;
  width int;
  csv record;
  r erp_webhook.statement_record;
BEGIN
  BEGIN
    document := erp_webhook.statement_text(content, 'UTF8');
  EXCEPTION WHEN bad_copy_file_format THEN
    document := erp_webhook.statement_text(content, d.encoding);
  END;
  FOR csv IN SELECT * FROM erp_webhook.csv_records(document, d.separator) LOOP
    IF places IS NULL THEN
      places := erp_webhook.csv_places(d.columns, csv.fields);
      width := cardinality(csv.fields);
      IF places IS NULL THEN
        PERFORM erp_webhook.refuse_statement(csv.line, format('its headings are not those of dialect %s', d.dialect));
      END IF;
      CONTINUE;
    END IF;
    IF cardinality(csv.fields) <> width THEN
      PERFORM erp_webhook.refuse_statement(csv.line, format('%s fields where the headings are %s',
                                                            cardinality(csv.fields), width));
    END IF;
    r := NULL;
    r.what := 'entry';
    r.line := csv.line;
    r.statement_no := 1;
    r.account := coalesce(erp_webhook.csv_value(csv.fields, places, 'account'), read_csv.account);
    r.currency := erp_webhook.statement_currency(coalesce(erp_webhook.csv_value(csv.fields, places, 'currency'),
                                                          read_csv.currency), csv.line);
    r.booking_date := erp_webhook.statement_date(erp_webhook.csv_value(csv.fields, places, 'booking_date'), csv.line,
                                                 d.date_format);
    r.value_date := erp_webhook.statement_date(coalesce(erp_webhook.csv_value(csv.fields, places, 'value_date'),
                                                        erp_webhook.csv_value(csv.fields, places, 'booking_date')),
                                               csv.line, d.date_format);
    r.amount := erp_webhook.csv_amount(csv.fields, places, r.currency, csv.line, d);
    IF r.amount IS NULL THEN PERFORM erp_webhook.refuse_statement(csv.line, 'no amount'); END IF;
    r.reference := erp_webhook.csv_value(csv.fields, places, 'reference');
    r.counterparty := erp_webhook.csv_value(csv.fields, places, 'counterparty');
    r.end_to_end_id := erp_webhook.given_ref(erp_webhook.csv_value(csv.fields, places, 'end_to_end_id'));
    r.bank_ref := erp_webhook.given_ref(erp_webhook.csv_value(csv.fields, places, 'bank_ref'));
    r.reversal := false;
    RETURN NEXT r;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_csv(bytea, erp_webhook.csv_dialect, text, text) IS
  'the entries of a CSV file; a line without its own account or currency takes those given';
