-- Cash: where it is. When the rest will come: 84_cash_expected.sql and 84_cash_forecast.sql;
-- why it is there: 84_cash_proof.sql.

CREATE FUNCTION erp_webhook.closing_balances(company_id int, day date)
RETURNS TABLE (account text, ledger_account text, currency text, balance numeric, said_on date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (s.account, s.currency)
         s.account, 'bank' || coalesce(':' || b.name, ''), s.currency, s.closing_balance::numeric, s.to_date
  FROM erp_webhook.bank_statement s
  LEFT JOIN erp_webhook.bank_account b ON b.company_id = s.company_id AND b.account = s.account
  WHERE s.company_id = closing_balances.company_id AND s.to_date <= closing_balances.day AND s.closing_balance IS NOT NULL
  ORDER BY s.account, s.currency, s.to_date DESC, s.statement_id DESC
$$;
COMMENT ON FUNCTION erp_webhook.closing_balances(int, date) IS
  'per bank account what the latest statement up to a day closes with';

CREATE FUNCTION erp_webhook.place_of_cash(ledger_account text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ledger_account ~ '^bank(:|$)' THEN 'bank'
            WHEN ledger_account LIKE 'clearing:%' THEN 'clearing'
            WHEN ledger_account = 'in_transit' THEN 'in_transit'
            WHEN ledger_account = 'bank_unassigned' THEN 'unassigned' END;
COMMENT ON FUNCTION erp_webhook.place_of_cash(text) IS 'what kind of place for money a ledger account is; NULL: none';

CREATE FUNCTION erp_webhook.cash_position(company text DEFAULT 'default', at timestamptz DEFAULT NULL)
RETURNS TABLE (kind text, ledger_account text, currency text, balance numeric, bank_says numeric, said_on date,
               difference numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH asked AS MATERIALIZED (SELECT * FROM erp_webhook.asked_day(cash_position.company, cash_position.at)),
  ledger AS (
    SELECT l.ledger_account, e.currency, sum(l.sign * e.amount) AS balance
    FROM asked a
    CROSS JOIN LATERAL erp_webhook.ledger_moves(a.company_id, '-infinity', a.day) e
    CROSS JOIN LATERAL (VALUES (e.debit, 1), (e.credit, -1)) l (ledger_account, sign)
    WHERE erp_webhook.place_of_cash(l.ledger_account) IS NOT NULL
    GROUP BY 1, 2),
  bank AS (
    SELECT c.ledger_account, c.currency, sum(c.balance) AS says, min(c.said_on) AS said_on
    FROM asked a CROSS JOIN LATERAL erp_webhook.closing_balances(a.company_id, a.day) c
    GROUP BY 1, 2),
  place AS (
    SELECT erp_webhook.place_of_cash(ledger_account) AS kind, ledger_account, currency,
           coalesce(l.balance, 0) AS balance, b.says, b.said_on
    FROM ledger l FULL JOIN bank b USING (ledger_account, currency)
    WHERE coalesce(l.balance, 0) <> 0 OR b.says IS NOT NULL)
  SELECT p.kind, p.ledger_account, p.currency, round(p.balance, d.digits), round(p.says, d.digits), p.said_on,
         round(p.says - p.balance, d.digits)
  FROM place p CROSS JOIN LATERAL (SELECT erp_webhook.digits_of(p.currency)) d (digits)
  ORDER BY p.kind, p.ledger_account COLLATE "C", p.currency
$$;
COMMENT ON FUNCTION erp_webhook.cash_position(text, timestamptz) IS
  'money at the end of a day (default: today) per bank, clearing account and currency, as the ledger says; bank_says: the '
  'closing balance of the latest statements by then. kind: bank, clearing, in_transit, or unassigned (debits that left the '
  'bank and have no place yet: no cash)';
