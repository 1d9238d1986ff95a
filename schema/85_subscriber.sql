-- Subscribers: who is told, and bringing back what did not arrive.

CREATE FUNCTION erp_webhook.url_refused(url text) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'erp_webhook_url_refused';
COMMENT ON FUNCTION erp_webhook.url_refused(text) IS
  'why the worker would not call this URL whatever its host resolves to; NULL if it would';

CREATE FUNCTION erp_webhook.address_refused(address inet, port int, plain_http boolean DEFAULT false) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'erp_webhook_address_refused';
COMMENT ON FUNCTION erp_webhook.address_refused(inet, int, boolean) IS
  'why the worker would not connect to this address; NULL if it would';

CREATE FUNCTION erp_webhook.new_subscriber_secret() RETURNS text
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64');
COMMENT ON FUNCTION erp_webhook.new_subscriber_secret() IS 'a fresh secret of 244 random bits';

CREATE FUNCTION erp_webhook.subscriber_called(name text, company text) RETURNS erp_webhook.subscriber
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found erp_webhook.subscriber;
BEGIN
  SELECT s.* INTO found FROM erp_webhook.company c JOIN erp_webhook.subscriber s ON s.company_id = c.company_id
  WHERE c.name = subscriber_called.company AND s.name = subscriber_called.name;
  IF found.subscriber_id IS NULL THEN
    RAISE EXCEPTION 'company "%" has no subscriber "%"', company, name USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM erp_webhook.check_access(found.company_id, 'admin');
  RETURN found;
END
$$;
COMMENT ON FUNCTION erp_webhook.subscriber_called(text, text) IS
  'the subscriber of that name, for an admin of its company; raises if there is none';

-- Standard Webhooks, "Signature scheme": whsec_ and base64 of 24 to 64 bytes.
CREATE FUNCTION erp_webhook.store_subscriber_secret(subscriber erp_webhook.subscriber, secret text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id int := nextval('erp_webhook.subscriber_secret_secret_id_seq');
  box record;
BEGIN
  IF secret !~ '^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
     OR octet_length(decode(substr(secret, 7), 'base64')) NOT BETWEEN 24 AND 64 THEN
    RAISE EXCEPTION 'not a signing secret' USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'A secret is whsec_ and the base64 of 24 to 64 bytes.';
  END IF;
  box := erp_webhook.seal('subscriber_secret', subscriber.company_id, subscriber.subscriber_id, id, 'sign', secret);
  INSERT INTO erp_webhook.subscriber_secret (company_id, subscriber_id, secret_id, sealed, key_name, valid)
    VALUES (subscriber.company_id, subscriber.subscriber_id, id, box.sealed, box.key_name, tstzrange(now(), NULL));
END
$$;
COMMENT ON FUNCTION erp_webhook.store_subscriber_secret(erp_webhook.subscriber, text) IS
  'seal a secret and sign with it from now on';

CREATE FUNCTION erp_webhook.add_subscriber(name text, url text, kinds text[] DEFAULT '{*}', secret text DEFAULT NULL,
                                           company text DEFAULT 'default')
RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made erp_webhook.subscriber;
  owner int := erp_webhook.find_company(company);
  inside boolean := url LIKE 'notify:%';
  refused text := erp_webhook.url_refused(url);
BEGIN
  PERFORM erp_webhook.check_access(owner, 'admin');
  IF inside AND (url !~ '^notify:[a-z_][a-z0-9_]{0,62}$' OR secret IS NOT NULL) THEN
    RAISE EXCEPTION 'not a channel: %', url USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Write notify:<name>, in lower case and without a secret, and LISTEN <name>.';
  ELSIF NOT inside AND refused IS NOT NULL THEN
    RAISE EXCEPTION 'cannot deliver to %: %', url, refused USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO erp_webhook.subscriber AS s (company_id, name, url, kinds)
    VALUES (owner, add_subscriber.name, add_subscriber.url, coalesce(add_subscriber.kinds, '{*}')) RETURNING s.* INTO made;
  IF NOT inside THEN
    PERFORM erp_webhook.store_subscriber_secret(made, coalesce(secret, erp_webhook.new_subscriber_secret()));
  END IF;
  RETURN made.subscriber_id;
END
$$;
COMMENT ON FUNCTION erp_webhook.add_subscriber(text, text, text[], text, text) IS
  'tell this URL of these kinds from now on. Without a secret one is made; rotate_subscriber_secret() returns one to '
  'hand out';

CREATE FUNCTION erp_webhook.rotate_subscriber_secret(name text, secret text DEFAULT NULL,
                                                     overlap interval DEFAULT '24 hours', company text DEFAULT 'default')
RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target erp_webhook.subscriber := erp_webhook.subscriber_called(name, company);
  fresh text := coalesce(secret, erp_webhook.new_subscriber_secret());
BEGIN
  UPDATE erp_webhook.subscriber_secret s SET valid = tstzrange(lower(s.valid), greatest(now() + overlap, lower(s.valid)))
    WHERE s.company_id = target.company_id AND s.subscriber_id = target.subscriber_id
      AND coalesce(upper(s.valid), 'infinity') > now() + overlap;
  PERFORM erp_webhook.store_subscriber_secret(target, fresh);
  RETURN fresh;
END
$$;
COMMENT ON FUNCTION erp_webhook.rotate_subscriber_secret(text, text, interval, text) IS
  'sign with a new secret, and with the old one too until the overlap is over; returns the new one, which is stored only '
  'sealed';

CREATE FUNCTION erp_webhook.remove_subscriber(name text, company text DEFAULT 'default') RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  DELETE FROM erp_webhook.subscriber s USING erp_webhook.subscriber_called(remove_subscriber.name, remove_subscriber.company) t
  WHERE s.company_id = t.company_id AND s.subscriber_id = t.subscriber_id
$$;
COMMENT ON FUNCTION erp_webhook.remove_subscriber(text, text) IS 'forget a subscriber, its secrets and what was told to it';

CREATE FUNCTION erp_webhook.disable_subscriber(name text, reason text DEFAULT NULL, company text DEFAULT 'default')
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  WITH target AS (SELECT *
                  FROM erp_webhook.subscriber_called(disable_subscriber.name, disable_subscriber.company)), closed AS (
    UPDATE erp_webhook.dispatch d SET state = 'dead', done_at = now(), leased_until = NULL
    FROM target t
    WHERE d.company_id = t.company_id AND d.subscriber_id = t.subscriber_id AND d.state IN ('queued', 'sending')
  )
  UPDATE erp_webhook.subscriber s SET state = 'disabled', reason = disable_subscriber.reason
  FROM target t WHERE s.company_id = t.company_id AND s.subscriber_id = t.subscriber_id
$$;
COMMENT ON FUNCTION erp_webhook.disable_subscriber(text, text, text) IS
  'tell nothing more; what was still queued is dead until resend()';

CREATE FUNCTION erp_webhook.enable_subscriber(name text, company text DEFAULT 'default') RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE erp_webhook.subscriber s SET state = 'active', reason = NULL, failures = 0
  FROM erp_webhook.subscriber_called(enable_subscriber.name, enable_subscriber.company) t
  WHERE s.company_id = t.company_id AND s.subscriber_id = t.subscriber_id
$$;
COMMENT ON FUNCTION erp_webhook.enable_subscriber(text, text) IS 'tell again what happens from now on';

CREATE FUNCTION erp_webhook.resend(message bigint, subscriber text DEFAULT NULL, company text DEFAULT 'default') RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner int := erp_webhook.find_company(company);
  told int;
BEGIN
  PERFORM erp_webhook.check_access(owner, 'admin');
  WITH wanted AS (
    SELECT m.company_id, s.subscriber_id, m.message_id, m.object, m.object_ref
    FROM erp_webhook.message m
    JOIN erp_webhook.subscriber s ON s.company_id = m.company_id AND s.state = 'active' AND s.url NOT LIKE 'notify:%'
      AND (s.name = resend.subscriber OR resend.subscriber IS NULL AND erp_webhook.kind_wanted(s.kinds, m.kind))
    WHERE m.company_id = owner AND m.message_id = resend.message
  ), queued AS (
    INSERT INTO erp_webhook.dispatch AS d (company_id, subscriber_id, message_id, object, object_ref)
      SELECT w.company_id, w.subscriber_id, w.message_id, w.object, w.object_ref FROM wanted w
    ON CONFLICT (company_id, subscriber_id, message_id) DO UPDATE
      SET state = 'queued', first_try = d.tries, due_at = now(), done_at = NULL, leased_until = NULL
      WHERE d.state IN ('delivered', 'dead')
    RETURNING 1
  )
  SELECT count(*) INTO told FROM queued;
  RETURN told;
END
$$;
COMMENT ON FUNCTION erp_webhook.resend(bigint, text, text) IS
  'send a message again, under its old id, to the subscribers of its kind or the one named; returns to how many. One '
  'still under way is left alone';

CREATE VIEW erp_webhook.outbox WITH (security_invoker = true) AS
SELECT d.company_id, s.name AS subscriber, d.message_id, m.wire_id, m.kind, m.object, m.object_ref, d.state, d.tries,
       d.due_at,
       last.status AS last_status, last.error AS last_error, m.created_at, d.done_at
FROM erp_webhook.dispatch d
JOIN erp_webhook.message m ON m.company_id = d.company_id AND m.message_id = d.message_id
JOIN erp_webhook.subscriber s ON s.company_id = d.company_id AND s.subscriber_id = d.subscriber_id
LEFT JOIN erp_webhook.attempt last ON last.company_id = d.company_id AND last.subscriber_id = d.subscriber_id
  AND last.message_id = d.message_id AND last.try = d.tries;
COMMENT ON VIEW erp_webhook.outbox IS 'every message on its way to every subscriber; dead letters are state = dead';

CREATE VIEW erp_webhook.subscriber_health WITH (security_invoker = true) AS
SELECT s.company_id, s.name AS subscriber, s.url, s.kinds, s.state, s.reason, s.failures,
       count(d) FILTER (WHERE d.state IN ('queued', 'sending')) AS open,
       count(d) FILTER (WHERE d.state = 'delivered') AS delivered,
       count(d) FILTER (WHERE d.state = 'dead') AS dead,
       min(m.created_at) FILTER (WHERE d.state IN ('queued', 'sending')) AS oldest_open
FROM erp_webhook.subscriber s
LEFT JOIN erp_webhook.dispatch d ON d.company_id = s.company_id AND d.subscriber_id = s.subscriber_id
LEFT JOIN erp_webhook.message m ON m.company_id = d.company_id AND m.message_id = d.message_id
GROUP BY s.company_id, s.subscriber_id;
COMMENT ON VIEW erp_webhook.subscriber_health IS 'subscribers, and how delivery to each is going';
