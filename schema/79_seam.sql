-- The seam to a real ERP (DESIGN 9). Settlement knows invoices only as rows of invoice; for a bound company those rows
-- are shadows of the ERP's view, refreshed here before anything is decided, and what settlement decides is handed over
-- here before it is done. Nothing else of settlement knows which of the two it serves.

CREATE FUNCTION erp_webhook.bind(company text, open_items regclass, settle regprocedure, lock regprocedure DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(w.name, ', ') INTO missing
  FROM unnest('{erp_key,number,account_no,currency,total,due}'::text[]) w (name)
  WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = open_items AND a.attname = w.name AND NOT a.attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '% lacks the columns %', open_items, missing USING ERRCODE = 'undefined_column';
  END IF;
  PERFORM erp_webhook.check_bound_function(settle, ARRAY['erp_webhook.voucher'::regtype, 'erp_webhook.erp_line[]'::regtype]);
  IF lock IS NOT NULL THEN
    PERFORM erp_webhook.check_bound_function(lock, ARRAY['text'::regtype]);
  END IF;
  IF NOT pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = open_items), 'MEMBER') THEN
    RAISE EXCEPTION 'must be a member of the role that owns %', open_items USING ERRCODE = 'insufficient_privilege';
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO erp_webhook_owner',
                 (SELECT c.relnamespace::regnamespace FROM pg_class c WHERE c.oid = open_items));
  EXECUTE format('GRANT SELECT ON %s TO erp_webhook_owner', open_items);
  PERFORM erp_webhook.keep_binding(company, open_items, settle, lock);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.bind(text, regclass, regprocedure, regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.bind(text, regclass, regprocedure, regprocedure) IS
  'let a company''s invoices be those of an ERP: open_items (erp_key, number, account_no, currency, total, due), settle(voucher, erp_line[]) → text, lock(erp_key)';

CREATE FUNCTION erp_webhook.keep_binding(company text, open_items regclass, settle regprocedure, lock regprocedure) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  this constant int := erp_webhook.company_named(company);
BEGIN
  PERFORM erp_webhook.check_consent(ARRAY[settle, lock], open_items);
  IF EXISTS (SELECT FROM erp_webhook.invoice i WHERE i.company_id = this AND i.erp_key IS NULL) THEN
    RAISE EXCEPTION 'company "%" has invoices of its own: bind an ERP to a company without', company
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  INSERT INTO erp_webhook.binding AS b (company_id, open_items, settle, lock) VALUES (this, open_items, settle::text, lock::text)
  ON CONFLICT ON CONSTRAINT binding_pkey DO UPDATE
    SET open_items = EXCLUDED.open_items, settle = EXCLUDED.settle, lock = EXCLUDED.lock;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.keep_binding(text, regclass, regprocedure, regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.keep_binding(text, regclass, regprocedure, regprocedure) IS 'enter a binding';

-- What the ERP itself has confirmed of ours: the rest of what it settled, it settled without us.
CREATE FUNCTION erp_webhook.our_share(company_id int, invoice_id bigint) RETURNS numeric
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT coalesce(sum(h.amount), 0) FROM erp_webhook.handover h
          WHERE h.company_id = our_share.company_id AND h.invoice_id = our_share.invoice_id AND h.state = 'done');
END
$$;
COMMENT ON FUNCTION erp_webhook.our_share(int, bigint) IS
  'how much of an ERP''s document our vouchers settled, as the ERP has confirmed';

-- What an ERP's view shows, read as the role that owns the view: a function in a view runs as whoever reads it, and we
-- see every company.
CREATE FUNCTION erp_webhook.view_rows(view regclass, numbers text[], account_nos text[]) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found_ jsonb;
BEGIN
  EXECUTE format(
    'SELECT jsonb_agg(v) FROM (SELECT erp_key::text, number::text, account_no::text, currency::text, total::numeric, due::numeric FROM %s
     WHERE number = ANY ($1) OR account_no = ANY ($2)) v', view)
    INTO found_ USING numbers, account_nos;
  RETURN found_::text;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.view_rows(regclass, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.view_rows(regclass, text[], text[]) IS
  'the documents an ERP''s view shows of these numbers and accounts';

CREATE FUNCTION erp_webhook.read_as_owner(reader regprocedure, view regclass, numbers text[], account_nos text[]) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_read_as_owner';
REVOKE ALL ON FUNCTION erp_webhook.read_as_owner(regprocedure, regclass, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.read_as_owner(regprocedure, regclass, text[], text[]) IS
  'call one of our functions as the role that owns a bound view';

CREATE FUNCTION erp_webhook.documents_of(view regclass, numbers text[], account_nos text[] DEFAULT '{}')
RETURNS TABLE (erp_key text, number text, account_no text, currency text, total numeric, due numeric)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  RETURN QUERY SELECT r.* FROM jsonb_to_recordset(
    erp_webhook.read_as_owner('erp_webhook.view_rows(regclass,text[],text[])', view, numbers, account_nos)::jsonb)
    AS r (erp_key text, number text, account_no text, currency text, total numeric, due numeric);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.documents_of(regclass, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.documents_of(regclass, text[], text[]) IS
  'an ERP''s documents, as its view shows them to its owner';

-- Make the shadows what the view says: documents with these numbers, or of these customers. Returns those that changed.
CREATE FUNCTION erp_webhook.read_open_items(company_id int, numbers text[], account_nos text[] DEFAULT '{}') RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET erp_webhook.settling = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := read_open_items.company_id;
  bound erp_webhook.binding;
  changed bigint[];
  item record;
  moved bigint;
BEGIN
  SELECT * INTO bound FROM erp_webhook.binding b WHERE b.company_id = company;
  changed := '{}';
  FOR item IN
    SELECT d.* FROM erp_webhook.documents_of(bound.open_items, read_open_items.numbers, read_open_items.account_nos) d
    ORDER BY d.number
  LOOP
    INSERT INTO erp_webhook.account (company_id, account_no, currency)
    VALUES (company, item.account_no, item.currency) ON CONFLICT DO NOTHING;
    INSERT INTO erp_webhook.invoice AS i (company_id, number, account_id, currency, total, due_on, erp_key, elsewhere)
    SELECT company, item.number, a.account_id, item.currency, item.total, CURRENT_DATE, item.erp_key,
           greatest(0, item.total - item.due)
    FROM erp_webhook.account a WHERE a.company_id = company AND a.account_no = item.account_no
    ON CONFLICT (company_id, number) DO UPDATE
      SET total = EXCLUDED.total, account_id = EXCLUDED.account_id, erp_key = EXCLUDED.erp_key,
          elsewhere = greatest(0, item.total - item.due - erp_webhook.our_share(company, i.invoice_id))
      WHERE (i.total, i.account_id, i.erp_key, i.elsewhere) IS DISTINCT FROM (EXCLUDED.total, EXCLUDED.account_id, EXCLUDED.erp_key,
               greatest(0, item.total - item.due - erp_webhook.our_share(company, i.invoice_id))::erp_webhook.amount)
    RETURNING i.invoice_id INTO moved;
    changed := changed || moved;
    moved := NULL;
  END LOOP;
  RETURN array_remove(changed, NULL);
END
$$;
COMMENT ON FUNCTION erp_webhook.read_open_items(int, text[], text[]) IS 'refresh the shadows of an ERP''s documents from its view';

-- The documents a component may reach: those its facts name and those its receipts name, and, where money goes to the
-- oldest, all of the customers'.
CREATE FUNCTION erp_webhook.read_component(company_id int, s erp_webhook.scope) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := read_component.company_id;
  said text[];
  numbers text[];
  account_nos text[];
BEGIN
  SELECT array_agg(r.ref) INTO said
  FROM erp_webhook.objects_at(company, s.groups) o
  CROSS JOIN LATERAL unnest(o.refs) r (ref);
  SELECT array_agg(i.number) INTO numbers FROM erp_webhook.invoice i
  WHERE i.company_id = company AND i.invoice_id = ANY (s.invoices);
  SELECT array_agg(a.account_no) INTO account_nos FROM erp_webhook.account a
  WHERE a.company_id = company AND a.account_id = ANY (s.accounts);
  PERFORM erp_webhook.read_open_items(
    company, erp_webhook.join_names(numbers, erp_webhook.join_names(s.numbers, erp_webhook.numbers_in(said))),
    coalesce(account_nos, '{}'));
END
$$;
COMMENT ON FUNCTION erp_webhook.read_component(int, erp_webhook.scope) IS
  'refresh the shadows of the documents a component may reach';

CREATE FUNCTION erp_webhook.lock_documents(company_id int, invoices bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  locker regprocedure;
  document record;
BEGIN
  SELECT b.lock::regprocedure INTO locker FROM erp_webhook.binding b WHERE b.company_id = lock_documents.company_id;
  IF locker IS NULL THEN
    RETURN;
  END IF;
  FOR document IN
    SELECT i.erp_key FROM erp_webhook.invoice i
    WHERE i.company_id = lock_documents.company_id AND i.invoice_id = ANY (invoices) AND i.erp_key IS NOT NULL
    ORDER BY i.number COLLATE "C"
  LOOP
    EXECUTE erp_webhook.call_of(locker) USING document.erp_key;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.lock_documents(int, bigint[]) IS 'let the ERP lock its documents, in the order of their numbers';

CREATE TYPE erp_webhook.erp_change AS (
  voucher_id bigint, source_id int, object text, object_ref text, invoice_id bigint,
  account_no text, amount numeric, currency text);
COMMENT ON TYPE erp_webhook.erp_change IS 'one line for the ERP, the object it is about and the voucher it goes with';

-- Again ought − done: what each receipt pays and has on account, less what the ERP was told. The receipt's first
-- voucher carries the difference, further ones stand on account; without a voucher it is a mere re-allocation. Credit
-- notes and write-offs name their invoice.
CREATE FUNCTION erp_webhook.erp_changes(company_id int, invoices bigint[], groups erp_webhook.object_key[], vouchers bigint[])
RETURNS SETOF erp_webhook.erp_change
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := erp_changes.company_id;
BEGIN
  RETURN QUERY
  WITH receipt AS (
    SELECT k.* FROM erp_webhook.keyed(company, groups) k
  ), side AS (
    SELECT v.voucher_id, v.source_id, v.object, v.object_ref, e.currency,
           sum(CASE WHEN e.credit = 'receivable' THEN e.amount WHEN e.debit = 'receivable' THEN -e.amount END) AS amount
    FROM unnest(vouchers) u (voucher_id)
    JOIN erp_webhook.voucher v ON v.company_id = company AND v.voucher_id = u.voucher_id
    JOIN erp_webhook.entry e ON e.company_id = company AND e.voucher_id = u.voucher_id
    WHERE 'receivable' IN (e.debit, e.credit) GROUP BY v.voucher_id, v.source_id, v.object, v.object_ref, e.currency
  ), paid AS (
    SELECT s.voucher_id, s.amount, s.currency, m.source_id, m.object, m.object_ref,
           row_number() OVER (PARTITION BY m.source_id, m.object, m.object_ref, s.currency ORDER BY s.voucher_id) AS nth
    FROM side s
    JOIN (SELECT DISTINCT (m.o).source_id AS source_id, m.grouped_as AS object, m.group_ref AS object_ref,
                 (m.o).object AS o, (m.o).object_ref AS ref
          FROM erp_webhook.objects_of(company, groups) m) m
      ON m.source_id = s.source_id AND m.o = s.object AND m.ref = s.object_ref
  ), line AS (
    SELECT r.source_id, r.object, r.object_ref, i.currency, a.invoice_id, c.account_no, a.amount::numeric AS amount
    FROM receipt r
    JOIN erp_webhook.allocation a
      ON a.company_id = r.company_id AND a.source_id = r.source_id AND a.object = r.object AND a.object_ref = r.object_ref
      AND a.invoice_id = ANY (invoices)
    JOIN erp_webhook.invoice i ON i.company_id = a.company_id AND i.invoice_id = a.invoice_id
    JOIN erp_webhook.account c ON c.company_id = i.company_id AND c.account_id = i.account_id
    UNION ALL
    SELECT r.source_id, r.object, r.object_ref, s.currency, NULL, c.account_no, s.net - s.allocated
    FROM receipt r
    JOIN erp_webhook.receipt_standing s
      ON s.company_id = r.company_id AND s.source_id = r.source_id AND s.object = r.object AND s.object_ref = r.object_ref
    LEFT JOIN erp_webhook.account c ON c.company_id = s.company_id AND c.account_id = s.account_id
    UNION ALL
    SELECT r.source_id, r.object, r.object_ref, h.currency, h.invoice_id, h.account_no, -h.amount
    FROM receipt r
    JOIN erp_webhook.handover h
      ON h.company_id = r.company_id AND h.source_id = r.source_id AND h.object = r.object AND h.object_ref = r.object_ref
    WHERE h.state <> 'refused'
    UNION ALL
    SELECT p.source_id, p.object, p.object_ref, p.currency, NULL, o.account_no, -p.amount
    FROM paid p
    CROSS JOIN LATERAL erp_webhook.account_of_receipt(company, p.source_id, p.object, p.object_ref, p.currency) o (account_no)
    WHERE p.nth > 1
  ), change AS (
    SELECT l.source_id, l.object, l.object_ref, l.currency, l.invoice_id, l.account_no, sum(l.amount) AS amount
    FROM line l GROUP BY l.source_id, l.object, l.object_ref, l.currency, l.invoice_id, l.account_no HAVING sum(l.amount) <> 0
  )
  SELECT p.voucher_id, c.source_id, c.object, c.object_ref, c.invoice_id, c.account_no, c.amount, c.currency
  FROM change c
  LEFT JOIN paid p ON p.source_id = c.source_id AND p.object = c.object AND p.object_ref = c.object_ref
    AND p.currency = c.currency AND p.nth = 1
  UNION ALL
  SELECT p.voucher_id, p.source_id, p.object, p.object_ref, NULL, o.account_no, p.amount, p.currency
  FROM paid p
  CROSS JOIN LATERAL erp_webhook.account_of_receipt(company, p.source_id, p.object, p.object_ref, p.currency) o (account_no)
  WHERE p.nth > 1
  UNION ALL
  SELECT s.voucher_id, s.source_id, s.object, s.object_ref, i.invoice_id, a.account_no, s.amount, s.currency
  FROM side s
  JOIN erp_webhook.invoice i ON i.company_id = company AND i.number = s.object_ref
  JOIN erp_webhook.account a ON a.company_id = company AND a.account_id = i.account_id
  WHERE s.source_id = 0 AND s.object IN ('credit_note', 'write_off')
  UNION ALL
  SELECT r.voucher_id, r.source_id, r.object, r.object_ref, r.invoice_id, r.account_no, r.amount, r.currency
  FROM erp_webhook.refused r
  WHERE r.company_id = company AND r.source_id = 0 AND r.object IN ('credit_note', 'write_off') AND r.invoice_id = ANY (invoices);
END
$$;
COMMENT ON FUNCTION erp_webhook.erp_changes(int, bigint[], erp_webhook.object_key[], bigint[]) IS
  'what the ERP is to settle: per voucher lines whose sum is its receivable side, and re-allocations that sum to zero';

CREATE FUNCTION erp_webhook.account_of_receipt(company_id int, source_id int, object text, object_ref text, currency text)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT a.account_no FROM erp_webhook.receipt_standing s
          JOIN erp_webhook.account a ON a.company_id = s.company_id AND a.account_id = s.account_id
          WHERE s.company_id = account_of_receipt.company_id AND s.source_id = account_of_receipt.source_id
            AND s.object = account_of_receipt.object AND s.object_ref = account_of_receipt.object_ref
            AND s.currency = account_of_receipt.currency);
END
$$;
COMMENT ON FUNCTION erp_webhook.account_of_receipt(int, int, text, text, text) IS 'whose a receipt is';

CREATE FUNCTION erp_webhook.hand_over(company_id int, s erp_webhook.scope, vouchers bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := hand_over.company_id;
  bound erp_webhook.binding;
  change record;
  v erp_webhook.voucher;
  ref text;
BEGIN
  SELECT * INTO bound FROM erp_webhook.binding b WHERE b.company_id = company;
  FOR change IN
    SELECT c.voucher_id, c.source_id, c.object, c.object_ref, c.currency,
           array_agg(ROW(i.erp_key, c.account_no, c.amount, c.currency)::erp_webhook.erp_line
                     ORDER BY i.number COLLATE "C" NULLS LAST) AS lines,
           array_agg(c.invoice_id ORDER BY i.number COLLATE "C" NULLS LAST) AS invoices
    FROM erp_webhook.erp_changes(company, s.invoices, s.groups, vouchers) c
    LEFT JOIN erp_webhook.invoice i ON i.company_id = company AND i.invoice_id = c.invoice_id
    GROUP BY c.voucher_id, c.source_id, c.object, c.object_ref, c.currency
    ORDER BY c.voucher_id NULLS LAST, c.object_ref COLLATE "C"
  LOOP
    v := NULL;
    -- What was refused is offered again as what it was.
    change.voucher_id := coalesce(change.voucher_id, (
      SELECT max(r.voucher_id) FROM erp_webhook.refused r
      WHERE r.company_id = company AND r.source_id = change.source_id
        AND r.object = change.object AND r.object_ref = change.object_ref));
    SELECT * INTO v FROM erp_webhook.voucher w WHERE w.company_id = company AND w.voucher_id = change.voucher_id;
    IF change.voucher_id IS NULL THEN
      -- A mere re-allocation has no voucher of its own; it is confirmed by the one that brought the money.
      change.voucher_id := (
        SELECT max(h.voucher_id) FROM erp_webhook.handover h
        WHERE h.company_id = company AND h.source_id = change.source_id
          AND h.object = change.object AND h.object_ref = change.object_ref);
      v.company_id := company;
      v.voucher_id := change.voucher_id;
      v.object := 'allocation';
      v.object_ref := change.object_ref;
      v.booked_on := erp_webhook.open_day(CURRENT_DATE, erp_webhook.closed_until(company));
      v.amount := 0;
      v.currency := change.currency;
    END IF;
    EXECUTE erp_webhook.call_of(bound.settle::regprocedure) INTO ref USING v, change.lines;
    INSERT INTO erp_webhook.handover (company_id, voucher_id, source_id, object, object_ref,
                                      invoice_id, account_no, amount, currency, ref, state)
    SELECT company, change.voucher_id, change.source_id, change.object, change.object_ref,
           l.invoice_id, l.account_no, l.amount, l.currency, regexp_replace(ref, '^queued:', ''),
           CASE WHEN ref LIKE 'queued:%' THEN 'queued' ELSE 'done' END
    FROM unnest(change.lines, change.invoices) l (erp_key, account_no, amount, currency, invoice_id);
  END LOOP;
  PERFORM erp_webhook.check_handover(company, s.invoices);
END
$$;
COMMENT ON FUNCTION erp_webhook.hand_over(int, erp_webhook.scope, bigint[]) IS
  'let the ERP settle what we settled, and see that it did';

-- The view is read again: what it still shows as due must be the total, less what it settled itself,
-- less what it took from us.
CREATE FUNCTION erp_webhook.check_handover(company_id int, invoices bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := check_handover.company_id;
  items regclass;
  item record;
BEGIN
  SELECT b.open_items INTO items FROM erp_webhook.binding b WHERE b.company_id = company;
  FOR item IN
    SELECT i.number, i.total - i.elsewhere - erp_webhook.our_share(i.company_id, i.invoice_id) AS expected, v.due
    FROM erp_webhook.invoice i
    LEFT JOIN erp_webhook.documents_of(items, (
      SELECT array_agg(n.number) FROM erp_webhook.invoice n
      WHERE n.company_id = company AND n.invoice_id = ANY (check_handover.invoices))) v ON v.number = i.number
    WHERE i.company_id = company AND i.invoice_id = ANY (check_handover.invoices) ORDER BY i.number
  LOOP
    IF item.due IS DISTINCT FROM item.expected THEN
      RAISE EXCEPTION 'the ERP shows % due on %, expected %', coalesce(item.due::text, 'nothing'), item.number, item.expected
        USING ERRCODE = 'EW003';
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.check_handover(int, bigint[]) IS 'raises where the ERP''s view does not show what it was told';

CREATE FUNCTION erp_webhook.confirm(company text, voucher_id bigint, ref text, error text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  this constant int := erp_webhook.company_named(confirm.company);
  touched bigint[];
  numbers text[];
BEGIN
  WITH told AS (
    UPDATE erp_webhook.handover h
    SET state = CASE WHEN confirm.error IS NULL THEN 'done' ELSE 'refused' END,
        ref = coalesce(confirm.ref, h.ref), error = confirm.error
    WHERE h.company_id = this AND h.voucher_id = confirm.voucher_id AND h.state = 'queued' RETURNING h.invoice_id
  )
  SELECT array_agg(t.invoice_id) FILTER (WHERE t.invoice_id IS NOT NULL) INTO touched FROM told t HAVING count(*) > 0;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'nothing of voucher % waits for the ERP', confirm.voucher_id USING ERRCODE = 'undefined_object';
  END IF;
  SELECT array_agg(i.number) INTO numbers FROM erp_webhook.invoice i WHERE i.company_id = this AND i.invoice_id = ANY (touched);
  -- What was refused is not offered again at once: the ERP would refuse it again.
  IF numbers IS NOT NULL AND confirm.error IS NULL THEN
    PERFORM erp_webhook.settle_numbers(this, numbers);
  END IF;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.confirm(text, bigint, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.confirm(text, bigint, text, text) IS 'the ERP has done, or refused, what was queued with it';

CREATE FUNCTION erp_webhook.offer_refused(company_id int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := offer_refused.company_id;
  again record;
  done int := 0;
BEGIN
  FOR again IN SELECT r.source_id, r.object, r.object_ref, i.number FROM erp_webhook.refused r
    LEFT JOIN erp_webhook.invoice i ON i.company_id = r.company_id AND i.invoice_id = r.invoice_id
    WHERE r.company_id = company ORDER BY r.handover_id
  LOOP
    IF again.number IS NOT NULL THEN
      PERFORM erp_webhook.settle_numbers(company, ARRAY[again.number]);
    ELSE
      PERFORM erp_webhook.settle_objects(
        company, ARRAY[ROW(again.source_id, again.object, again.object_ref)::erp_webhook.object_key]);
    END IF;
    done := done + 1;
  END LOOP;
  RETURN done;
END
$$;
COMMENT ON FUNCTION erp_webhook.offer_refused(int) IS 'offer the ERP again what it refused; returns how many lines';

CREATE FUNCTION erp_webhook.settle_numbers(company_id int, numbers text[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_numbers.company_id;
BEGIN
  IF EXISTS (SELECT FROM erp_webhook.binding b WHERE b.company_id = company) THEN
    PERFORM erp_webhook.read_open_items(company, numbers);
  END IF;
  RETURN erp_webhook.settle_invoices(company, ARRAY(
    SELECT i.invoice_id FROM erp_webhook.invoice i
    WHERE i.company_id = company AND i.number = ANY (settle_numbers.numbers)), created => true);
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_numbers(int, text[]) IS 'settle what waits for invoices of these numbers';

CREATE FUNCTION erp_webhook.settle_invoice(company text, number text) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN erp_webhook.settle_numbers(erp_webhook.company_named(company), ARRAY[number]);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.settle_invoice(text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.settle_invoice(text, text) IS
  'an invoice appeared or changed, in our books or the ERP''s: settle what it changes; returns the vouchers posted';
