-- Importing a bank file: read it, check it whole, keep what is new, and let the books follow, all in one transaction.

CREATE VIEW erp_webhook.bank_line WITH (security_invoker = true) AS
  SELECT e.company_id, e.line_id, e.statement_id, e.object_ref, e.account, e.booking_date, e.value_date, e.amount,
         e.currency, e.reference, e.counterparty,
         e.end_to_end_id, e.bank_ref, e.batch_ref, e.reversal
  FROM erp_webhook.bank_entry e WHERE e.counts;
COMMENT ON VIEW erp_webhook.bank_line IS 'each movement of money at a bank once, signed, whatever files repeat it';

CREATE FUNCTION erp_webhook.read_statement(company_id int, format text, content bytea, account text, currency text,
                                           dialect text)
RETURNS SETOF erp_webhook.statement_record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kind text := lower(translate(format, ' _-', ''));
BEGIN
  IF octet_length(content) > 32 * 1024 * 1024 THEN
    RAISE EXCEPTION 'bank file of % bytes is larger than 32 MB', octet_length(content)
      USING ERRCODE = 'program_limit_exceeded';
  ELSIF content IS NULL OR octet_length(content) = 0 THEN
    PERFORM erp_webhook.refuse_statement(1, 'the file is empty');
  ELSIF kind ~ '^camt\.?05[234]' THEN
    RETURN QUERY SELECT * FROM erp_webhook.read_camt(content, 'camt.' || substring(kind FROM '05[234]'));
  ELSIF kind ~ '^(mt|swift)?940' THEN
    RETURN QUERY SELECT * FROM erp_webhook.read_mt940(content);
  ELSIF kind ~ '^csv' THEN
    RETURN QUERY SELECT * FROM erp_webhook.read_csv(content, erp_webhook.csv_dialect_of(company_id, dialect, content),
                                                    account, currency);
  ELSE
    RAISE EXCEPTION 'no such statement format: %', format
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Formats: camt.052, camt.053, camt.054, mt940, csv.';
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_statement(int, text, bytea, text, text, text) IS
  'what a bank file says; raises 22P04 with line and reason where it is broken';

-- Every entry has an account and a statement; a statement that opens and closes adds up.
CREATE FUNCTION erp_webhook.check_statement(records erp_webhook.statement_record[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  wrong record;
BEGIN
  SELECT r.line INTO wrong FROM unnest(records) r WHERE coalesce(r.account, '') = '' ORDER BY r.line LIMIT 1;
  IF FOUND THEN
    PERFORM erp_webhook.refuse_statement(wrong.line, 'no account: the file names none and none was given');
  END IF;
  SELECT h.line, h.statement_ref, h.opening, h.closing, h.currency, coalesce(e.moved, 0) AS moved INTO wrong
  FROM unnest(records) h
  LEFT JOIN (SELECT statement_no, currency, sum(amount) AS moved
             FROM unnest(records) WHERE what = 'entry' GROUP BY statement_no, currency) e
    ON e.statement_no = h.statement_no AND e.currency = h.currency
  WHERE h.what = 'statement' AND h.opening + coalesce(e.moved, 0) <> h.closing ORDER BY h.line LIMIT 1;
  IF FOUND THEN
    PERFORM erp_webhook.refuse_statement(wrong.line,
                                         format('statement %s does not add up: opening %s + entries %s = %s, closing says %s %s',
      wrong.statement_ref, wrong.opening, wrong.moved, wrong.opening + wrong.moved, wrong.closing, wrong.currency));
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.check_statement(erp_webhook.statement_record[]) IS
  'raises where a bank file does not name its account or does not add up';

-- Keep the statements; entries of a file without statements of its own (CSV) get one per account and currency.
CREATE FUNCTION erp_webhook.keep_statements(company_id int, file_id bigint, records erp_webhook.statement_record[])
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO erp_webhook.bank_statement (company_id, file_id, statement_no, statement_ref, account, currency, from_date,
                                          to_date, opening_balance, closing_balance)
  SELECT company_id, file_id, r.statement_no, coalesce(min(r.statement_ref), 'file'), r.account, r.currency,
         coalesce(min(r.from_date), min(r.booking_date)), greatest(max(r.to_date), max(r.booking_date)), min(r.opening),
         min(r.closing)
  FROM unnest(records) r WHERE r.currency IS NOT NULL
  GROUP BY r.statement_no, r.account, r.currency ORDER BY r.statement_no, r.currency
$$;
COMMENT ON FUNCTION erp_webhook.keep_statements(int, bigint, erp_webhook.statement_record[]) IS
  'one row per statement, account and currency of a file';

-- An entry is known by the bank's reference and its amount, or by its content where the bank gives none; of several
-- equal ones in a file, by which it is. So files that overlap, in any order, hold each entry as often
-- as the one that shows it most.
CREATE FUNCTION erp_webhook.name_entries(records erp_webhook.statement_record[])
RETURNS TABLE (object_ref text, r erp_webhook.statement_record)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH said AS (
    SELECT t AS r, concat_ws('/', t.account,
      coalesce(t.bank_ref,
               left(encode(sha256(convert_to(jsonb_build_array(t.booking_date, t.value_date, t.end_to_end_id,
                                                               t.reference, t.counterparty,
                                                                           t.batch_ref)::text, 'UTF8')), 'hex'), 16)),
      t.amount || ' ' || t.currency) AS name
    FROM unnest(records) t WHERE t.what = 'entry'),
  counted AS (SELECT name, r, row_number() OVER (PARTITION BY name ORDER BY (r).statement_no, (r).line) AS nth FROM said)
  SELECT name || CASE nth WHEN 1 THEN '' ELSE '/' || nth END, r FROM counted
$$;
COMMENT ON FUNCTION erp_webhook.name_entries(erp_webhook.statement_record[]) IS
  'the entries of a file, each with what makes it this one';

-- Where two files describe an entry differently, the longer text stays, whichever came first.
CREATE FUNCTION erp_webhook.keep_entries(company_id int, file_id bigint, records erp_webhook.statement_record[])
RETURNS bigint[]
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH kept AS (
    INSERT INTO erp_webhook.bank_entry AS b (company_id, statement_id, object_ref, account, booking_date, value_date,
                                             amount, currency,
                                             reference, counterparty, end_to_end_id, bank_ref, batch_ref, reversal)
    SELECT keep_entries.company_id, s.statement_id, n.object_ref, (n.r).account, (n.r).booking_date, (n.r).value_date,
           (n.r).amount, (n.r).currency,
           (n.r).reference, (n.r).counterparty, (n.r).end_to_end_id, (n.r).bank_ref, (n.r).batch_ref, (n.r).reversal
    FROM erp_webhook.name_entries(records) n
    JOIN erp_webhook.bank_statement s ON s.company_id = keep_entries.company_id AND s.file_id = keep_entries.file_id
      AND s.statement_no = (n.r).statement_no AND s.account = (n.r).account AND s.currency = (n.r).currency
    ORDER BY (n.r).statement_no, (n.r).line, n.object_ref
    ON CONFLICT (company_id, object_ref) DO UPDATE SET
      booking_date = least(b.booking_date, excluded.booking_date), value_date = least(b.value_date, excluded.value_date),
      reference = erp_webhook.fuller(b.reference, excluded.reference),
      counterparty = erp_webhook.fuller(b.counterparty, excluded.counterparty),
      end_to_end_id = erp_webhook.fuller(b.end_to_end_id, excluded.end_to_end_id),
      batch_ref = erp_webhook.fuller(b.batch_ref, excluded.batch_ref),
      reversal = b.reversal OR excluded.reversal
    RETURNING b.line_id)
  SELECT coalesce(array_agg(line_id ORDER BY line_id), '{}') FROM kept
$$;
COMMENT ON FUNCTION erp_webhook.keep_entries(int, bigint, erp_webhook.statement_record[]) IS
  'store the entries of a file, each once; returns all of them, new or known';

CREATE FUNCTION erp_webhook.fuller(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN a IS NULL THEN b WHEN b IS NULL THEN a WHEN length(a) <> length(b) THEN
              CASE WHEN length(a) > length(b) THEN a ELSE b END
            ELSE greatest(a COLLATE "C", b COLLATE "C") END;
COMMENT ON FUNCTION erp_webhook.fuller(text, text) IS 'the longer of two texts, the same whichever comes first';

-- The same money twice: a batch and its parts (the parts if they add up, else the batch), and an entry without the
-- bank's reference beside one that has it (same amount, currency, value date and end-to-end id:
-- SETTLEMENT.md section 3).
CREATE FUNCTION erp_webhook.count_once(company_id int, line_ids bigint[]) RETURNS TABLE (line_id bigint, counts boolean)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH fresh AS (
    SELECT e.* FROM erp_webhook.bank_entry e WHERE e.company_id = count_once.company_id AND e.line_id = ANY (line_ids)),
  batch AS (
    SELECT b.line_id, b.account, b.currency, b.bank_ref,
           b.amount = (SELECT sum(p.amount) FROM erp_webhook.bank_entry p
                       WHERE p.company_id = b.company_id AND p.batch_ref = b.bank_ref AND p.account = b.account
                         AND p.currency = b.currency) AS complete
    FROM erp_webhook.bank_entry b
    WHERE b.company_id = count_once.company_id AND b.bank_ref IN (SELECT unnest(ARRAY[bank_ref, batch_ref]) FROM fresh)
      AND EXISTS (SELECT FROM erp_webhook.bank_entry p
                  WHERE p.company_id = b.company_id AND p.batch_ref = b.bank_ref AND p.account = b.account)),
  alike AS (
    SELECT e.line_id, e.bank_ref IS NOT NULL AS has_ref,
           count(*) FILTER (WHERE e.bank_ref IS NOT NULL) OVER same_money AS with_ref,
           row_number() OVER (PARTITION BY e.account, e.currency, e.amount, e.value_date, e.end_to_end_id,
                              e.bank_ref IS NULL ORDER BY e.object_ref COLLATE "C") AS nth
    FROM erp_webhook.bank_entry e
    WHERE e.company_id = count_once.company_id AND e.end_to_end_id IN (SELECT f.end_to_end_id FROM fresh f)
    WINDOW same_money AS (PARTITION BY e.account, e.currency, e.amount, e.value_date, e.end_to_end_id)),
  ought AS (
    SELECT b.line_id, NOT b.complete AS counts FROM batch b
    UNION ALL
    SELECT p.line_id, b.complete FROM batch b JOIN erp_webhook.bank_entry p
      ON p.company_id = count_once.company_id AND p.batch_ref = b.bank_ref AND p.account = b.account
      AND p.currency = b.currency
    UNION ALL
    SELECT a.line_id, a.has_ref OR a.nth > a.with_ref FROM alike a)
  UPDATE erp_webhook.bank_entry e SET counts = o.counts
  FROM (SELECT line_id, bool_and(counts) AS counts FROM ought GROUP BY line_id) o
  WHERE e.company_id = count_once.company_id AND e.line_id = o.line_id AND e.counts <> o.counts
  RETURNING e.line_id, e.counts
$$;
COMMENT ON FUNCTION erp_webhook.count_once(int, bigint[]) IS
  'decide again which of the entries that are the same money counts; returns those that changed';

-- A line is a fact like a bank's webhook: source 0, kind bank.credit or bank.debit. What each file says of it is a fact
-- of its own, so the books do not depend on which file came first; the same said again is the same event.
CREATE FUNCTION erp_webhook.tell_entries(company_id int, records erp_webhook.statement_record[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH said AS (
    SELECT n.object_ref, n.r,
           sha256(convert_to(jsonb_build_array((n.r).booking_date, (n.r).value_date, (n.r).amount, (n.r).currency,
                                               (n.r).reference, (n.r).end_to_end_id)::text, 'UTF8')) AS digest
    FROM erp_webhook.name_entries(records) n)
  INSERT INTO erp_webhook.event (company_id, source_id, external_id, type, kind, state, occurred_at, received_at,
                                 object_ref, correlation,
                                 amount, currency, value_date, end_to_end_id, digest, origin)
  SELECT company_id, 0, 'statement:' || object_ref || ':' || left(encode(digest, 'hex'), 16), 'statement',
         CASE WHEN (r).amount < 0 THEN 'bank.debit' ELSE 'bank.credit' END,
         CASE WHEN (r).amount = 0 THEN 'no_effect' ELSE 'applied' END,
         (r).booking_date::timestamp AT TIME ZONE erp_webhook.policy_on(company_id, 'time_zone', (r).booking_date), now(),
         object_ref,
         CASE WHEN (r).reference IS NOT NULL THEN ARRAY[(r).reference] END, abs((r).amount), (r).currency, (r).value_date,
         (r).end_to_end_id, digest, 'person'
  FROM said ORDER BY 2, 3
  ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION erp_webhook.tell_entries(int, erp_webhook.statement_record[]) IS
  'make facts of the entries of a file; they are settled at once';

CREATE FUNCTION erp_webhook.settle_lines(company_id int, line_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM erp_webhook.settle(settle_lines.company_id, array_agg(e ORDER BY e.event_id))
  FROM erp_webhook.bank_entry b
  JOIN erp_webhook.money_object o
    ON o.company_id = b.company_id AND o.source_id = 0 AND o.object = 'bank' AND o.object_ref = b.object_ref
  CROSS JOIN LATERAL unnest(o.facts) f (event_id)
  JOIN erp_webhook.event e ON e.company_id = o.company_id AND e.event_id = f.event_id
  WHERE b.company_id = settle_lines.company_id AND b.line_id = ANY (line_ids)
  HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_lines(int, bigint[]) IS 'settle lines again that began or ceased to count';

CREATE FUNCTION erp_webhook.import_statement(company text, format text, content bytea, account text DEFAULT NULL,
                                             currency text DEFAULT NULL, dialect text DEFAULT NULL)
RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  company_id int := erp_webhook.find_company(company);
  digest bytea := sha256(coalesce(content, '') || convert_to(concat_ws('|', account, currency, dialect), 'UTF8'));
  records erp_webhook.statement_record[];
  file_id bigint;
  newest bigint;
  lines bigint[];
  changed bigint[];
BEGIN
  PERFORM erp_webhook.check_access(company_id, 'admin');
  -- Two imports at once that hold the same line, or a batch and its parts, must see each other.
  PERFORM erp_webhook.lock_matching(company_id);
  IF EXISTS (SELECT FROM erp_webhook.bank_file f WHERE f.company_id = company_id AND f.digest = digest) THEN
    RETURN 0;
  END IF;

  SELECT array_agg((r.what, r.line, r.statement_no, r.statement_ref,
                    upper(translate(coalesce(r.account, account), ' ', '')), r.currency, r.from_date, r.to_date,
                    r.opening, r.closing, r.booking_date, r.value_date, r.amount, r.reference, r.counterparty,
                    r.end_to_end_id, r.bank_ref,
                    r.batch_ref, r.reversal)::erp_webhook.statement_record) INTO records
  FROM erp_webhook.read_statement(company_id, format, content, account, currency, dialect) r;
  PERFORM erp_webhook.check_statement(records);

  SELECT coalesce(max(e.line_id), 0) INTO newest FROM erp_webhook.bank_entry e WHERE e.company_id = company_id;
  INSERT INTO erp_webhook.bank_file AS f (company_id, format, digest, content)
    VALUES (company_id, lower(format), digest, content) RETURNING f.file_id INTO file_id;
  PERFORM erp_webhook.keep_statements(company_id, file_id, records);
  lines := erp_webhook.keep_entries(company_id, file_id, records);
  changed := ARRAY(SELECT c.line_id FROM erp_webhook.count_once(company_id, lines) c);
  PERFORM erp_webhook.tell_entries(company_id, records);
  PERFORM erp_webhook.settle_lines(company_id, changed);
  RETURN (SELECT count(*) FROM erp_webhook.bank_entry e WHERE e.company_id = company_id AND e.line_id > newest AND e.counts);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.import_statement(text, text, bytea, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.import_statement(text, text, bytea, text, text, text) IS
  'import a bank file (camt.052, camt.053, camt.054, mt940, csv); returns how many lines it added, 0 for one already '
  'known. account and currency serve files that do not say them, dialect names a row of csv_dialect (default: found by '
  'the headings). A broken file raises 22P04 and changes nothing';
