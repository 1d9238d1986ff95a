-- The short path: payments that name one open invoice with enough due, and of which nothing else is known.
--
-- Why the result is the same: where an invoice has room left after all that is allocated to it, no receipt was cut
-- short there, so one more receipt that fits changes nobody else's share, whatever its place in the order; and a
-- receipt that is spent on the first invoice it names leaves nothing for a second pass. So one conditional UPDATE
-- decides it: it waits for whoever holds the invoice and looks again at the row it then finds. No other row need be
-- locked or read.
--
-- In C (src/inbox/plain.c), because every payment passes here.

CREATE FUNCTION erp_webhook.is_plain(e erp_webhook.event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_is_plain';
COMMENT ON FUNCTION erp_webhook.is_plain(erp_webhook.event) IS 'may an event go the short path, as far as it says itself?';

-- What a company's policies say about plain payments. Most companies have no policy of these,
-- so they are not looked for.
CREATE TYPE erp_webhook.house AS (
  currency text, digits int, tolerance numeric, time_zone text, time_zones int, closed_until date, has_rules boolean,
  sources int[], clearing text[]);
COMMENT ON TYPE erp_webhook.house IS
  'a company''s currency, those of its policies that payments ask for, whether it has event rules, and its sources, each with its clearing account';

CREATE FUNCTION erp_webhook.read_house(company_id int) RETURNS erp_webhook.house
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
  h erp_webhook.house;
  has_policies boolean;
BEGIN
  SELECT c.currency, EXISTS (SELECT FROM erp_webhook.policy p WHERE p.company_id = c.company_id),
         EXISTS (SELECT FROM erp_webhook.event_rule r WHERE r.company_id = c.company_id)
  INTO h.currency, has_policies, h.has_rules
  FROM erp_webhook.company c WHERE c.company_id = read_house.company_id;
  IF has_policies THEN
    SELECT max(CASE WHEN p.policy = 'tolerance' THEN p.value::numeric END), min(p.value) FILTER (WHERE p.policy = 'time_zone'),
           count(*) FILTER (WHERE p.policy = 'time_zone'), erp_webhook.closed_until(read_house.company_id)
    INTO h.tolerance, h.time_zone, h.time_zones, h.closed_until
    FROM erp_webhook.policy p WHERE p.company_id = read_house.company_id;
  ELSE
    h.closed_until := '-infinity';
  END IF;
  SELECT array_agg(s.source_id), array_agg('clearing:' || s.name) INTO h.sources, h.clearing
  FROM erp_webhook.source s WHERE s.company_id = read_house.company_id;
  h.digits := erp_webhook.digits_of(h.currency);
  h.time_zone := coalesce(h.time_zone, erp_webhook.policy_default('time_zone'));
  RETURN h;
END
$$;
COMMENT ON FUNCTION erp_webhook.read_house(int) IS 'a company''s currency and policies, as the tables say; ask house_of()';

CREATE FUNCTION erp_webhook.house_of(company_id int) RETURNS erp_webhook.house
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'erp_webhook_house_of';
COMMENT ON FUNCTION erp_webhook.house_of(int) IS 'read_house(), kept by the backend until configuration changes';

-- Payments, each of an invoice of its own: one that two of them name is updated but once, and then one is short. The plan
-- and join settings are those of settle(); new events come the same way without it (src/inbox/settling.c).
CREATE FUNCTION erp_webhook.settle_plain(company_id int, events erp_webhook.event[]) RETURNS int
LANGUAGE c VOLATILE STRICT
SET lock_timeout = '800ms'  -- see 74_scope
SET erp_webhook.settling = on
AS 'MODULE_PATHNAME', 'erp_webhook_settle_plain';
COMMENT ON FUNCTION erp_webhook.settle_plain(int, erp_webhook.event[]) IS
  'the short path of settle(); NULL if an event is not plain; raises EW002 where an invoice is not, or a unique violation where something is known already: the caller then undoes it';

-- Which of many events may go the short path although others may not: those whose invoice has room and no other payer
-- in the call, of whose payment nothing is known, and which no other event of the call speaks of.
CREATE FUNCTION erp_webhook.part_plain(
  company_id int, events erp_webhook.event[], OUT plain erp_webhook.event[], OUT others erp_webhook.event[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  company constant int := part_plain.company_id;
BEGIN
  WITH said AS (
    SELECT e::erp_webhook.event AS e, e.source_id, e.object_ref, e.payment_ref, e.correlation, e.amount, e.currency,
           erp_webhook.is_plain(e) AS plain
    FROM unnest(events) e
  ), invoiced AS (
    SELECT s.e, count(*) OVER (PARTITION BY s.source_id, s.object_ref) = 1
           AND count(*) OVER (PARTITION BY i.invoice_id) = 1 AND s.amount <= i.due
           AND s.object_ref NOT IN (SELECT x.ref FROM said o CROSS JOIN LATERAL (VALUES (o.object_ref), (o.payment_ref)) x (ref)
                                    WHERE NOT o.plain AND x.ref IS NOT NULL)
           AND i.number NOT IN (SELECT n FROM said o CROSS JOIN LATERAL unnest(erp_webhook.numbers_in(o.correlation)) n
                                WHERE NOT o.plain)
           AND NOT EXISTS (SELECT FROM erp_webhook.money_object m WHERE m.company_id = company AND m.source_id = s.source_id
                             AND m.object = 'payment' AND m.object_ref = s.object_ref) AS plain
    FROM said s
    CROSS JOIN LATERAL (SELECT i.* FROM erp_webhook.invoice i
                        WHERE i.company_id = company AND i.number = s.correlation[1] AND i.currency = s.currency OFFSET 0) i
    WHERE s.plain AND i.state IN ('open', 'partial') AND i.written_off = 0 AND i.subscription_ref IS NULL AND i.erp_key IS NULL
  )
  SELECT (SELECT array_agg(i.e) FROM invoiced i WHERE i.plain),
         (SELECT array_agg(s.e) FROM said s WHERE (s.e).event_id NOT IN (SELECT (i.e).event_id FROM invoiced i WHERE i.plain))
  INTO plain, others;
  IF others IS NULL THEN  -- they were tried together, in vain
    others := plain;
    plain := NULL;
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.part_plain(int, erp_webhook.event[]) IS
  'events parted: plain payments that nothing else of the call concerns, and the others';
