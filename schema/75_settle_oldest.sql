-- The short path of money that names nothing: under the policy allocate = due_date it goes to its account's
-- oldest invoices.
--
-- Why the result is the same: in the first pass such a receipt takes no part. In the second pass receipts take their
-- turns; the last one finds each invoice with what the others left of it, and changes nobody else's share. So a payment
-- later than every other of its account looks at as many invoices with room, oldest due first, as it can pay. Had
-- nothing been refunded, an invoice would have that room less what is credited: where nothing is credited, both runs
-- agree. An older payment pushes all later ones along; that is the long way, as is all else.

CREATE FUNCTION erp_webhook.names_nothing(e erp_webhook.event) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (e).kind = 'payment.succeeded' AND (e).state = 'applied' AND (e).amount > 0 AND (e).currency IS NOT NULL
   AND (e).object_ref IS NOT NULL AND coalesce((e).payment_ref, (e).object_ref) = (e).object_ref
   AND (e).account_ref IS NOT NULL AND (e).subscription_ref IS NULL
   AND coalesce(cardinality((e).correlation), 0) = 0 AND (e).origin <> 'person';
COMMENT ON FUNCTION erp_webhook.names_nothing(erp_webhook.event) IS 'a payment of a customer that says nothing of what it is for';

-- The invoices that so much money pays, oldest due first; NULL where one of them is not as simple as that.
CREATE FUNCTION erp_webhook.oldest_with_room(company_id int, account_id int, currency text, strength numeric, tolerance numeric)
RETURNS erp_webhook.allocated[]
LANGUAGE plpgsql VOLATILE
SET enable_bitmapscan = off  -- read in the order of invoice_of_account, and no further than needed
SET enable_sort = off
AS $$
#variable_conflict use_column
DECLARE
  i erp_webhook.invoice;
  share numeric;
  rest numeric := strength;
  pays erp_webhook.allocated[] := '{}';
BEGIN
  FOR i IN
    SELECT i.* FROM erp_webhook.invoice i
    WHERE i.company_id = oldest_with_room.company_id AND i.account_id = oldest_with_room.account_id
      AND i.currency = oldest_with_room.currency AND i.state <> 'void' AND i.total - i.elsewhere > i.paid
    ORDER BY i.due_on, i.number COLLATE "C"
  LOOP
    EXIT WHEN rest = 0;
    share := least(rest, i.total - i.elsewhere - i.paid);
    IF i.credited <> 0 OR i.written_off <> 0 OR i.erp_key IS NOT NULL OR i.due - share BETWEEN 0.000000001 AND tolerance THEN
      RETURN NULL;
    END IF;
    rest := rest - share;
    pays := pays || ROW(1, NULL, NULL, NULL, NULL, NULL, i.invoice_id, share, share)::erp_webhook.allocated;
  END LOOP;
  RETURN pays;
END
$$;
COMMENT ON FUNCTION erp_webhook.oldest_with_room(int, int, text, numeric, numeric) IS
  'which invoices of an account so much money pays, and how much of each; NULL: one of them is credited, written off or left with next to nothing';

-- One such payment, of an account that is held.
CREATE FUNCTION erp_webhook.pay_oldest(company_id int, e erp_webhook.event) RETURNS int
LANGUAGE plpgsql VOLATILE
SET erp_webhook.settling = on
AS $$
#variable_conflict use_column
DECLARE
  company constant int := pay_oldest.company_id;
  account constant int := erp_webhook.linked_account(company, e.source_id, e.account_ref);
  tolerance constant numeric := (erp_webhook.house_of(company)).tolerance;
  at constant timestamptz := erp_webhook.moment(e.occurred_at, e.signed_at, e.received_at);
  keys constant erp_webhook.object_key[] := ARRAY[ROW(e.source_id, 'payment', e.object_ref)::erp_webhook.object_key];
  pays erp_webhook.allocated[];
  posted bigint[];
BEGIN
  IF erp_webhook.policy_on(company, 'allocate', erp_webhook.day_of_moment(company, at)) <> 'due_date'
     OR EXISTS (SELECT FROM erp_webhook.receipt_standing r
                JOIN erp_webhook.source s ON s.company_id = r.company_id AND s.source_id = r.source_id
                WHERE r.company_id = company AND r.account_id = account AND r.currency = e.currency AND r.at >= at AND r.by_due_date
                  AND (r.at > at OR (s.name COLLATE "C", r.object_ref COLLATE "C") >
                       ((SELECT o.name FROM erp_webhook.source o
                         WHERE o.company_id = company AND o.source_id = e.source_id) COLLATE "C",
                        e.object_ref COLLATE "C"))) THEN
    RETURN NULL;
  END IF;
  pays := erp_webhook.oldest_with_room(company, account, e.currency, e.amount, tolerance);
  -- A payment that names one invoice holds no account: whom it pays meanwhile is looked at again.
  PERFORM FROM erp_webhook.invoice i WHERE i.company_id = company AND i.invoice_id IN (SELECT p.invoice_id FROM unnest(pays) p)
    ORDER BY i.number COLLATE "C" FOR NO KEY UPDATE;
  IF pays IS NULL OR erp_webhook.oldest_with_room(company, account, e.currency, e.amount, tolerance) IS DISTINCT FROM pays THEN
    RETURN NULL;
  END IF;

  INSERT INTO erp_webhook.money_object (company_id, source_id, object, object_ref, payment_ref)
  VALUES (company, e.source_id, 'payment', e.object_ref, e.object_ref);
  PERFORM erp_webhook.keep_facts(company, ARRAY[e]);
  PERFORM erp_webhook.merge_facts(company, keys, keys);
  SELECT erp_webhook.post(company, keys, array_agg(o)) INTO posted FROM erp_webhook.ought_of_objects(company, keys) o;

  INSERT INTO erp_webhook.allocation (company_id, invoice_id, source_id, object, object_ref, amount)
  SELECT company, p.invoice_id, e.source_id, 'payment', e.object_ref, p.amount FROM unnest(pays) p;
  UPDATE erp_webhook.invoice i
  SET paid = erp_webhook.written(i.paid + p.amount, i.currency), state = CASE WHEN i.due = p.amount THEN 'paid' ELSE 'partial' END
  FROM (SELECT company AS company_id, p.* FROM unnest(pays) p OFFSET 0) p  -- see keyed()
  WHERE i.company_id = p.company_id AND i.invoice_id = p.invoice_id;
  INSERT INTO erp_webhook.receipt_standing
    (company_id, source_id, object, object_ref, currency, account_id, at, net, strength, gross, allocated, by_due_date)
  SELECT company, r.source_id, r.object, r.object_ref, r.currency, r.account_id, r.at, r.net, r.strength, r.gross,
         (SELECT coalesce(sum(p.amount), 0) FROM unnest(pays) p), r.by_due_date
  FROM erp_webhook.receipts_standing(company, keys) r;
  RETURN cardinality(posted);
END
$$;
COMMENT ON FUNCTION erp_webhook.pay_oldest(int, erp_webhook.event) IS
  'settle a payment that goes to the oldest invoices of its account; NULL where this does not lead to the result';

CREATE FUNCTION erp_webhook.settle_oldest(company_id int, events erp_webhook.event[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '800ms'  -- see 74_scope
AS $$
#variable_conflict use_column
DECLARE
  company constant int := settle_oldest.company_id;
  accounts constant int[] := ARRAY(
    SELECT DISTINCT erp_webhook.linked_account(company, e.source_id, e.account_ref) FROM unnest(events) e ORDER BY 1);
  e erp_webhook.event;
  settled int := 0;
  n int := 0;
BEGIN
  IF (SELECT bool_and(erp_webhook.names_nothing(e)) FROM unnest(events) e) AND array_position(accounts, NULL) IS NULL
     AND EXISTS (SELECT FROM erp_webhook.policy p WHERE p.company_id = company AND p.policy = 'allocate' AND p.value = 'due_date')
     AND NOT EXISTS (SELECT FROM erp_webhook.binding b WHERE b.company_id = company) THEN
    -- Whoever else changes what these accounts owe, or whose they are, holds them too.
    PERFORM FROM erp_webhook.account a WHERE a.company_id = company AND a.account_id = ANY (accounts)
      ORDER BY a.account_id FOR NO KEY UPDATE;
    FOR e IN
      SELECT u.* FROM unnest(events) u JOIN erp_webhook.source s ON s.company_id = u.company_id AND s.source_id = u.source_id
      WHERE erp_webhook.linked_account(company, u.source_id, u.account_ref) = ANY (accounts)
      ORDER BY erp_webhook.moment(u.occurred_at, u.signed_at, u.received_at), s.name COLLATE "C", u.object_ref COLLATE "C"
    LOOP
      settled := settled + erp_webhook.pay_oldest(company, e);
      n := n + 1;
    END LOOP;
    IF settled IS NOT NULL AND n = cardinality(events) THEN  -- else one was linked elsewhere while we waited
      RETURN settled;
    END IF;
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'EW002', MESSAGE = 'not for the oldest invoices alone';
END
$$;
COMMENT ON FUNCTION erp_webhook.settle_oldest(int, erp_webhook.event[]) IS
  'the short path of settle() for payments that name nothing; raises EW002 where it does not lead to the result, or a unique violation where a payment is known: the caller then undoes it, and lets go of the locks';
