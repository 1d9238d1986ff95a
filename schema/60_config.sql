-- Configuring: companies, sources, secrets, trust.

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
COMMENT ON FUNCTION erp_webhook.provider_scheme(text) IS 'the scheme of a provider with `like` resolved; NULL where there is none';
