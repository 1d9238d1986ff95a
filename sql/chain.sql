-- The chain over vouchers: unbroken as posted; names the first broken link after tampering by a superuser.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
SET search_path = erp_webhook, public;
SELECT add_company('chain', 'EUR') AS company \gset
SELECT add_source('chain', 'generic', 'chain') AS source \gset
INSERT INTO account (company_id, account_no, name, currency) VALUES (:company, 'CH-1', 'One', 'EUR');
INSERT INTO invoice (company_id, number, account_id, currency, total, tax, issued_on, due_on)
SELECT :company, 'CH-' || n, account_id, 'EUR', 121, 21, '2025-10-01', '2025-11-01' FROM account, generate_series(1, 3) n WHERE company_id = :company;
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency, fee)
SELECT :company, :source, 'e' || n, 'payment.succeeded', 'applied', '2025-10-09T09:00:00Z', now(), 'p' || n, 'p' || n, ARRAY['CH-' || n], 121, 'EUR', n FROM generate_series(1, 2) n;
-- The long way round: more than the invoice is due.
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, correlation, amount, currency, fee)
VALUES (:company, :source, 'e3', 'payment.succeeded', 'applied', '2025-10-09T09:00:00Z', now(), 'p|3', 'p|3', '{CH-3}', 200, 'EUR', 3);

SELECT broken FROM verify_chain('chain');
SELECT count(*) FROM voucher WHERE company_id = :company;
SELECT seal_vouchers(:company), seal_vouchers(:company);
SELECT broken FROM verify_chain('chain');
SELECT sequence, length(hash) FROM chain_head('chain');
UPDATE voucher_link SET hash = '' WHERE company_id = :company;

-- One more voucher, not sealed yet.
INSERT INTO event (company_id, source_id, external_id, kind, state, occurred_at, received_at, object_ref, payment_ref, amount, currency)
VALUES (:company, :source, 'e4', 'refund.succeeded', 'applied', '2025-10-09T10:00:00Z', now(), 'r1', 'p1', 21, 'EUR');
CREATE FUNCTION pg_temp.tampered(damage text) RETURNS TABLE (link bigint, object_ref text, broken text) LANGUAGE plpgsql AS $$
DECLARE found record; ref text;
BEGIN
  BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE damage;
    SELECT c.sequence, c.voucher_id, c.broken INTO found FROM erp_webhook.verify_chain('chain') c;
    SELECT v.object_ref INTO ref FROM erp_webhook.voucher v WHERE v.voucher_id = found.voucher_id;
    RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
  EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN NULL;
  END;
  RETURN QUERY SELECT found.sequence, ref, coalesce(found.broken, '(nothing)');
END $$;
SELECT what, t.* FROM (VALUES
  (1, 'an amount', 'UPDATE entry e SET amount = 1 FROM voucher v WHERE e.company_id = %s AND v.voucher_id = e.voucher_id AND v.object_ref = ''p2'' AND e.entry_no = 1'),
  (2, 'a fee', 'UPDATE entry e SET amount = 1 FROM voucher v WHERE e.company_id = %s AND v.voucher_id = e.voucher_id AND v.object_ref = ''p|3'' AND e.debit = ''fees'''),
  (3, 'an account', 'UPDATE entry e SET credit = ''tax'' FROM voucher v WHERE e.company_id = %s AND v.voucher_id = e.voucher_id AND v.object_ref = ''CH-1'' AND e.credit = ''revenue'''),
  (4, 'a day', 'UPDATE voucher SET booked_on = booked_on + 1 WHERE company_id = %s AND object_ref = ''p1'' AND object = ''payment'''),
  (5, 'a day, and its digest', 'WITH c AS (UPDATE voucher SET booked_on = booked_on + 1, digest = voucher_digest(company_id, source_id, object, object_ref, step, event_id, booked_on + 1, occurred_on, (SELECT string_agg(entry_text(debit, credit, e.amount, e.currency), '''' ORDER BY entry_no) FROM entry e WHERE e.voucher_id = voucher.voucher_id)) WHERE company_id = %s AND object_ref = ''p1'' AND object = ''payment'' RETURNING 1) SELECT count(*) FROM c'),
  (6, 'a voucher gone', 'DELETE FROM voucher WHERE company_id = %s AND object_ref = ''p1'' AND object = ''payment'''),
  (7, 'its link gone too', 'DELETE FROM voucher_link WHERE company_id = %s AND sequence = 2'),
  (8, 'a link', 'UPDATE voucher_link SET hash = sha256(''x'') WHERE company_id = %s AND sequence = 4'),
  (9, 'one not sealed yet', 'UPDATE entry e SET amount = 1 FROM voucher v WHERE e.company_id = %s AND v.voucher_id = e.voucher_id AND v.object_ref = ''r1'''),
  (10, 'nothing', 'SELECT %s')) d (n, what, damage)
CROSS JOIN LATERAL pg_temp.tampered(format(damage, :company)) t ORDER BY n;
SELECT broken FROM verify_chain('chain');

-- The worker's turn continues it, also over what becomes visible late; an idle turn writes nothing.
SELECT do_chores(false);
SELECT count(*) AS not_sealed FROM voucher v WHERE NOT EXISTS (SELECT FROM voucher_link l WHERE l.company_id = v.company_id AND l.voucher_id = v.voucher_id);
DO $$
BEGIN
  FOR turn IN 1 .. 100 LOOP  -- two, but for what else holds a transaction open on this server
    COMMIT;
    EXIT WHEN (SELECT s.sealed = s.pending FROM erp_webhook.chain_state s JOIN erp_webhook.company c USING (company_id) WHERE c.name = 'chain');
    PERFORM erp_webhook.do_chores(false), pg_sleep(0.02 * turn);
  END LOOP;
END $$;
SELECT s.sealed = s.pending AND s.sealed = max(l.voucher_id) AS as_far_as_the_last FROM chain_state s JOIN voucher_link l USING (company_id)
WHERE company_id = :company GROUP BY s.sealed, s.pending;
SELECT xmin AS written FROM chain_state WHERE company_id = :company \gset
SELECT do_chores(false);
SELECT xmin = :'written' AS idle FROM chain_state WHERE company_id = :company;
SELECT seal_vouchers(:company);
SELECT broken FROM verify_chain('chain');
