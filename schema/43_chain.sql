-- The chain over vouchers. A voucher carries the digest of itself and its entries from the moment it is posted, which
-- costs the posting no lock; seal_vouchers() links the digests afterwards, one after another, off the hot path.

-- The SHA-256 of company|source|object|length:reference|step|event or -|booked on|occurred on|entries, in UTF-8. Days
-- are counted from 2000-01-01, so that no setting of a session changes the text.
CREATE FUNCTION erp_webhook.voucher_digest(company_id int, source_id int, object text, object_ref text, step int, event_id bigint,
                                           booked_on date, occurred_on date, entries text) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_voucher_digest';
COMMENT ON FUNCTION erp_webhook.voucher_digest(int, int, text, text, int, bigint, date, date, text) IS
  'SHA-256 of a voucher with its entries';

-- debit<credit:amount and currency;
CREATE FUNCTION erp_webhook.entry_text(debit text, credit text, amount numeric, currency text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_entry_text';
COMMENT ON FUNCTION erp_webhook.entry_text(text, text, numeric, text) IS
  'an entry as the digest of its voucher sees it; a voucher''s entries stand one after another';

CREATE TABLE erp_webhook.voucher_link (
  company_id int NOT NULL,
  sequence bigint NOT NULL,
  voucher_id bigint NOT NULL,
  hash bytea NOT NULL,
  sealed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (company_id, sequence),
  UNIQUE (company_id, voucher_id)
);
COMMENT ON TABLE erp_webhook.voucher_link IS
  'the chain over vouchers: hash = SHA-256 of the hash before, the voucher''s id and its digest; note the latest hash elsewhere, and nobody can rewrite what was before it';
COMMENT ON COLUMN erp_webhook.voucher_link.sequence IS
  'place in the chain, from 1 without gaps; the order of sealing, not of posting';
COMMENT ON COLUMN erp_webhook.voucher_link.hash IS 'SHA-256 (32 bytes)';
CREATE TRIGGER voucher_link_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON erp_webhook.voucher_link
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.forbid();

-- Vouchers become visible out of order, so a turn looks again at those after `sealed`; two steps, told apart by
-- transaction ids as in 46_day_sum, move it on, so that a turn costs what came lately and an idle one nothing.
CREATE TABLE erp_webhook.chain_state (
  company_id int NOT NULL,
  sealed bigint NOT NULL,
  pending bigint NOT NULL,
  pending_xid xid8 NOT NULL,
  PRIMARY KEY (company_id)
);
COMMENT ON TABLE erp_webhook.chain_state IS 'how far the chain goes: every voucher up to sealed is in it, and some after';
COMMENT ON COLUMN erp_webhook.chain_state.pending IS
  'the highest voucher number that had been sealed when pending_xid was the next transaction id';

SELECT pg_catalog.pg_extension_config_dump('erp_webhook.chain_state', '');
