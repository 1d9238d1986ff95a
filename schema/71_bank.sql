-- What matching means for the books (SETTLEMENT 3): which bank lines post at all, and how a payout arrives.

-- Where a debit that names no customer goes: where somebody said, else where a rule says; NULL: nobody and none.
CREATE FUNCTION erp_webhook.line_account(company_id int, source_id int, object_ref text) RETURNS text
LANGUAGE sql STABLE
RETURN coalesce(
  (SELECT d.difference_to FROM erp_webhook.bank_decision d
   WHERE d.company_id = line_account.company_id AND d.line_source = line_account.source_id
     AND d.line_ref = line_account.object_ref AND d.decision = 'book'
   ORDER BY d.decision_id DESC LIMIT 1),
  (SELECT r.ledger_account FROM erp_webhook.bank_entry e
   JOIN erp_webhook.line_rule r ON r.company_id = e.company_id AND concat_ws(' ', e.counterparty, e.reference) ~* r.pattern
   WHERE line_account.source_id = 0 AND e.company_id = line_account.company_id AND e.object_ref = line_account.object_ref
   ORDER BY r.ordinal LIMIT 1));
COMMENT ON FUNCTION erp_webhook.line_account(int, int, text) IS 'the ledger account of a bank debit that is nobody''s';

CREATE FUNCTION erp_webhook.booked_by_hand(company_id int, source_id int, object_ref text) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM erp_webhook.bank_decision d
  WHERE d.company_id = booked_by_hand.company_id AND d.line_source = booked_by_hand.source_id
    AND d.line_ref = booked_by_hand.object_ref AND d.decision = 'book');
COMMENT ON FUNCTION erp_webhook.booked_by_hand(int, int, text) IS
  'did somebody say where a line goes? Then it posts, whatever the policy';

-- A line that brings a payout is the payout's arrival and nothing of its own. A line of a statement posts only under
-- the policy `post`, and not where the bank's webhook, or another entry, is the same money.
CREATE FUNCTION erp_webhook.bank_posts(company_id int, source_id int, object_ref text) RETURNS boolean
LANGUAGE sql STABLE
RETURN NOT EXISTS (SELECT FROM erp_webhook.bank_match m WHERE m.company_id = bank_posts.company_id
                     AND m.line_source = bank_posts.source_id AND m.line_ref = bank_posts.object_ref)
  AND (bank_posts.source_id <> 0 OR EXISTS (
    SELECT FROM erp_webhook.bank_entry e
    WHERE e.company_id = bank_posts.company_id AND e.object_ref = bank_posts.object_ref AND e.counts
      AND (erp_webhook.policy_on(e.company_id, 'statement', e.booking_date) = 'post'
           OR erp_webhook.booked_by_hand(e.company_id, 0, e.object_ref))
      AND NOT EXISTS (SELECT FROM erp_webhook.bank_twin t WHERE t.company_id = e.company_id AND t.line_ref = e.object_ref)));
COMMENT ON FUNCTION erp_webhook.bank_posts(int, int, text) IS 'does a bank line post by itself?';

CREATE FUNCTION erp_webhook.difference_to(company_id int, source_id int, payout_ref text, currency text) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT d.difference_to FROM erp_webhook.bank_decision d
        WHERE d.company_id = difference_to.company_id AND d.source_id = difference_to.source_id
          AND d.payout_ref = difference_to.payout_ref AND d.currency = difference_to.currency
          AND d.decision IN ('difference', 'unmatch') ORDER BY d.decision_id DESC LIMIT 1);
COMMENT ON FUNCTION erp_webhook.difference_to(int, int, text, text) IS
  'where somebody said the difference between payout and bank goes; NULL: nobody did, or a line was taken from the payout since, and it was another difference';

CREATE FUNCTION erp_webhook.arrives_by_itself(company_id int, source_id int, payout_ref text, currency text, event_id bigint)
RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT erp_webhook.arrives_on_paid(company_id, event_id)
    AND erp_webhook.difference_to(company_id, source_id, payout_ref, currency) IS NULL
$$;
COMMENT ON FUNCTION erp_webhook.arrives_by_itself(int, int, text, text, bigint) IS
  'is a payout at the bank once it is paid, or when its bank line says so?';

CREATE FUNCTION erp_webhook.line_bank(company_id int, source_id int, object_ref text) RETURNS text
LANGUAGE sql STABLE
RETURN 'bank' || coalesce(':' || CASE source_id
  WHEN 0 THEN (SELECT a.name FROM erp_webhook.bank_entry e
               JOIN erp_webhook.bank_account a ON a.company_id = e.company_id AND a.account = e.account
               WHERE e.company_id = line_bank.company_id AND e.object_ref = line_bank.object_ref)
  ELSE (SELECT nullif(s.settings ->> 'bank', '') FROM erp_webhook.source s
        WHERE s.company_id = line_bank.company_id AND s.source_id = line_bank.source_id) END, '');
COMMENT ON FUNCTION erp_webhook.line_bank(int, int, text) IS 'the ledger account a bank line is about';

-- How payouts arrive where the bank line decides: under payout_arrives = on_statement, and where somebody posted a
-- difference. What no line brings stays in transit until then.
CREATE FUNCTION erp_webhook.arrivals(company_id int, keys erp_webhook.object_key[])
RETURNS TABLE (source_id int, object_ref text, debit text, currency text, amount numeric, event_id bigint, day date)
LANGUAGE sql STABLE
AS $$
  WITH payout AS (
    SELECT DISTINCT o.*, CASE WHEN o.effective THEN o.amount ELSE 0 END AS counts, d.difference_to
    FROM unnest(keys) k
    JOIN erp_webhook.money_object o ON o.company_id = arrivals.company_id AND o.source_id = k.source_id
      AND o.object = k.object AND o.object_ref = k.object_ref AND k.object = 'payout'
    CROSS JOIN LATERAL (SELECT erp_webhook.difference_to(o.company_id, o.source_id, o.object_ref, o.denomination)) d (difference_to)
    WHERE o.succeeded_at IS NOT NULL AND o.denomination <> ''
      AND (d.difference_to IS NOT NULL OR NOT erp_webhook.arrives_on_paid(o.company_id, o.decided_by))),
  line AS (
    SELECT p.source_id, p.object_ref, p.denomination, m.line_currency, m.amount,
           erp_webhook.line_bank(m.company_id, m.line_source, m.line_ref) AS bank, o.decided_by, i.booked_on
    FROM payout p
    JOIN erp_webhook.bank_match m ON m.company_id = p.company_id AND m.source_id = p.source_id
      AND m.payout_ref = p.object_ref AND m.currency = p.denomination
    JOIN erp_webhook.bank_item i ON i.company_id = m.company_id AND i.item = 'line'
      AND i.source_id = m.line_source AND i.object_ref = m.line_ref
    LEFT JOIN erp_webhook.money_object o ON o.company_id = m.company_id AND o.source_id = m.line_source
      AND o.object = 'bank' AND o.object_ref = m.line_ref)
  SELECT l.source_id, l.object_ref, l.bank, l.line_currency, sum(l.amount), max(l.decided_by), max(l.booked_on)
  FROM line l GROUP BY l.source_id, l.object_ref, l.bank, l.line_currency
  UNION ALL
  SELECT p.source_id, p.object_ref, p.difference_to, d.currency, d.amount, p.decided_by, d.day
  FROM payout p
  CROSS JOIN LATERAL (
    SELECT c.currency, sum(c.amount) AS amount, max(c.day) AS day
    FROM (SELECT p.denomination AS currency, p.counts AS amount, NULL::date AS day
          UNION ALL SELECT l.line_currency, -l.amount, l.booked_on FROM line l
          WHERE l.source_id = p.source_id AND l.object_ref = p.object_ref AND l.denomination = p.denomination) c
    GROUP BY c.currency) d
  WHERE p.difference_to IS NOT NULL
$$;
COMMENT ON FUNCTION erp_webhook.arrivals(int, erp_webhook.object_key[]) IS
  'what moves out of in_transit because of bank lines: to the bank, and what differs to where somebody said';
