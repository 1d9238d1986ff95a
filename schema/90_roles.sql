-- Who owns, who may, who sees what. Comes after every other part, so that what it says holds for all of them.
--
--   erp_webhook_owner   owns everything; NOLOGIN, no superuser; what must write past the caller runs as it
--   grant_ingress       may call ingest() and ingest_batch(), and see nothing
--   grant_reader        may read tables, views and reports of its companies
--   grant_admin         also configures, enters accounts and invoices, and calls what writes, for its companies

DO $$
BEGIN
  LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;  -- another database of the cluster may be making it just now
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'erp_webhook_owner') THEN
    CREATE ROLE erp_webhook_owner;
  END IF;
  ALTER ROLE erp_webhook_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
END
$$;

-- The role that asks, also inside functions that run as the owner.
CREATE FUNCTION erp_webhook.caller() RETURNS oid
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'erp_webhook_caller';
COMMENT ON FUNCTION erp_webhook.caller() IS 'the role in effect outside of all functions: who asks';

CREATE FUNCTION erp_webhook.check_access(company_id int, access text DEFAULT 'reader') RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF pg_has_role(erp_webhook.caller(), 'erp_webhook_owner', 'USAGE') OR EXISTS (
    SELECT FROM erp_webhook.company_role r
    WHERE r.company_id IN (0, check_access.company_id) AND (r.access = 'admin' OR check_access.access = 'reader')
      AND pg_has_role(erp_webhook.caller(), to_regrole(quote_ident(r.role))::oid, 'USAGE'))
  THEN
    RETURN;
  END IF;
  RAISE EXCEPTION 'permission denied for this company'
    USING ERRCODE = 'insufficient_privilege', HINT = format('See erp_webhook.grant_%s().', access);
END
$$;
COMMENT ON FUNCTION erp_webhook.check_access(int, text) IS
  'raises unless the caller is a reader or admin of the company; for functions that run as the owner';

CREATE FUNCTION erp_webhook.visible_companies(access text DEFAULT 'reader') RETURNS int[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN visible_companies.access = 'reader' THEN ARRAY[0] ELSE '{}' END || array_agg(c.company_id)
  FROM erp_webhook.company c
  WHERE EXISTS (SELECT FROM erp_webhook.company_role r
                WHERE r.company_id IN (0, c.company_id) AND (r.access = 'admin' OR visible_companies.access = 'reader'))
$$;
COMMENT ON FUNCTION erp_webhook.visible_companies(text) IS
  'the companies the caller reads (with 0, what we ship for all), or administers';

-- The policy itself: a role sees its own grants; a grant for company 0 is for all.
ALTER TABLE erp_webhook.company_role ENABLE ROW LEVEL SECURITY;
CREATE POLICY company ON erp_webhook.company_role
  USING (pg_catalog.pg_has_role(pg_catalog.to_regrole(pg_catalog.quote_ident(role))::oid, 'USAGE'))
  WITH CHECK (false);
ALTER TABLE erp_webhook.company ENABLE ROW LEVEL SECURITY;
CREATE POLICY company ON erp_webhook.company
  USING (EXISTS (SELECT FROM erp_webhook.company_role r WHERE r.company_id IN (0, company.company_id)))
  WITH CHECK (EXISTS (SELECT FROM erp_webhook.company_role r WHERE r.company_id IN (0, company.company_id) AND r.access = 'admin'));

CREATE FUNCTION erp_webhook.guard_company_rows(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
  EXECUTE format('CREATE POLICY company ON %s'
                 ' USING (company_id = ANY ((SELECT erp_webhook.visible_companies())::int[]))'
                 ' WITH CHECK (company_id = ANY ((SELECT erp_webhook.visible_companies(''admin''))::int[]))', relation);
END
$$;
COMMENT ON FUNCTION erp_webhook.guard_company_rows(regclass) IS 'put the one row-security policy on a table of company data';

CREATE FUNCTION erp_webhook.member(OUT class oid, OUT object oid) RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'erp_webhook'
$$;
COMMENT ON FUNCTION erp_webhook.member() IS 'the objects of this extension';

-- Functions that run as their caller can do no more than he;
-- of those that run as the owner only what DESIGN section 5 names.
CREATE FUNCTION erp_webhook.grantable_functions(access text) RETURNS SETOF regprocedure
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.oid::regprocedure FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object
  WHERE p.prorettype <> 'trigger'::regtype
    -- What only settlement asks, and keeps for all roles of a session.
    AND p.proname <> ALL ('{read_house,house_of,is_plain,settle_plain}'::text[])
    AND CASE access
          WHEN 'ingress' THEN p.proname IN ('ingest', 'ingest_batch')
          WHEN 'reader' THEN NOT p.prosecdef OR p.proname = 'check_access'
          WHEN 'admin' THEN NOT p.prosecdef OR p.proname = ANY (
            '{check_access,set_policy,set_trust,link_account,settle_again,replay,retry_failed,reprove,confirm,resolve,assign,write_off,
              void_invoice,settle_invoice,import_statement,match,unmatch,book_line,assign_item,keep_forecast,add_subscriber,remove_subscriber,enable_subscriber,
              disable_subscriber,rotate_subscriber_secret,resend,pull,retry_fetch,dry_run,unlink_account,keep_binding,keep_event_rule}'::text[])
        END
$$;
COMMENT ON FUNCTION erp_webhook.grantable_functions(text) IS 'what a role of this kind may execute';

CREATE FUNCTION erp_webhook.grant_functions(role text, access text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  f regprocedure;
BEGIN
  IF to_regrole(quote_ident(role)) IS NULL THEN
    RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA erp_webhook TO %I', role);
  FOR f IN SELECT erp_webhook.grantable_functions(access) LOOP
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', f, role);
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.grant_functions(text, text) IS 'let a role use the schema and the functions of its kind';

CREATE FUNCTION erp_webhook.grant_ingress(role text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT erp_webhook.grant_functions(role, 'ingress') $$;
COMMENT ON FUNCTION erp_webhook.grant_ingress(text) IS 'the role of the HTTP ingress: ingest and nothing else';

-- Sealed columns are for nobody but the owner.
CREATE FUNCTION erp_webhook.grant_tables(role text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS name, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
    FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'sealed'
    WHERE c.relkind IN ('r', 'p', 'v', 'm')
    GROUP BY c.oid
  LOOP
    EXECUTE format('GRANT SELECT (%s) ON %s TO %I', t.columns, t.name, role);
  END LOOP;
END
$$;
COMMENT ON FUNCTION erp_webhook.grant_tables(text) IS
  'let a role read tables and views, sealed secrets left out; the row policy says which rows';

CREATE FUNCTION erp_webhook.note_role(role text, company text, access text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO erp_webhook.company_role (company_id, role, access)
  VALUES (CASE WHEN company IS NULL THEN 0 ELSE erp_webhook.find_company(company) END, note_role.role, note_role.access)
  ON CONFLICT (company_id, role, access) DO NOTHING
$$;
COMMENT ON FUNCTION erp_webhook.note_role(text, text, text) IS 'write down which company a role reads or administers';

CREATE FUNCTION erp_webhook.grant_reader(role text, company text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM erp_webhook.grant_functions(role, 'reader');
  PERFORM erp_webhook.grant_tables(role);
  PERFORM erp_webhook.note_role(role, company, 'reader');
END
$$;
COMMENT ON FUNCTION erp_webhook.grant_reader(text, text) IS 'a role that reads one company, or all (company NULL)';

CREATE FUNCTION erp_webhook.grant_admin(role text, company text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM erp_webhook.grant_functions(role, 'admin');
  PERFORM erp_webhook.grant_tables(role);
  EXECUTE format('GRANT INSERT, UPDATE (settings, trust, active) ON erp_webhook.source TO %I', role);
  EXECUTE format('GRANT INSERT ON erp_webhook.source_name TO %I', role);
  EXECUTE format('GRANT INSERT, UPDATE (valid) ON erp_webhook.secret TO %I', role);
  EXECUTE format('GRANT USAGE ON SEQUENCE erp_webhook.secret_secret_id_seq TO %I', role);
  -- Not what settlement derives: its trigger asks a setting that anybody can set.
  EXECUTE format('GRANT INSERT, UPDATE (name, currency) ON erp_webhook.account TO %I', role);
  EXECUTE format(
    'GRANT INSERT, UPDATE (account_id, total, tax, issued_on, due_on, subscription_ref) ON erp_webhook.invoice TO %I', role);
  EXECUTE format(
    'GRANT INSERT, UPDATE, DELETE ON erp_webhook.planned_cash, erp_webhook.bank_account, erp_webhook.csv_dialect, erp_webhook.match_rule, erp_webhook.line_rule TO %I',
    role);
  IF company IS NULL THEN
    EXECUTE format('GRANT INSERT, UPDATE ON erp_webhook.company TO %I', role);
    EXECUTE format(
      'GRANT INSERT, UPDATE, DELETE ON erp_webhook.provider, erp_webhook.provider_event, erp_webhook.provider_currency TO %I',
      role);
  END IF;
  PERFORM erp_webhook.note_role(role, company, 'admin');
END
$$;
COMMENT ON FUNCTION erp_webhook.grant_admin(text, text) IS
  'a role that configures one company and enters its documents; all companies and the catalogue where company is '
  'NULL';

-- Data goes into dumps: every table and sequence that is not registered by its own part.
-- Rows we ship come with the install script.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'shipped') AS has_shipped
    FROM erp_webhook.member() x JOIN pg_catalog.pg_class c ON x.class = 'pg_catalog.pg_class'::regclass AND c.oid = x.object
    WHERE c.relkind IN ('r', 'S')
      AND NOT c.oid = ANY (SELECT pg_catalog.unnest(e.extconfig)
                           FROM pg_catalog.pg_extension e WHERE e.extname = 'erp_webhook')
    ORDER BY c.oid
  LOOP
    PERFORM pg_catalog.pg_extension_config_dump(t.oid, CASE WHEN t.has_shipped THEN 'WHERE NOT shipped' ELSE '' END);
  END LOOP;
END
$$;

-- Everything belongs to the owner, nothing is for PUBLIC, every table of company data has the policy.
DO $$
DECLARE
  m record;
BEGIN
  FOR m IN SELECT c.oid::regclass AS name, c.relkind,
                  EXISTS (SELECT FROM pg_catalog.pg_attribute a
                          WHERE a.attrelid = c.oid AND a.attname = 'company_id') AS of_company,
                  c.relrowsecurity AS guarded
           FROM erp_webhook.member() x
           JOIN pg_catalog.pg_class c ON x.class = 'pg_catalog.pg_class'::regclass AND c.oid = x.object
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                             AND d.objid = c.oid AND d.deptype IN ('i', 'a') AND c.relkind = 'S')
  LOOP
    EXECUTE pg_catalog.format('ALTER %s %s OWNER TO erp_webhook_owner',
      CASE m.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      m.name);
    IF m.relkind IN ('r', 'p') AND m.of_company AND NOT m.guarded THEN
      PERFORM erp_webhook.guard_company_rows(m.name);
    END IF;
  END LOOP;
  FOR m IN SELECT p.oid::regprocedure AS name
           FROM erp_webhook.member() x
           JOIN pg_catalog.pg_proc p ON x.class = 'pg_catalog.pg_proc'::regclass AND p.oid = x.object
  LOOP
    EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO erp_webhook_owner', m.name);
    EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', m.name);
  END LOOP;
  FOR m IN SELECT t.oid::regtype AS name, t.typtype
           FROM erp_webhook.member() x
           JOIN pg_catalog.pg_type t ON x.class = 'pg_catalog.pg_type'::regclass AND t.oid = x.object
           LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
           WHERE t.typtype IN ('d', 'e', 'c') AND coalesce(c.relkind, 'c') = 'c'
  LOOP
    EXECUTE pg_catalog.format('ALTER %s %s OWNER TO erp_webhook_owner',
                              CASE m.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, m.name);
    EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', CASE m.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END,
                              m.name);
  END LOOP;
  ALTER SCHEMA erp_webhook OWNER TO erp_webhook_owner;
  REVOKE ALL ON SCHEMA erp_webhook FROM PUBLIC;
END
$$;
