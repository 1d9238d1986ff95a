-- What would the books be under today's rules? Being a function of the facts, they can be made a second time: in a
-- scratch company with the same accounts, invoices, links and policies, from the same facts, of which some are read
-- anew from the received bytes. The two are compared and the scratch company is rolled back,
-- so nothing of it ever happened.
--
-- Its cost is the history of the company.

CREATE TYPE erp_webhook.book_difference AS (what text, ref text, currency text, today text, anew text);
COMMENT ON TYPE erp_webhook.book_difference IS
  'a figure that differs: of an event (what it says), a ledger account, an invoice or a customer account; today as it stands, anew under today''s rules';

-- Copy the rows of a table to the scratch company; derived columns stay at their defaults.
CREATE FUNCTION erp_webhook.copy_rows(relation regclass, from_company int, to_company int, leave_out text[] DEFAULT '{}')
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  columns text := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                     AND a.attname <> 'company_id' AND a.attname <> ALL (leave_out));
BEGIN
  EXECUTE format('INSERT INTO %1$s (company_id, %2$s) SELECT $2, %2$s FROM %1$s WHERE company_id = $1', relation, columns)
    USING from_company, to_company;
END
$$;
COMMENT ON FUNCTION erp_webhook.copy_rows(regclass, int, int, text[]) IS 'copy what a company has in a table to another';

-- The facts as they would be read today: those of the deliveries named from their bytes, all others as they stand. What
-- only was kept until the provider confirmed it stays confirmed. Of two deliveries with one id
-- the one that was kept is read.
CREATE FUNCTION erp_webhook.facts_anew(company_id int, deliveries bigint[]) RETURNS SETOF erp_webhook.event
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH read AS (
    SELECT d.delivery_id, d.received_at, d.signed_at, d.source_id, r.*
    FROM erp_webhook.delivery d
    JOIN erp_webhook.source s ON s.company_id = d.company_id AND s.source_id = d.source_id
    CROSS JOIN LATERAL erp_webhook.read_body(
      erp_webhook.provider_reading(s.provider), erp_webhook.provider_events(s.provider), s.settings,
      d.headers::jsonb, d.body, d.method, d.url, s.trust) r
    WHERE d.company_id = facts_anew.company_id AND d.delivery_id = ANY (facts_anew.deliveries)
  ), settled AS (
    SELECT e.* FROM erp_webhook.event e
    WHERE e.company_id = facts_anew.company_id
      AND (e.delivery_id IS NULL OR e.delivery_id <> ALL (facts_anew.deliveries) OR e.origin <> 'push'
           OR EXISTS (SELECT FROM read r WHERE r.source_id = e.source_id AND r.external_id = e.external_id
                        AND r.state = 'waiting' AND e.state = 'applied')
           OR NOT EXISTS (SELECT FROM erp_webhook.delivery d WHERE d.company_id = e.company_id AND d.delivery_id = e.delivery_id))
  )
  SELECT s.* FROM settled s
  UNION ALL
  (SELECT DISTINCT ON (r.source_id, r.external_id) f.*
  FROM read r
  LEFT JOIN erp_webhook.event e
    ON e.company_id = facts_anew.company_id AND e.source_id = r.source_id AND e.external_id = r.external_id
  CROSS JOIN LATERAL jsonb_populate_record(NULL::erp_webhook.event, to_jsonb(r) || jsonb_build_object(
    'company_id', facts_anew.company_id, 'origin', 'push', 'attempts', 0,
    'event_id', coalesce(e.event_id, nextval('erp_webhook.event_event_id_seq')))) f
  WHERE NOT EXISTS (SELECT FROM settled s WHERE s.source_id = r.source_id AND s.external_id = r.external_id)
  ORDER BY r.source_id, r.external_id, r.delivery_id IS DISTINCT FROM e.delivery_id, r.delivery_id);
END
$$;
COMMENT ON FUNCTION erp_webhook.facts_anew(int, bigint[]) IS 'all events of a company, those of the deliveries named read anew';

CREATE FUNCTION erp_webhook.scratch_company(company_id int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  scratch int;
  relation regclass;
BEGIN
  INSERT INTO erp_webhook.company (name, currency)
  SELECT 'dry run ' || gen_random_uuid(), c.currency FROM erp_webhook.company c WHERE c.company_id = scratch_company.company_id
  RETURNING company.company_id INTO scratch;
  DELETE FROM erp_webhook.policy p WHERE p.company_id = scratch;
  INSERT INTO erp_webhook.source (company_id, source_id, name, provider, settings, trust, active)
  SELECT scratch, s.source_id, s.name, s.provider, s.settings, s.trust, s.active
  FROM erp_webhook.source s WHERE s.company_id = scratch_company.company_id AND s.source_id <> 0;
  FOREACH relation IN ARRAY '{erp_webhook.policy,erp_webhook.account,erp_webhook.account_link,erp_webhook.bank_account,
                              erp_webhook.match_rule,erp_webhook.bank_decision,erp_webhook.bank_file,erp_webhook.bank_statement,erp_webhook.bank_entry}'::regclass[] LOOP
    PERFORM erp_webhook.copy_rows(relation, scratch_company.company_id, scratch, '{state}');
  END LOOP;
  PERFORM erp_webhook.copy_rows('erp_webhook.invoice', scratch_company.company_id, scratch,
                                '{credited,paid,written_off,elsewhere,state}');
  RETURN scratch;
END
$$;
COMMENT ON FUNCTION erp_webhook.scratch_company(int) IS
  'a company with the same accounts, invoices, links and policies, and no facts yet';

CREATE FUNCTION erp_webhook.figures(company_id int) RETURNS TABLE (what text, ref text, currency text, figure text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'ledger account', b.ledger_account, b.currency, trim_scale(b.balance)::text
  FROM erp_webhook.ledger_balance b WHERE b.company_id = figures.company_id
  UNION ALL
  SELECT 'invoice', i.number, i.currency, format('%s: paid %s, credited %s', i.state, trim_scale(i.paid), trim_scale(i.credited))
  FROM erp_webhook.invoice i WHERE i.company_id = figures.company_id
  UNION ALL
  SELECT 'customer account', b.account_no, b.currency, format('%s, %s', trim_scale(b.balance), b.state)
  FROM erp_webhook.account_balance b WHERE b.company_id = figures.company_id
  UNION ALL
  SELECT 'event', s.name || ' ' || e.external_id, coalesce(e.currency, ''),
         concat_ws(' ', e.kind, e.state, e.reason, e.object_ref, trim_scale(e.amount), array_to_string(e.correlation, ','))
  FROM erp_webhook.event e JOIN erp_webhook.source s ON s.company_id = e.company_id AND s.source_id = e.source_id
  WHERE e.company_id = figures.company_id
$$;
COMMENT ON FUNCTION erp_webhook.figures(int) IS
  'the books of a company as comparable lines; an event without a currency has the empty one';

CREATE FUNCTION erp_webhook.books_anew(company_id int, deliveries bigint[]) RETURNS SETOF erp_webhook.book_difference
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  scratch int;
  facts erp_webhook.event[];
  found erp_webhook.book_difference[];
BEGIN
  BEGIN
    scratch := erp_webhook.scratch_company(books_anew.company_id);
    FOR facts IN
      SELECT array_agg(moved ORDER BY n.event_id)
      FROM (SELECT e.*, row_number() OVER (ORDER BY e.event_id) AS nth
            FROM erp_webhook.facts_anew(books_anew.company_id, books_anew.deliveries) e) n
      CROSS JOIN LATERAL jsonb_populate_record(
        NULL::erp_webhook.event, to_jsonb(n) || jsonb_build_object('company_id', scratch)) moved
      GROUP BY n.nth / 256 ORDER BY n.nth / 256
    LOOP
      PERFORM erp_webhook.insert_events(facts);
    END LOOP;
    -- Not by void_invoice(): nobody administers the scratch company.
    PERFORM erp_webhook.settle_invoices(scratch, array_agg(i.invoice_id), array_agg(DISTINCT i.account_id), voided => true)
    FROM erp_webhook.invoice i
    JOIN erp_webhook.invoice v ON v.company_id = books_anew.company_id AND v.number = i.number AND v.state = 'void'
    WHERE i.company_id = scratch HAVING count(*) > 0;
    SELECT array_agg(ROW(what, ref, nullif(currency, ''), t.figure, a.figure)::erp_webhook.book_difference
                     ORDER BY what, ref, currency) INTO found
    FROM erp_webhook.figures(books_anew.company_id) t FULL JOIN erp_webhook.figures(scratch) a USING (what, ref, currency)
    WHERE t.figure IS DISTINCT FROM a.figure;
    RAISE EXCEPTION USING ERRCODE = 'EW003', MESSAGE = 'the scratch company is not kept';
  EXCEPTION WHEN SQLSTATE 'EW003' THEN
    NULL;
  END;
  RETURN QUERY SELECT f.* FROM unnest(found) f;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.books_anew(int, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.books_anew(int, bigint[]) IS
  'how the books would differ were they made again today, the deliveries named read anew; nothing is kept';

CREATE FUNCTION erp_webhook.dry_run(company text, from_date date, to_date date) RETURNS SETOF erp_webhook.book_difference
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.find_company(dry_run.company);
BEGIN
  PERFORM erp_webhook.check_access(this, 'admin');
  RETURN QUERY SELECT * FROM erp_webhook.books_anew(this, (
    SELECT coalesce(array_agg(d.delivery_id), '{}') FROM erp_webhook.delivery d
    WHERE d.company_id = this AND d.received_at >= dry_run.from_date AND d.received_at < dry_run.to_date + 1));
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.dry_run(text, date, date) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.dry_run(text, date, date) IS
  'what would differ in the books if the deliveries received from one day to another were read and settled under today''s rules and policies; empty: nothing. Nothing is kept';

CREATE FUNCTION erp_webhook.replay(company text, event_id bigint) RETURNS SETOF erp_webhook.book_difference
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.find_company(replay.company);
  told erp_webhook.event;
BEGIN
  PERFORM erp_webhook.check_access(this, 'admin');
  SELECT e.* INTO told FROM erp_webhook.event e WHERE e.company_id = this AND e.event_id = replay.event_id;
  IF told.event_id IS NULL THEN
    RAISE EXCEPTION 'company "%" has no event %', company, event_id USING ERRCODE = 'no_data_found';
  END IF;
  RETURN QUERY SELECT * FROM erp_webhook.books_anew(this, array_remove(ARRAY[told.delivery_id], NULL));
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.replay(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.replay(text, bigint) IS
  'what would differ if the delivery of an event were read and settled under today''s rules and policies; empty: nothing. Nothing is kept';
