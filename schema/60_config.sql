-- Configuring: companies, sources, secrets, trust.
--
-- These functions run as the caller, so the row-security policy decides which company he may touch.

-- Tests set erp_webhook.clock; what expires must expire by the same clock that ingest reads.
CREATE FUNCTION erp_webhook.clock() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN coalesce(nullif(current_setting('erp_webhook.clock', true), '')::timestamptz, now());
COMMENT ON FUNCTION erp_webhook.clock() IS 'now, or what the setting erp_webhook.clock says it is';

-- `like` in a scheme takes what it does not say itself from another provider's row.
CREATE FUNCTION erp_webhook.provider_scheme(provider text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found jsonb;
  scheme jsonb := '{}';
  next_name text := provider;
BEGIN
  FOR depth IN 1 .. 8 LOOP
    SELECT p.scheme INTO found FROM erp_webhook.provider p WHERE p.provider = next_name;
    scheme := found || scheme;
    next_name := found ->> 'like';
    EXIT WHEN next_name IS NULL;
  END LOOP;
  RETURN scheme - 'like';
END
$$;
COMMENT ON FUNCTION erp_webhook.provider_scheme(text) IS
  'the scheme of a provider with `like` resolved; NULL where there is none';

CREATE FUNCTION erp_webhook.check_source(source text) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_check_source';
COMMENT ON FUNCTION erp_webhook.check_source(text) IS
  'raises what is wrong with the configuration of a source, as ingest would find it';

CREATE FUNCTION erp_webhook.check_secret(source text, secret text, purpose text) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_check_secret';
COMMENT ON FUNCTION erp_webhook.check_secret(text, text, text) IS
  'raises where a secret cannot serve its purpose at this source';

CREATE FUNCTION erp_webhook.seal(kind text, company_id int, owner_id int, secret_id int, purpose text, secret text,
  OUT sealed bytea, OUT key_name text)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_seal';
COMMENT ON FUNCTION erp_webhook.seal(text, int, int, int, text, text) IS
  'seal a secret under the key outside the database, for this one row: moved to another it does not open';

CREATE FUNCTION erp_webhook.add_company(name text, currency text) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made int;
BEGIN
  IF coalesce(name, '') = '' THEN
    RAISE EXCEPTION 'a company needs a name' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF currency IS NULL OR currency !~ '^[A-Z]{3}$' THEN
    RAISE EXCEPTION 'currency "%" is not three capital letters', currency USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO erp_webhook.company (name, currency) VALUES (add_company.name, add_company.currency)
    RETURNING company_id INTO made;
  RETURN made;
END
$$;
COMMENT ON FUNCTION erp_webhook.add_company(text, text) IS 'a company of its own: its books share nothing with another''s';

-- Functions that run as the owner see every company: there, whoever names one must administer it. In all others the
-- row-security policy has already hidden what the caller may not see.
CREATE FUNCTION erp_webhook.check_named(company_id int) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF current_user = 'erp_webhook_owner' THEN
    PERFORM erp_webhook.check_access(company_id, 'admin');
  END IF;
END
$$;
COMMENT ON FUNCTION erp_webhook.check_named(int) IS
  'in a function that runs as the owner: may the caller name this company?';

CREATE FUNCTION erp_webhook.find_company(company text) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found_id int;
BEGIN
  SELECT c.company_id INTO found_id FROM erp_webhook.company c WHERE c.name = find_company.company;
  IF found_id IS NULL AND company = 'default' THEN
    PERFORM pg_advisory_xact_lock('erp_webhook.company'::regclass::oid::int, 0);
    SELECT c.company_id INTO found_id FROM erp_webhook.company c WHERE c.name = find_company.company;
    IF found_id IS NULL THEN
      found_id := erp_webhook.add_company('default', 'EUR');
    END IF;
  END IF;
  IF found_id IS NULL THEN
    RAISE EXCEPTION 'company "%" does not exist', company USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM erp_webhook.check_named(found_id);
  RETURN found_id;
END
$$;
COMMENT ON FUNCTION erp_webhook.find_company(text) IS
  'the id of a company; the company "default" (EUR) is made when it is first asked for';

CREATE FUNCTION erp_webhook.find_source(source text) RETURNS erp_webhook.source
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found erp_webhook.source;
BEGIN
  SELECT s.* INTO found
  FROM erp_webhook.source_name n JOIN erp_webhook.source s ON s.company_id = n.company_id AND s.source_id = n.source_id
  WHERE n.name = find_source.source;
  IF found.source_id IS NULL THEN
    RAISE EXCEPTION 'source "%" does not exist', source USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM erp_webhook.check_named(found.company_id);
  RETURN found;
END
$$;
COMMENT ON FUNCTION erp_webhook.find_source(text) IS 'the row of a source by its name';

CREATE FUNCTION erp_webhook.add_source(source text, provider text, company text DEFAULT 'default',
                                       settings jsonb DEFAULT '{}')
RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner_id int;
  kind erp_webhook.provider;
  made int;
BEGIN
  IF source IS NULL OR source !~ '^[A-Za-z0-9._~-]{1,200}$' OR source IN ('.', '..') THEN
    RAISE EXCEPTION 'source name "%" cannot be the last segment of a URL', source
      USING ERRCODE = 'invalid_name', HINT = 'Use 1 to 200 of: letters, digits, dot, underscore, tilde, hyphen.';
  END IF;
  IF source = 'books' THEN
    RAISE EXCEPTION 'source name "books" is taken: it is what the books make themselves' USING ERRCODE = 'reserved_name';
  END IF;
  IF settings IS NULL OR jsonb_typeof(settings) <> 'object' THEN
    RAISE EXCEPTION 'settings of a source are a JSON object' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT p.* INTO kind FROM erp_webhook.provider p WHERE p.provider = add_source.provider;
  IF kind.provider IS NULL THEN
    RAISE EXCEPTION 'provider "%" does not exist', provider
      USING ERRCODE = 'undefined_object',
      HINT = 'SELECT provider FROM erp_webhook.provider lists those that do; another is one row more.';
  END IF;
  owner_id := erp_webhook.find_company(company);
  IF EXISTS (SELECT FROM erp_webhook.source_name n WHERE n.name = add_source.source) THEN
    RAISE EXCEPTION 'source "%" already exists', source
      USING ERRCODE = 'unique_violation', DETAIL = 'A name is the last segment of the hook''s URL, one over all companies.';
  END IF;
  INSERT INTO erp_webhook.source (company_id, name, provider, settings, trust)
    VALUES (owner_id, add_source.source, add_source.provider, add_source.settings, kind.trust)
    RETURNING source_id INTO made;
  INSERT INTO erp_webhook.source_name (name, company_id, source_id) VALUES (add_source.source, owner_id, made);
  PERFORM erp_webhook.check_source(source);
  IF kind.trust = 'confirm' THEN
    RAISE WARNING 'signatures of % do not prove what its events say: those of source "%" wait until they are confirmed',
    provider, source
      USING
        HINT = 'The worker confirms an event by reading its object again, with a secret of purpose "api"; set_trust() decides otherwise.';
  END IF;
  RETURN made;
END
$$;
COMMENT ON FUNCTION erp_webhook.add_source(text, text, text, jsonb) IS
  'an account at a provider; its hooks arrive at /hooks/<source>';

-- A secret added "from now" was handed out by the provider earlier, and may have signed what arrives late.
CREATE FUNCTION erp_webhook.add_secret(source text, secret text, valid_from timestamptz DEFAULT now(),
                                       valid_until timestamptz DEFAULT NULL,
  key_id text DEFAULT NULL, purpose text DEFAULT 'verify') RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner erp_webhook.source := erp_webhook.find_source(source);
  box record;
  made int := nextval('erp_webhook.secret_secret_id_seq');
BEGIN
  IF secret IS NULL THEN
    RAISE EXCEPTION 'the secret of source "%" is null', source USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF purpose IS NULL OR purpose NOT IN ('verify', 'sign', 'decrypt', 'api') THEN
    RAISE EXCEPTION 'purpose "%" is none of verify, sign, decrypt, api', purpose USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF valid_until <= coalesce(valid_from, '-infinity') THEN
    RAISE EXCEPTION 'the secret of source "%" would never be valid', source USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM erp_webhook.check_secret(source, secret, purpose);
  box := erp_webhook.seal('secret', owner.company_id, owner.source_id, made, purpose, secret);
  INSERT INTO erp_webhook.secret (company_id, source_id, secret_id, sealed, key_name, key_id, purpose, valid)
    VALUES (owner.company_id, owner.source_id, made, box.sealed, box.key_name, add_secret.key_id, add_secret.purpose,
            tstzrange(CASE WHEN valid_from <> now() THEN valid_from END, valid_until));
  RETURN made;
END
$$;
COMMENT ON FUNCTION erp_webhook.add_secret(text, text, timestamptz, timestamptz, text, text) IS
  'a key of a source, sealed; a literal can reach the server log, so add_secret_file() is the safer way';

-- Runs as the caller, so it reads only what pg_read_server_files lets him read.
CREATE FUNCTION erp_webhook.add_secret_file(source text, path text, valid_from timestamptz DEFAULT now(),
                                            valid_until timestamptz DEFAULT NULL,
  key_id text DEFAULT NULL, purpose text DEFAULT 'verify') RETURNS int
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN erp_webhook.add_secret(source, rtrim(pg_read_file(path), E'\r\n'), valid_from, valid_until, key_id, purpose);
COMMENT ON FUNCTION erp_webhook.add_secret_file(text, text, timestamptz, timestamptz, text, text) IS
  'add_secret() with the secret read by the server from a file: it appears in no statement and no log';

CREATE FUNCTION erp_webhook.rotate_secret(source text, secret text, overlap interval DEFAULT '72 hours') RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner erp_webhook.source := erp_webhook.find_source(source);
  last_moment timestamptz := erp_webhook.clock() + overlap;
BEGIN
  IF overlap IS NULL OR overlap < interval '0' THEN
    RAISE EXCEPTION 'the overlap of two secrets cannot be negative' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE erp_webhook.secret s SET valid = tstzrange(lower(s.valid), last_moment)
  WHERE s.company_id = owner.company_id AND s.source_id = owner.source_id AND s.purpose = 'verify'
    AND coalesce(lower(s.valid), '-infinity') < last_moment AND coalesce(upper(s.valid), 'infinity') > last_moment;
  RETURN erp_webhook.add_secret(source, secret);
END
$$;
COMMENT ON FUNCTION erp_webhook.rotate_secret(text, text, interval) IS
  'a new key for verification; those before it stay valid for the overlap';

CREATE FUNCTION erp_webhook.set_trust(source text, trust text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target erp_webhook.source := erp_webhook.find_source(source);
BEGIN
  IF trust IS NULL OR trust NOT IN ('full', 'confirm') THEN
    RAISE EXCEPTION 'trust "%" is neither full nor confirm', trust USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF trust = 'full' AND (SELECT p.trust FROM erp_webhook.provider p WHERE p.provider = target.provider) = 'confirm' THEN
    RAISE WARNING 'signatures of % do not prove what its events say: source "%" will post money on the word of whoever can reach its URL',
      target.provider,
      source USING HINT = 'Under trust "confirm" an event counts once the object was read again from the provider.';
  END IF;
  UPDATE erp_webhook.source s SET trust = set_trust.trust
  WHERE s.company_id = target.company_id AND s.source_id = target.source_id;
END
$$;
COMMENT ON FUNCTION erp_webhook.set_trust(text, text) IS
  'full: what a source says counts once proven; confirm: once read again from the provider';
