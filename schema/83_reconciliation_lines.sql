-- The second half of the reconciliation: bank lines that bring no payout.

-- A line that looks like a payout: its payer or text bears the name of one of our sources, or calls itself one.
CREATE FUNCTION erp_webhook.looks_like_payout(company_id int, payer text, reference text) RETURNS boolean
LANGUAGE sql STABLE
RETURN coalesce(reference ~* '\m(payout|auszahlung|uitbetaling|versement|settlement)\M', false)
  OR EXISTS (
    SELECT FROM erp_webhook.source s
    WHERE s.company_id = looks_like_payout.company_id AND s.source_id <> 0 AND length(s.provider) >= 4
      AND strpos(coalesce(payer, ''), upper(regexp_replace(s.provider, '[^A-Za-z0-9]', '', 'g'))) > 0);
COMMENT ON FUNCTION erp_webhook.looks_like_payout(int, text, text) IS
  'might this bank line be a payout of one of our sources?';

-- A statement's copy of a webhook's line is that line: it has no row of its own.
CREATE FUNCTION erp_webhook.lines_without_payout(company_id int, from_date date, to_date date)
RETURNS SETOF erp_webhook.bank_item
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.*
  FROM erp_webhook.bank_item i
  WHERE i.company_id = lines_without_payout.company_id AND i.item = 'line' AND i.state <> 'repeated'
    AND i.booked_on BETWEEN from_date AND to_date
    AND NOT EXISTS (SELECT FROM erp_webhook.bank_match m
                    WHERE m.company_id = i.company_id AND m.line_source = i.source_id AND m.line_ref = i.object_ref)
    AND NOT EXISTS (SELECT FROM erp_webhook.bank_twin t
                    WHERE t.company_id = i.company_id AND i.source_id = 0 AND t.line_ref = i.object_ref)
$$;
COMMENT ON FUNCTION erp_webhook.lines_without_payout(int, date, date) IS
  'the bank lines of the days that bring no payout, each once';

-- Of the same amount as a webhook's line, within three days, though nothing else says so: the first with the first.
CREATE FUNCTION erp_webhook.lines_beside(lines erp_webhook.bank_item[])
RETURNS TABLE (source_id int, object_ref text, line_ref text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH free AS (
    SELECT l.*, row_number() OVER (PARTITION BY l.source_id = 0, l.currency, l.amount
                                   ORDER BY l.booked_on, l.object_ref COLLATE "C") AS nth
    FROM unnest(lines) l
    WHERE NOT EXISTS (SELECT FROM erp_webhook.bank_twin t
                      WHERE t.company_id = l.company_id AND t.source_id = l.source_id AND t.object_ref = l.object_ref))
  SELECT DISTINCT ON (w.source_id, w.object_ref) w.source_id, w.object_ref, s.object_ref
  FROM free w
  JOIN free s ON s.currency = w.currency AND s.amount = w.amount AND s.nth = w.nth AND abs(w.day - s.day) <= 3
  WHERE w.source_id <> 0 AND s.source_id = 0
  ORDER BY w.source_id, w.object_ref, s.object_ref COLLATE "C"
$$;
COMMENT ON FUNCTION erp_webhook.lines_beside(erp_webhook.bank_item[]) IS
  'the statement line (line_ref) that stands beside a bank webhook''s line';

CREATE FUNCTION erp_webhook.repeats_earlier_line(line erp_webhook.bank_item) RETURNS boolean
LANGUAGE sql STABLE
RETURN line.end_to_end_id IS NOT NULL AND EXISTS (
  SELECT FROM erp_webhook.bank_item o
  WHERE o.company_id = line.company_id AND o.item = 'line' AND o.source_id = line.source_id AND o.state = 'booked'
    AND o.end_to_end_id = line.end_to_end_id AND o.amount = line.amount AND o.currency = line.currency
    AND o.day = line.day AND o.object_ref < line.object_ref COLLATE "C");
COMMENT ON FUNCTION erp_webhook.repeats_earlier_line(erp_webhook.bank_item) IS
  'is there another line of the same day, amount and end-to-end id before it?';

CREATE FUNCTION erp_webhook.line_state(line erp_webhook.bank_item, reference text, ledger numeric, on_statement numeric,
                                       seen_again boolean, known_until date) RETURNS text
LANGUAGE sql STABLE
RETURN CASE
  WHEN seen_again OR erp_webhook.repeats_earlier_line(line) THEN 'duplicate'
  WHEN line.source_id = 0 THEN
    CASE WHEN ledger = line.amount THEN 'matched'
         WHEN erp_webhook.looks_like_payout(line.company_id, line.payer, reference) THEN 'missing_at_provider'
         ELSE 'missing_in_ledger' END
  WHEN ledger <> CASE line.state WHEN 'reversed' THEN 0 ELSE line.amount END THEN 'missing_in_ledger'
  WHEN on_statement IS NULL AND line.state <> 'reversed' AND known_until > line.day + 3 THEN 'missing_at_bank'
  WHEN on_statement > line.amount THEN 'over'
  WHEN on_statement < line.amount THEN 'under'
  ELSE 'matched' END;
COMMENT ON FUNCTION erp_webhook.line_state(erp_webhook.bank_item, text, numeric, numeric, boolean, date) IS
  'the state of a bank line that brings no payout; on_statement: what the statement has of a webhook''s line';

-- The lines are those of the days and of three days around, for what may stand beside;
-- only those of the days are shown.
CREATE FUNCTION erp_webhook.reconciled_lines(lines erp_webhook.bank_item[], from_date date, to_date date, today date)
RETURNS SETOF erp_webhook.reconciled
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH beside AS MATERIALIZED (SELECT * FROM erp_webhook.lines_beside(lines)),
  sides AS (
    SELECT l AS line, l.source_id <> 0 AS told_by_bank, coalesce(b.amount, 0) AS ledger, coalesce(u.amount, 0) AS unassigned,
           t.line_ref AS twin, t.known_by, w.line_ref AS beside, coalesce(t.line_ref, w.line_ref) AS copy,
           EXISTS (SELECT FROM beside o WHERE l.source_id = 0 AND o.line_ref = l.object_ref) AS stands_beside,
           k.known_until, k.digits
    FROM unnest(lines) l
    JOIN erp_webhook.bank_knowledge(lines) k ON k.source_id = l.source_id AND k.currency = l.currency
    LEFT JOIN erp_webhook.booked_on_account(lines, '^bank(:|$)') b
      ON b.source_id = l.source_id AND b.object_ref = l.object_ref AND b.currency = l.currency
    LEFT JOIN erp_webhook.booked_on_account(lines, '^bank_unassigned$') u
      ON u.source_id = l.source_id AND u.object_ref = l.object_ref AND u.currency = l.currency
    LEFT JOIN erp_webhook.bank_twin t
      ON t.company_id = l.company_id AND t.source_id = l.source_id AND t.object_ref = l.object_ref
    LEFT JOIN beside w ON w.source_id = l.source_id AND w.object_ref = l.object_ref
    WHERE l.booked_on BETWEEN from_date AND to_date),
  judged AS (
    SELECT s.*, n.name AS source, e.reference, e.counterparty, coalesce(e.account, (s.line).account) AS account,
           c.booking_date,
           CASE (s.line).state WHEN 'reversed' THEN 0 ELSE coalesce(c.amount, (s.line).amount) END AS bank,
           erp_webhook.line_state(s.line, e.reference, s.ledger, c.amount, s.stands_beside, s.known_until) AS state
    FROM sides s
    LEFT JOIN erp_webhook.source n
      ON s.told_by_bank AND n.company_id = (s.line).company_id AND n.source_id = (s.line).source_id
    LEFT JOIN erp_webhook.bank_entry e
      ON NOT s.told_by_bank AND e.company_id = (s.line).company_id AND e.object_ref = (s.line).object_ref
    LEFT JOIN erp_webhook.bank_entry c ON c.company_id = (s.line).company_id AND c.object_ref = s.copy
    -- What stands beside a webhook's line and is not in the ledger itself is that line's, and shown with it.
    WHERE NOT (s.stands_beside AND s.ledger = 0))
  SELECT 'line', j.source, NULL, coalesce(j.copy, (j.line).object_ref), j.account, (j.line).currency, (j.line).day,
         coalesce(j.booking_date, (j.line).booked_on),
         NULL::numeric, round(j.ledger, j.digits),
         CASE WHEN j.state <> 'missing_at_bank' THEN round(j.bank, j.digits) END,
         j.state,
         round(CASE j.state WHEN 'missing_at_bank' THEN -(j.line).amount ELSE j.bank - j.ledger END, j.digits),
         greatest(today - (j.line).booked_on, 0),
         CASE WHEN j.state <> 'matched' THEN erp_webhook.reconciliation_advice(j.state, 'line')
              WHEN (j.line).amount < 0 AND j.unassigned <> 0 THEN 'waits in bank_unassigned: book_line() says where it goes' END,
         CASE WHEN j.known_by = 'bank_ref' THEN 'same bank reference'
              WHEN j.twin IS NOT NULL THEN 'same amount, value date and id'
              WHEN j.beside IS NOT NULL THEN 'same amount, about the same day' END,
         NULL, j.reference, j.counterparty, a.assigned_to
  FROM judged j
  LEFT JOIN erp_webhook.standing_assignment a
    ON a.company_id = (j.line).company_id AND a.item = coalesce(j.copy, (j.line).object_ref)
$$;
COMMENT ON FUNCTION erp_webhook.reconciled_lines(erp_webhook.bank_item[], date, date, date) IS
  'bank lines that bring no payout, as rows of the reconciliation';
