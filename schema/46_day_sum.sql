-- The ledger by day, summed once: what lets a report over all of history cost its days and not its vouchers.
--
--   voucher 1 … upto                day_sum            one row a day, kind of object, pair of accounts and currency
--   voucher upto + 1 … pending      next to be summed, once every transaction that was under way when `pending` was read has ended
--   voucher after that              read as they are
--
-- Vouchers are never changed, so a sum is only ever added to, also by one that is booked on a past day. A number is taken before its
-- voucher is seen, and an earlier number may be seen later; hence the two steps, told apart by transaction ids.

CREATE TABLE erp_webhook.day_sum (
  company_id int NOT NULL,
  booked_on date NOT NULL,
  object text NOT NULL,
  debit text NOT NULL,
  credit text NOT NULL,
  currency text NOT NULL,
  amount erp_webhook.amount NOT NULL,
  PRIMARY KEY (company_id, booked_on, object, debit, credit, currency)
);
COMMENT ON TABLE erp_webhook.day_sum IS
  'derived: what the entries of the vouchers summed so far come to, by day, kind of object, accounts and currency';

CREATE TABLE erp_webhook.day_sum_state (
  company_id int NOT NULL,
  upto bigint NOT NULL DEFAULT 0,
  pending bigint,
  pending_xid xid8,
  PRIMARY KEY (company_id)
);
COMMENT ON TABLE erp_webhook.day_sum_state IS 'how far day_sum goes: every voucher up to upto is in it, none after';
COMMENT ON COLUMN erp_webhook.day_sum_state.pending IS
  'the last voucher number that had been given when pending_xid was the next transaction id';

SELECT pg_catalog.pg_extension_config_dump('erp_webhook.day_sum', '');
SELECT pg_catalog.pg_extension_config_dump('erp_webhook.day_sum_state', '');
