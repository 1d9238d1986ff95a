-- What people decide about bank lines and payouts: match, unmatch, where a difference goes, who looks after it.

CREATE FUNCTION erp_webhook.find_line(company_id int, line text) RETURNS erp_webhook.bank_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  found_ erp_webhook.bank_item[];
BEGIN
  found_ := ARRAY(
    SELECT i FROM erp_webhook.bank_item i WHERE i.company_id = company_id AND i.item = 'line' AND i.object_ref = line);
  IF cardinality(found_) = 0 THEN
    found_ := ARRAY(SELECT i FROM erp_webhook.bank_item i
      WHERE i.company_id = company_id AND i.item = 'line' AND i.state = 'booked'
        AND (i.bank_ref = line OR i.end_to_end_id = line OR i.source_id = 0 AND split_part(i.object_ref, '/', 2) = line));
  END IF;
  IF cardinality(found_) = 1 THEN RETURN found_[1]; END IF;
  RAISE EXCEPTION '% bank lines are called "%"',
    CASE cardinality(found_) WHEN 0 THEN 'no' ELSE cardinality(found_)::text END, line
    USING ERRCODE = CASE cardinality(found_) WHEN 0 THEN 'undefined_object' ELSE 'ambiguous_parameter' END,
          HINT = 'A line is named by line_ref of reconciliation(), or by the bank''s reference where only one has it.';
END
$$;
COMMENT ON FUNCTION erp_webhook.find_line(int, text) IS 'the bank line of this name; raises unless there is exactly one';

CREATE FUNCTION erp_webhook.find_payout(company_id int, payout_ref text, source text, currency text)
RETURNS erp_webhook.bank_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  found_ erp_webhook.bank_item[] := ARRAY(
    SELECT i
    FROM erp_webhook.bank_item i JOIN erp_webhook.source s ON s.company_id = i.company_id AND s.source_id = i.source_id
    WHERE i.company_id = company_id AND i.item = 'payout' AND i.object_ref = payout_ref
      AND (source IS NULL OR s.name = source) AND (currency IS NULL OR i.currency = currency));
BEGIN
  IF cardinality(found_) = 1 THEN RETURN found_[1]; END IF;
  RAISE EXCEPTION '% payouts are called "%"', CASE cardinality(found_) WHEN 0 THEN 'no' ELSE cardinality(found_)::text END,
  payout_ref
    USING ERRCODE = CASE cardinality(found_) WHEN 0 THEN 'undefined_object' ELSE 'ambiguous_parameter' END,
          HINT = 'Give source and currency where several sources use the reference.';
END
$$;
COMMENT ON FUNCTION erp_webhook.find_payout(int, text, text, text) IS
  'the payout of this name; raises unless there is exactly one';

-- Decide, match again and settle what follows, in the caller's transaction.
CREATE FUNCTION erp_webhook.decide(company_id int, line erp_webhook.bank_item, payout erp_webhook.bank_item,
                                   decision text, difference_to text, who text, why text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  id bigint;
BEGIN
  PERFORM erp_webhook.lock_matching(company_id);
  INSERT INTO erp_webhook.bank_decision AS d (company_id, decision, line_source, line_ref, source_id, payout_ref,
                                              currency, difference_to, who, why)
    VALUES (company_id, decision, (line).source_id, (line).object_ref, (payout).source_id, (payout).object_ref,
            (payout).currency, difference_to, who, why)
    RETURNING d.decision_id INTO id;
  PERFORM erp_webhook.settle(company_id, array_agg(e ORDER BY e.event_id))
  FROM erp_webhook.money_object o
  CROSS JOIN LATERAL unnest(o.facts) f (event_id)
  JOIN erp_webhook.event e ON e.company_id = o.company_id AND e.event_id = f.event_id AND e.state = 'applied'
  WHERE o.company_id = company_id
    AND (o.source_id = (payout).source_id AND o.object = 'payout' AND o.object_ref = (payout).object_ref
         OR o.source_id = (line).source_id AND o.object = 'bank' AND o.object_ref = (line).object_ref);
  RETURN id;
END
$$;
COMMENT ON FUNCTION erp_webhook.decide(int, erp_webhook.bank_item, erp_webhook.bank_item, text, text, text, text) IS
  'store a decision and let the books follow it';

CREATE FUNCTION erp_webhook.match(company text, line text, payout_ref text, who text, why text, source text DEFAULT NULL,
                                  currency text DEFAULT NULL,
                                  difference_to text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  company_id int := erp_webhook.company_named(company);
  payout erp_webhook.bank_item := erp_webhook.find_payout(company_id, payout_ref, source, currency);
  found_ erp_webhook.bank_item;
  id bigint;
BEGIN
  PERFORM erp_webhook.check_access(company_id, 'admin');
  IF line IS NOT NULL THEN
    found_ := erp_webhook.find_line(company_id, line);
    id := erp_webhook.decide(company_id, found_, payout, 'match', NULL, who, why);
  ELSIF difference_to IS NULL THEN
    RAISE EXCEPTION 'neither a line to match nor a difference to post' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF difference_to IS NOT NULL THEN
    id := erp_webhook.decide(company_id, NULL, payout, 'difference', difference_to, who, why);
  END IF;
  RETURN id;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.match(text, text, text, text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.match(text, text, text, text, text, text, text, text) IS
  'say that a bank line (line_ref of reconciliation(), or the bank''s reference) brings a payout; difference_to posts what is missing or too much to bank_fees, exchange or write_off (line NULL: only that). Several lines for a payout, or payouts for a line: call once for each';

CREATE FUNCTION erp_webhook.unmatch(company text, line text, payout_ref text, who text, why text,
                                    source text DEFAULT NULL, currency text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  company_id int := erp_webhook.company_named(company);
BEGIN
  PERFORM erp_webhook.check_access(company_id, 'admin');
  RETURN erp_webhook.decide(company_id, erp_webhook.find_line(company_id, line),
                            erp_webhook.find_payout(company_id, payout_ref, source, currency), 'unmatch', NULL, who, why);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.unmatch(text, text, text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.unmatch(text, text, text, text, text, text, text) IS
  'say that a bank line does not bring a payout, whatever the rules think; match() takes it back. A difference '
  'posted for the payout goes with it';

CREATE FUNCTION erp_webhook.book_line(company text, line text, ledger_account text, who text, why text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  company_id int := erp_webhook.company_named(company);
  found_ erp_webhook.bank_item := erp_webhook.find_line(company_id, line);
BEGIN
  PERFORM erp_webhook.check_access(company_id, 'admin');
  IF found_.amount >= 0 THEN
    RAISE EXCEPTION 'line "%" is a credit: it is a customer''s, or a payout''s', line
      USING ERRCODE = 'invalid_parameter_value', HINT = 'See assign() and match().';
  END IF;
  RETURN erp_webhook.decide(company_id, found_, NULL, 'book', ledger_account, who, why);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.book_line(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.book_line(text, text, text, text, text) IS
  'say where a debit of the bank that names no customer goes: bank_fees, exchange, write_off, or back to bank_unassigned; it posts whatever the policy statement says. Rules that do the same are rows of line_rule';

CREATE FUNCTION erp_webhook.assign_item(company text, item text, assigned_to text, note text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  company_id int := erp_webhook.company_named(company);
  id bigint;
BEGIN
  PERFORM erp_webhook.check_access(company_id, 'admin');
  INSERT INTO erp_webhook.exception_assignment AS a (company_id, item, assigned_to, note)
    VALUES (company_id, item, assigned_to, note) RETURNING a.assignment_id INTO id;
  RETURN id;
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.assign_item(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.assign_item(text, text, text, text) IS
  'give an open item of reconciliation() (its payout_ref, or line_ref) to somebody; the latest assignment shows';
