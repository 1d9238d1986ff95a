-- What subscribers are told of beside what settlement says itself (account.suspended, account.restored):
--
--   payment.failed  payment.reversed  refund.succeeded  refund.failed  dispute.opened  dispute.withdrawn  dispute.reinstated
--   payout.scheduled  payout.paid  payout.failed        each such fact, once
--   event.quarantined                                   an event whose own content is impossible, or contradicted
--   invoice.paid  invoice.credited                      an embedded invoice that has just become so
--
-- Nothing is written while nobody has subscribed. These functions only read the rows of their statement.

CREATE FUNCTION erp_webhook.somebody_listens() RETURNS boolean
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'erp_webhook_somebody_listens';
COMMENT ON FUNCTION erp_webhook.somebody_listens() IS
  'true while any subscriber of any company is active; false while a dump is being restored';

CREATE FUNCTION erp_webhook.tell_of(company_id int, events erp_webhook.event[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  told record;
BEGIN
  SELECT array_agg(q.kind ORDER BY n.event_id) AS kinds,
         array_agg(CASE WHEN n.state = 'quarantined' THEN 'event' ELSE split_part(n.kind, '.', 1) END
                   ORDER BY n.event_id) AS objects,
         array_agg(CASE WHEN n.state = 'quarantined' THEN n.event_id::text ELSE coalesce(n.object_ref, n.external_id) END
                   ORDER BY n.event_id) AS refs,
         array_agg(jsonb_strip_nulls(jsonb_build_object('event_id', n.event_id, 'external_id', n.external_id, 'kind',
                                                        n.kind, 'reason', n.reason,
           'object_ref', n.object_ref, 'payment_ref', n.payment_ref, 'payout_ref', n.payout_ref, 'amount', n.amount::text,
           'currency', n.currency,
           'references', to_jsonb(n.correlation), 'occurred_at', n.occurred_at, 'value_date',
           n.value_date)) ORDER BY n.event_id) AS payloads
    INTO told
  FROM unnest(events) n,
  LATERAL (SELECT CASE WHEN n.state = 'quarantined' THEN 'event.quarantined' ELSE n.kind END AS kind) q
  WHERE n.state = 'quarantined' OR n.state = 'applied'
    AND n.kind IN ('payment.failed', 'payment.reversed', 'refund.succeeded', 'refund.failed',
    'dispute.opened', 'dispute.withdrawn', 'dispute.reinstated', 'payout.scheduled', 'payout.paid', 'payout.failed');
  IF told.kinds IS NOT NULL THEN
    PERFORM erp_webhook.notify_all(company_id, told.kinds, told.objects, told.refs, told.payloads);
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.tell_of(int, erp_webhook.event[]) IS
  'queue messages about those of these events that somebody should hear of';

CREATE FUNCTION erp_webhook.tell_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  fresh record;
BEGIN
  FOR fresh IN SELECT n.company_id,
  array_agg(n::erp_webhook.event) AS events FROM new_event n GROUP BY n.company_id ORDER BY n.company_id LOOP
    PERFORM erp_webhook.tell_of(fresh.company_id, fresh.events);
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION erp_webhook.tell_events() IS 'trigger: queues messages about new events that somebody should hear of';
CREATE TRIGGER tell_events AFTER INSERT ON erp_webhook.event
  REFERENCING NEW TABLE AS new_event
  FOR EACH STATEMENT WHEN (erp_webhook.somebody_listens()) EXECUTE FUNCTION erp_webhook.tell_events();

-- What waited or failed at first is news when it is settled.
CREATE FUNCTION erp_webhook.tell_settled_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  settled record;
BEGIN
  FOR settled IN
    SELECT n.company_id, array_agg(n::erp_webhook.event) AS events
    FROM new_event n JOIN old_event o ON o.company_id = n.company_id AND o.event_id = n.event_id
    WHERE n.state = 'applied' AND o.state IN ('waiting', 'failed') GROUP BY n.company_id ORDER BY n.company_id
  LOOP
    PERFORM erp_webhook.tell_of(settled.company_id, settled.events);
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION erp_webhook.tell_settled_events() IS 'trigger: queues messages about events that are settled after all';
CREATE TRIGGER tell_settled_events AFTER UPDATE ON erp_webhook.event
  REFERENCING OLD TABLE AS old_event NEW TABLE AS new_event
  FOR EACH STATEMENT WHEN (erp_webhook.somebody_listens()) EXECUTE FUNCTION erp_webhook.tell_settled_events();

CREATE FUNCTION erp_webhook.tell_invoices() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  told record;
BEGIN
  FOR told IN
    SELECT n.company_id, array_agg('invoice.' || n.state ORDER BY n.invoice_id) AS kinds,
           array_agg('invoice'::text ORDER BY n.invoice_id) AS objects,
           array_agg(n.number ORDER BY n.invoice_id) AS refs,
           array_agg(jsonb_build_object('invoice', n.number, 'currency', n.currency, 'total', n.total::text,
             'paid', n.paid::text, 'credited', n.credited::text) ORDER BY n.invoice_id) AS payloads
    FROM new_invoice n JOIN old_invoice o ON o.company_id = n.company_id AND o.invoice_id = n.invoice_id
    WHERE n.state IN ('paid', 'credited') AND o.state <> n.state
    GROUP BY n.company_id ORDER BY n.company_id
  LOOP
    PERFORM erp_webhook.notify_all(told.company_id, told.kinds, told.objects, told.refs, told.payloads);
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION erp_webhook.tell_invoices() IS
  'trigger: queues messages about invoices that have become paid or credited';
CREATE TRIGGER tell_invoices AFTER UPDATE ON erp_webhook.invoice
  REFERENCING OLD TABLE AS old_invoice NEW TABLE AS new_invoice
  FOR EACH STATEMENT WHEN (erp_webhook.somebody_listens()) EXECUTE FUNCTION erp_webhook.tell_invoices();
