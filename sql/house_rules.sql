-- What every line of the schema promised from the first day (DESIGN section 12), asked of the catalogue.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS erp_webhook;
CREATE TEMP VIEW our_table AS SELECT c.oid, c.relname, c.relkind FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
  WHERE c.relkind IN ('r', 'p');
CREATE TEMP VIEW our_function AS SELECT p.oid, p.proname, p.prosrc, p.prokind FROM erp_webhook.member() m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.object;

-- Every unique, primary and foreign key begins with the company, but those of the catalogue and of the names in URLs.
SELECT t.relname, i.indexrelid::regclass AS key_without_company FROM our_table t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique
LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
WHERE a.attname IS DISTINCT FROM 'company_id' ORDER BY 1;
SELECT k.conrelid::regclass, k.conname AS reference_without_company FROM pg_constraint k JOIN our_table t ON t.oid = k.conrelid
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
WHERE k.contype = 'f' AND (a.attname, f.attname) IS DISTINCT FROM ('company_id', 'company_id');
SELECT k.conrelid::regclass, k.conname AS exclusion FROM pg_constraint k JOIN our_table t ON t.oid = k.conrelid WHERE k.contype = 'x';

-- No statement mixes a transition table with another table: of a function that has one, every statement that names it names nothing else.
WITH transition AS (
  SELECT f.proname, f.prosrc, g.tgnewtable AS name FROM pg_trigger g JOIN our_function f ON f.oid = g.tgfoid WHERE g.tgnewtable IS NOT NULL AND NOT g.tgisinternal
  UNION SELECT f.proname, f.prosrc, g.tgoldtable FROM pg_trigger g JOIN our_function f ON f.oid = g.tgfoid WHERE g.tgoldtable IS NOT NULL AND NOT g.tgisinternal
), statement AS (
  SELECT t.proname, t.name, s.text FROM transition t, regexp_split_to_table(t.prosrc, ';|\mLOOP\M|\mTHEN\M') s (text) WHERE s.text ~ ('\m' || t.name || '\M')
)
SELECT s.proname, t.relname AS mixed_with FROM statement s JOIN our_table t ON s.text ~ ('(FROM|JOIN|INTO|UPDATE|USING)\s+erp_webhook\.' || t.relname || '\M');
SELECT count(*) > 0 AS transition_tables_were_found FROM pg_trigger g JOIN our_function f ON f.oid = g.tgfoid WHERE g.tgnewtable IS NOT NULL;

-- Every table and sequence with data is in the dump.
SELECT c.oid::regclass AS not_in_a_dump FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
WHERE c.relkind IN ('r', 'S') AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'erp_webhook');
-- Only rows we ship are left out.
SELECT c.oid::regclass, x.condition FROM pg_extension e, unnest(e.extconfig, e.extcondition) x (oid, condition), pg_class c
WHERE e.extname = 'erp_webhook' AND c.oid = x.oid AND x.condition <> '' ORDER BY c.relname;

-- What is public says what it is.
SELECT t.relname AS table_without_comment FROM our_table t WHERE obj_description(t.oid, 'pg_class') IS NULL;
SELECT c.relname AS view_without_comment FROM erp_webhook.member() m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.object
WHERE c.relkind IN ('v', 'm') AND obj_description(c.oid, 'pg_class') IS NULL;
SELECT f.oid::regprocedure AS function_without_comment FROM our_function f WHERE obj_description(f.oid, 'pg_proc') IS NULL;

-- No recursive query walks over companies; nothing asks how many rows an INSERT … SELECT … ON CONFLICT made.
SELECT proname AS counts_rows_of_a_conflict FROM our_function WHERE prosrc ~* 'INSERT[^;]*SELECT[^;]*ON CONFLICT[^;]*;\s*GET DIAGNOSTICS';
