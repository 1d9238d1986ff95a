-- Bank files, the ground: bytes to text, and text to amounts and dates, each refusing with the line and the reason.

CREATE FUNCTION erp_webhook.refuse_statement(line int, why text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'bank file line %: %', line, why
    USING ERRCODE = 'bad_copy_file_format', HINT = 'Nothing of the file was imported.';
END
$$;
COMMENT ON FUNCTION erp_webhook.refuse_statement(int, text) IS
  'raises 22P04: the file is broken at this line, for this reason';

-- Which line holds the first bytes that are not of this encoding; asked only once it is known that one does.
CREATE FUNCTION erp_webhook.undecodable_line(content bytea, encoding text) RETURNS int
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  line int := 1;
  rest bytea := content;
  cut int;
BEGIN
  LOOP
    cut := position('\x0a'::bytea IN rest);
    BEGIN
      PERFORM convert_from(CASE cut WHEN 0 THEN rest ELSE substring(rest FOR cut) END, encoding);
    EXCEPTION WHEN data_exception THEN
      RETURN line;
    END;
    EXIT WHEN cut = 0;
    rest := substring(rest FROM cut + 1);
    line := line + 1;
  END LOOP;
  RETURN line;
END
$$;
COMMENT ON FUNCTION erp_webhook.undecodable_line(bytea, text) IS 'the first line whose bytes are not of the encoding';

CREATE FUNCTION erp_webhook.statement_text(content bytea, encoding text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF encoding = 'UTF8' AND substring(content FOR 3) = '\xefbbbf' THEN
    content := substring(content FROM 4);
  END IF;
  RETURN convert_from(content, encoding);
EXCEPTION WHEN data_exception THEN
  PERFORM erp_webhook.refuse_statement(erp_webhook.undecodable_line(content, encoding), format('not %s text', encoding));
END
$$;
COMMENT ON FUNCTION erp_webhook.statement_text(bytea, text) IS
  'the text of a bank file; the byte order mark does not belong to it';

-- Digits, one decimal mark, digits; grouping only as the dialect writes it. Nothing is ever rounded or guessed.
CREATE FUNCTION erp_webhook.statement_amount(written text, currency text, line int, decimal_mark text DEFAULT '.')
RETURNS numeric
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  said text := btrim(written, E' \t\u00a0');
  grouping_mark text := CASE decimal_mark WHEN ',' THEN '.' ELSE ',' END;
  plain text;
  digits int;
BEGIN
  IF said ~ '^[+-]?\d{1,3}([.,'' ]\d{3})+([.,]\d*)?$'
     AND strpos(regexp_replace(said, '[' || decimal_mark || ']\d*$', ''), decimal_mark) = 0 THEN
    said := translate(said, grouping_mark || ''' ', '');
  END IF;
  plain := translate(said, decimal_mark || '+', '.');
  IF said !~ ('^[+-]?\d{1,20}([' || decimal_mark || ']\d*)?$') OR said IS NULL THEN
    PERFORM erp_webhook.refuse_statement(line, format('"%s" is not an amount', coalesce(left(written, 40), '')));
  END IF;
  SELECT c.digits INTO digits FROM erp_webhook.provider_currency c
  WHERE c.provider = '*' AND c.currency = statement_amount.currency ORDER BY shipped LIMIT 1;
  IF length(rtrim(split_part(plain, '.', 2), '0')) > coalesce(digits, 2) THEN
    PERFORM erp_webhook.refuse_statement(line, format('"%s" has more decimals than %s', left(written, 40), currency));
  END IF;
  RETURN round(rtrim(plain, '.')::numeric, coalesce(digits, 2));
END
$$;
COMMENT ON FUNCTION erp_webhook.statement_amount(text, text, int, text) IS
  'a written amount, strictly read, to the digits of its currency';

CREATE FUNCTION erp_webhook.statement_date(written text, line int, date_format text DEFAULT 'YYYY-MM-DD') RETURNS date
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  said text := btrim(written);
  y text := substr(said, strpos(date_format, 'Y'), CASE WHEN date_format LIKE '%YYYY%' THEN 4 ELSE 2 END);
  m text := substr(said, strpos(date_format, 'MM'), 2);
  d text := substr(said, strpos(date_format, 'DD'), 2);
BEGIN
  IF date_format NOT LIKE '%YYYY%' AND length(said) = length(date_format) + 2 THEN
    RETURN erp_webhook.statement_date(written, line, replace(date_format, 'YY', 'YYYY'));
  END IF;
  IF length(said) <> length(date_format) OR y || m || d !~ '^(\d{6}|\d{8})$'
     OR translate(said, '0123456789', '') <> translate(date_format, 'YMD', '') THEN
    RAISE data_exception;
  END IF;
  RETURN make_date(CASE length(y) WHEN 2 THEN 2000 + y::int ELSE y::int END, m::int, d::int);
EXCEPTION WHEN data_exception THEN
  PERFORM erp_webhook.refuse_statement(line, format('"%s" is not a date (%s)', coalesce(left(written, 40), ''),
                                                    date_format));
END
$$;
COMMENT ON FUNCTION erp_webhook.statement_date(text, int, text) IS
  'a written date, strictly read; a two-digit year is of this century, and a four-digit one is taken where two '
  'were expected';

CREATE FUNCTION erp_webhook.statement_currency(written text, line int) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF written IS NULL OR written !~ '^[A-Z]{3}$' THEN
    PERFORM erp_webhook.refuse_statement(line, format('"%s" is not a currency', coalesce(left(written, 40), '')));
  END IF;
  RETURN written;
END
$$;
COMMENT ON FUNCTION erp_webhook.statement_currency(text, int) IS 'a currency code, or a refusal';

-- Banks fill an id they do not have with words.
CREATE FUNCTION erp_webhook.given_ref(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN btrim(written) ~* '^(NOT ?PROVIDED|NONREF|UNKNOWN|NONE|N/?A|0*|-*)$' THEN NULL ELSE btrim(written) END;
COMMENT ON FUNCTION erp_webhook.given_ref(text) IS 'a reference, or NULL where the bank writes NOTPROVIDED or NONREF';
