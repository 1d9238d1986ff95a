-- The books, second half: objects (what the facts say), vouchers and entries (what is booked),
-- allocations (what pays what).
--
--   event ──merged──▶ money_object ──ought − booked──▶ voucher ──▶ entry
--                          └──receipts──▶ allocation ──▶ invoice.paid, .credited

-- One row for what one object's facts say together. A row is made by whoever first speaks of the object, so a payment
-- that so far only a refund named is a stub. Receipt columns are filled on the row named by payment_ref itself.
CREATE TABLE erp_webhook.money_object (
  company_id int NOT NULL,
  source_id int NOT NULL,
  object text NOT NULL CHECK (object IN
    ('payment', 'refund', 'refund_total', 'withdrawn', 'reinstated', 'payout', 'bank', 'conversion', 'write_off')),
  object_ref text NOT NULL,
  denomination text NOT NULL DEFAULT '',
  payment_ref text,
  currency text,
  amount erp_webhook.amount,
  succeeded_at timestamptz,
  effective boolean NOT NULL DEFAULT false,
  decided_by bigint,
  reversal boolean NOT NULL DEFAULT false,
  contradicted boolean NOT NULL DEFAULT false,
  debit_side boolean NOT NULL DEFAULT false,
  fee erp_webhook.amount,
  fee_currency text,
  fee_by bigint,
  to_amount erp_webhook.amount,
  to_currency text,
  value_date date,
  payout_ref text,
  bank_ref text,
  end_to_end_id text,
  refs text[],
  ref_amounts numeric[],
  account_ref text,
  subscription_ref text,
  facts bigint[] NOT NULL DEFAULT '{}',
  PRIMARY KEY (company_id, source_id, object, object_ref, denomination)
) WITH (fillfactor = 90);
COMMENT ON TABLE erp_webhook.money_object IS 'everything that moves money, with what its facts say together';
COMMENT ON COLUMN erp_webhook.money_object.denomination IS 'a payout''s currency (one payout may have several); else empty';
COMMENT ON COLUMN erp_webhook.money_object.succeeded_at IS 'its first success, by moment(); NULL: it never succeeded';
COMMENT ON COLUMN erp_webhook.money_object.effective IS 'does it count now: the latest of success and failure';
COMMENT ON COLUMN erp_webhook.money_object.decided_by IS 'the event that decided amount and state: it dates the voucher';
COMMENT ON COLUMN erp_webhook.money_object.reversal IS 'a reversal with an id and amount of its own, rather than a payment';
COMMENT ON COLUMN erp_webhook.money_object.contradicted IS 'facts of it assert different amounts';
COMMENT ON COLUMN erp_webhook.money_object.debit_side IS 'a bank line that leaves the bank';
COMMENT ON COLUMN erp_webhook.money_object.refs IS 'receipts: the references of all its facts, first mention first';
COMMENT ON COLUMN erp_webhook.money_object.facts IS 'the events that speak of it';
CREATE INDEX money_object_of_payment ON erp_webhook.money_object (company_id, source_id, payment_ref)
  WHERE payment_ref IS NOT NULL AND (object <> 'payment' OR object_ref <> payment_ref);
CREATE INDEX money_object_of_subscription ON erp_webhook.money_object (company_id, subscription_ref)
  WHERE subscription_ref IS NOT NULL;

CREATE INDEX money_object_of_customer ON erp_webhook.money_object (company_id, source_id, account_ref) WHERE object = 'bank';
CREATE INDEX money_object_contradicted ON erp_webhook.money_object (company_id) WHERE contradicted;
CREATE INDEX event_by_person ON erp_webhook.event (company_id, object_ref) WHERE origin = 'person';

-- Who names an invoice (or a subscription's invoice) without having been simply allocated to it.
CREATE TABLE erp_webhook.reference (
  company_id int NOT NULL,
  ref text NOT NULL,
  source_id int NOT NULL,
  object text NOT NULL CHECK (object IN ('payment', 'bank', 'subscription')),
  object_ref text NOT NULL,
  PRIMARY KEY (company_id, ref, source_id, object, object_ref)
);
COMMENT ON TABLE erp_webhook.reference IS
  'invoice numbers that receipts and subscriptions give; not kept for a payment wholly spent on the one invoice it names';

-- How a receipt stands (and, as object 'reinstated', what came back beyond what was taken: nobody's). A payment wholly
-- spent on the one invoice it names, never taken back, has no row: nothing is open about it.
CREATE TABLE erp_webhook.receipt_standing (
  company_id int NOT NULL,
  source_id int NOT NULL,
  object text NOT NULL,
  object_ref text NOT NULL,
  currency text NOT NULL,
  account_id int,
  at timestamptz,
  net numeric NOT NULL,
  strength numeric NOT NULL,
  gross numeric NOT NULL,
  allocated numeric NOT NULL,
  by_due_date boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE erp_webhook.receipt_standing IS 'derived: what a receipt is worth, how much of it is placed, and whose it is';
COMMENT ON COLUMN erp_webhook.receipt_standing.net IS
  'captured − reversed − disputed − refunded, below zero where more was taken back';
COMMENT ON COLUMN erp_webhook.receipt_standing.allocated IS 'how much of its strength invoices have; the rest is credit';
COMMENT ON COLUMN erp_webhook.receipt_standing.gross IS 'what it would be worth had nothing been refunded';
CREATE INDEX receipt_standing_of_account ON erp_webhook.receipt_standing (company_id, account_id, currency, at);
CREATE INDEX receipt_standing_open ON erp_webhook.receipt_standing (company_id)
  WHERE net <> allocated OR net <> strength OR at IS NULL;
ALTER TABLE erp_webhook.receipt_standing ADD PRIMARY KEY (company_id, source_id, object, object_ref, currency);

CREATE TABLE erp_webhook.allocation (
  company_id int NOT NULL,
  invoice_id bigint NOT NULL,
  source_id int NOT NULL,
  object text NOT NULL,
  object_ref text NOT NULL,
  amount erp_webhook.amount NOT NULL CHECK (amount > 0),
  PRIMARY KEY (company_id, invoice_id, source_id, object, object_ref)
);
COMMENT ON TABLE erp_webhook.allocation IS 'derived: how much of which receipt pays which invoice';

CREATE TABLE erp_webhook.voucher (
  company_id int NOT NULL,
  voucher_id bigint GENERATED BY DEFAULT AS IDENTITY,
  source_id int NOT NULL,
  object text NOT NULL,
  object_ref text NOT NULL,
  step int NOT NULL,
  event_id bigint,
  booked_on date NOT NULL,
  occurred_on date NOT NULL,
  amount erp_webhook.amount NOT NULL,
  currency text NOT NULL,
  posted_at timestamptz NOT NULL DEFAULT now(),
  digest bytea NOT NULL,
  PRIMARY KEY (company_id, voucher_id),
  UNIQUE (company_id, source_id, object, object_ref, step)
);
COMMENT ON TABLE erp_webhook.voucher IS 'one change of what is booked of one object; never changed, a correction is the next step';
COMMENT ON COLUMN erp_webhook.voucher.amount IS 'of its first entry';
COMMENT ON COLUMN erp_webhook.voucher.occurred_on IS 'the day of the fact; booked_on is later where that day was closed';
COMMENT ON COLUMN erp_webhook.voucher.digest IS
  'SHA-256 of the voucher with its entries as it was posted (43_chain); verify_chain() compares';

CREATE TABLE erp_webhook.entry (
  company_id int NOT NULL,
  voucher_id bigint NOT NULL,
  entry_no int NOT NULL,
  debit text NOT NULL,
  credit text NOT NULL CHECK (credit <> debit),
  amount erp_webhook.amount NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  PRIMARY KEY (company_id, voucher_id, entry_no)
);
COMMENT ON TABLE erp_webhook.entry IS
  'moves one positive amount from one ledger account (credit) to another (debit): a voucher cannot be out of balance';

-- Numbered without gaps per company and year: the counter is locked last and only by those who make a document.
CREATE TABLE erp_webhook.document_counter (
  company_id int NOT NULL,
  year int NOT NULL,
  last int NOT NULL,
  PRIMARY KEY (company_id, year)
);
COMMENT ON TABLE erp_webhook.document_counter IS 'the last number given to a credit or debit note of a year';

CREATE TABLE erp_webhook.document (
  company_id int NOT NULL,
  year int NOT NULL,
  sequence int NOT NULL,
  kind text NOT NULL CHECK (kind IN ('credit_note', 'debit_note')),
  number text NOT NULL,
  invoice_number text NOT NULL,
  voucher_id bigint NOT NULL,
  amount erp_webhook.amount NOT NULL CHECK (amount > 0),
  tax erp_webhook.amount NOT NULL DEFAULT 0,
  currency text NOT NULL,
  issued_on date NOT NULL,
  PRIMARY KEY (company_id, year, sequence),
  UNIQUE (company_id, number),
  FOREIGN KEY (company_id, voucher_id) REFERENCES erp_webhook.voucher
);
COMMENT ON TABLE erp_webhook.document IS
  'credit notes, and debit notes that take one back: each change of what an invoice was credited';

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY '{voucher,entry,document}'::text[] LOOP
    EXECUTE format('CREATE TRIGGER %1$s_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON erp_webhook.%1$I
      FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.forbid(''A correction is another voucher.'')', t);
  END LOOP;
  FOREACH t IN ARRAY '{meeting,account,account_link,invoice,subscription,policy,decision,money_object,reference,
      receipt_standing,allocation,voucher,entry,document_counter,document}'::text[] LOOP
    PERFORM pg_catalog.pg_extension_config_dump(format('erp_webhook.%I', t)::regclass, '');
  END LOOP;
  FOREACH t IN ARRAY '{account_account_id,invoice_invoice_id,voucher_voucher_id}'::text[] LOOP
    PERFORM pg_catalog.pg_extension_config_dump(format('erp_webhook.%I', t || '_seq')::regclass, '');
  END LOOP;
END
$$;
