-- The short path of money that goes to the oldest invoices leads where the long one does: many small histories, told one fact
-- at a time, and then settled again as a whole.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SELECT erp_webhook.add_company('oldest', 'EUR') AS company \gset
SELECT erp_webhook.add_source('oldest-a', 'generic', 'oldest') AS source_a \gset
SELECT erp_webhook.add_source('oldest-b', 'generic', 'oldest') AS source_b \gset
SELECT erp_webhook.set_policy('oldest', 'allocate', 'due_date'), erp_webhook.set_policy('oldest', 'tolerance', '1.50');
-- Twenty customers: each has five invoices and twelve facts: payments that name nothing, or an invoice, refunds, in any order.
CREATE PROCEDURE pg_temp.tell(company int, sources int[]) LANGUAGE plpgsql AS $$
DECLARE
  customer int; account int; at timestamptz; pay text;
BEGIN
  PERFORM setseed(0.411);
  FOR c IN 1 .. 20 LOOP
    INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (company, 'O-' || c, 'EUR') RETURNING account_id INTO account;
    PERFORM erp_webhook.link_account('oldest-a', 'cus_' || c, 'O-' || c), erp_webhook.link_account('oldest-b', 'cus_' || c, 'O-' || c);
    FOR n IN 1 .. 12 LOOP
      IF n % 3 = 1 THEN
        INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on)
        VALUES (company, format('O-%s-%s', c, n), account, 'EUR', 5 + floor(random() * 20), date '2025-10-01' + floor(random() * 4)::int);
      END IF;
      -- Most are later than those before, some fall between, some are told at once.
      at := timestamptz '2025-10-01T00:00:00Z' + make_interval(mins => CASE WHEN random() < 0.7 THEN n * 10 ELSE floor(random() * 12)::int * 10 END);
      pay := format('o-%s-%s', c, n);
      INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, account_ref, correlation, amount, currency)
      SELECT company, sources[1 + (random() * 0.99 * 2)::int % 2], pay || x, 'payment.succeeded', 'applied', at, now(), pay || x, pay || x, 'cus_' || c,
             CASE WHEN random() < 0.2 THEN ARRAY[format('O-%s-%s', c, 1 + 3 * floor(random() * 4)::int)] END, 1 + floor(random() * 500) / 100, 'EUR'
      FROM generate_series(1, 1 + floor(random() * 1.3)::int) x;
      IF random() < 0.12 THEN
        INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency)
        SELECT o.company_id, o.source_id, pay || 'r', 'refund.succeeded', 'applied', at + interval '1 day', now(), pay || 'r', o.object_ref, 1 + floor(random() * 300) / 100, 'EUR'
        FROM erp_webhook.money_object o WHERE o.company_id = company AND o.object = 'payment' AND o.object_ref LIKE format('o-%s-%%', c) ORDER BY o.object_ref LIMIT 1;
      END IF;
    END LOOP;
  END LOOP;
END $$;
CALL pg_temp.tell(:company, ARRAY[:source_a, :source_b]);
SELECT count(*) AS breaches FROM erp_webhook.audit('oldest');
CREATE FUNCTION pg_temp.books() RETURNS TABLE (number text, state text, paid numeric, credited numeric, written_off numeric, source_id int, receipt text, amount numeric, left_over numeric)
LANGUAGE sql VOLATILE AS $$
  SELECT i.number, i.state, i.paid, i.credited, i.written_off, a.source_id, a.object_ref, a.amount, coalesce(r.strength - r.allocated, 0)
  FROM erp_webhook.company c JOIN erp_webhook.invoice i USING (company_id) LEFT JOIN erp_webhook.allocation a USING (company_id, invoice_id)
  LEFT JOIN erp_webhook.receipt_standing r USING (company_id, source_id, object, object_ref) WHERE c.name = 'oldest'
$$;
CREATE TEMP TABLE told AS SELECT * FROM pg_temp.books();
SELECT count(*) > 130 AS many, bool_or(credited > 0) AS credited, bool_or(written_off > 0) AS written_off, bool_or(state = 'partial') AS partial FROM told;
SELECT erp_webhook.settle_again('oldest') AS posted;
SELECT (SELECT count(*) FROM (SELECT * FROM told EXCEPT ALL SELECT * FROM pg_temp.books()) x) AS no_more, (SELECT count(*) FROM (SELECT * FROM pg_temp.books() EXCEPT ALL SELECT * FROM told) x) AS not_before;
-- A load in more than one portion, where the first settles the whole account.
INSERT INTO erp_webhook.account (company_id, account_no, currency) VALUES (:company, 'O-load', 'EUR') RETURNING account_id AS loaded \gset
SELECT erp_webhook.link_account('oldest-a', 'cus_load', 'O-load');
INSERT INTO erp_webhook.event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, account_ref, amount, currency)
VALUES (:company, :source_a, 'o-load', 'payment.succeeded', 'applied', '2025-10-01', now(), 'o-load', 'o-load', 'cus_load', 25, 'EUR');
INSERT INTO erp_webhook.invoice (company_id, number, account_id, currency, total, due_on) SELECT :company, 'OL-' || n, :loaded, 'EUR', 10, date '2025-12-01' - n FROM generate_series(1, 10100) n;
SELECT number, paid, state FROM erp_webhook.invoice WHERE company_id = :company AND account_id = :loaded AND paid > 0 ORDER BY due_on;
SELECT count(*) FROM erp_webhook.voucher WHERE company_id = :company AND object = 'invoice' AND object_ref LIKE 'OL-%';
