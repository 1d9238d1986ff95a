-- The page, ground: text into HTML, rows into a table with its CSV, the style. No script, no outside resource.
--
-- A table is headings, a kind for each column and rows as jsonb arrays (numbers in jsonb are exact decimals). Kinds:
-- text, ref, long, date, state, number; money; balance, which is bad below zero; difference, which is bad unless zero.
-- Everything from the database passes html() on its way into the page, and csv_cell() into a file.

CREATE FUNCTION erp_webhook.html(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN replace(replace(replace(replace(replace(coalesce(written, ''),
  '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;');
COMMENT ON FUNCTION erp_webhook.html(text) IS 'text as HTML text or attribute value';

CREATE FUNCTION erp_webhook.money_text(amount numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN replace(
  to_char(amount, 'FM999,999,999,999,999,999,999,990'
                  || CASE WHEN scale(amount) > 0 THEN rpad('.', scale(amount) + 1, '0') ELSE '' END),
  '-', '−');
COMMENT ON FUNCTION erp_webhook.money_text(numeric) IS
  'an amount to look at: grouped, with the decimals it was given (reports give those of the currency), a real minus';

-- A spreadsheet takes a text that begins like a formula for one;
-- some do so with the wide signs of an Asian keyboard, too.
CREATE FUNCTION erp_webhook.csv_cell(written text, kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN written IS NULL THEN ''
            WHEN kind IN ('money', 'balance', 'difference', 'number') THEN written
            WHEN written ~ '^[=+@\t\r\n＝＋＠－-]' THEN format('"''%s"', replace(written, '"', '""'))
            ELSE format('"%s"', replace(written, '"', '""')) END;
COMMENT ON FUNCTION erp_webhook.csv_cell(text, text) IS
  'one value of a CSV file; what a spreadsheet would run begins with an apostrophe';

CREATE FUNCTION erp_webhook.page_csv(headings text[], kinds text[], rows jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH line (n, written) AS (
    SELECT 0, string_agg(erp_webhook.csv_cell(h, 'text'), ',' ORDER BY n) FROM unnest(headings) WITH ORDINALITY t (h, n)
    UNION ALL
    SELECT r.n, (SELECT string_agg(erp_webhook.csv_cell(c.v, kinds[c.n]), ',' ORDER BY c.n)
                 FROM jsonb_array_elements_text(r.cells) WITH ORDINALITY c (v, n))
    FROM jsonb_array_elements(rows) WITH ORDINALITY r (cells, n))
  SELECT string_agg(l.written || E'\r\n', '' ORDER BY l.n) FROM line l
$$;
COMMENT ON FUNCTION erp_webhook.page_csv(text[], text[], jsonb) IS 'a table of the page as CSV (RFC 4180)';

CREATE FUNCTION erp_webhook.state_class(state text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN state = 'matched' THEN 'good' WHEN state IN ('expected', 'in_transit') THEN 'wait' ELSE 'bad' END;
COMMENT ON FUNCTION erp_webhook.state_class(text) IS 'how a state looks on the page';

CREATE FUNCTION erp_webhook.is_figure(kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN kind IN ('money', 'balance', 'difference');
COMMENT ON FUNCTION erp_webhook.is_figure(text) IS 'is a column of this kind an amount?';

CREATE FUNCTION erp_webhook.column_class(kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN erp_webhook.is_figure(kind) THEN 'money' WHEN kind = 'state' THEN 'ref' ELSE kind END;
COMMENT ON FUNCTION erp_webhook.column_class(text) IS 'how a column looks on the page';

CREATE FUNCTION erp_webhook.page_cell(value text, kind text, heading text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('<td class="%s" data-label="%s">%s</td>',
  concat_ws(' ', erp_webhook.column_class(kind),
    CASE WHEN NOT erp_webhook.is_figure(kind) THEN NULL
         WHEN value ~ '^-?0(\.0*)?$' THEN 'none'
         WHEN kind = 'difference' AND value <> '' OR kind = 'balance' AND value LIKE '-%' THEN 'bad' END),
  erp_webhook.html(heading),
  CASE WHEN value IS NULL OR value = '' THEN '<span class="none" aria-label="none">–</span>'
       WHEN erp_webhook.is_figure(kind) THEN erp_webhook.money_text(value::numeric)
       WHEN kind = 'state' THEN
         format('<span class="state %s">%s</span>', erp_webhook.state_class(value), replace(erp_webhook.html(value), '_', ' '))
       ELSE erp_webhook.html(value) END);
COMMENT ON FUNCTION erp_webhook.page_cell(text, text, text) IS 'one cell of a table on the page';

CREATE FUNCTION erp_webhook.page_rows(headings text[], kinds text[], rows jsonb, shown int) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg('<tr>' || (SELECT string_agg(erp_webhook.page_cell(c.v, kinds[c.n], headings[c.n]), '' ORDER BY c.n)
                               FROM jsonb_array_elements_text(r.cells) WITH ORDINALITY c (v, n)) || '</tr>', E'\n' ORDER BY r.n)
  FROM jsonb_array_elements(rows) WITH ORDINALITY r (cells, n)
  WHERE r.n <= shown
$$;
COMMENT ON FUNCTION erp_webhook.page_rows(text[], text[], jsonb, int) IS 'the first rows of a table on the page';

CREATE FUNCTION erp_webhook.page_headings(headings text[], kinds text[]) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(format('<th scope="col" class="%s">%s</th>', erp_webhook.column_class(kinds[n]), erp_webhook.html(h)),
                    '' ORDER BY n)
  FROM unnest(headings) WITH ORDINALITY t (h, n)
$$;
COMMENT ON FUNCTION erp_webhook.page_headings(text[], text[]) IS 'the heading row of a table on the page';

-- All rows are in the CSV; the page shows as many as a person reads. On a phone, rows become cards; what is mostly
-- figures stays a table to be moved sideways.
CREATE FUNCTION erp_webhook.page_table(
  name text, caption text, headings text[], kinds text[], rows jsonb, nothing text, shown int DEFAULT 200) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  n int := coalesce(jsonb_array_length(rows), 0);
  class text := CASE WHEN 'long' = ANY (kinds) OR cardinality(kinds) < 8 THEN 'table cards' ELSE 'table' END;
  csv text;
BEGIN
  IF n = 0 THEN RETURN format('<p class="nothing">%s</p>', erp_webhook.html(nothing)); END IF;
  csv := translate(encode(convert_to(erp_webhook.page_csv(headings, kinds, rows), 'UTF8'), 'base64'), E'\n', '');
  RETURN concat(
    format('<div class="%s" role="region" aria-label="%s" tabindex="0"><table>', class, erp_webhook.html(caption)),
    format('<caption>%s <a class="csv" download="%s.csv" href="data:text/csv;charset=utf-8;base64,%s">CSV</a></caption>',
           erp_webhook.html(caption), name, csv),
    format('<thead><tr>%s</tr></thead>', erp_webhook.page_headings(headings, kinds)),
    format('<tbody>%s</tbody></table></div>', erp_webhook.page_rows(headings, kinds, rows, shown)),
    CASE WHEN n > shown THEN format('<p class="more">%s of %s rows; all of them are in the CSV.</p>', shown, n) END);
END
$$;
COMMENT ON FUNCTION erp_webhook.page_table(text, text, text[], text[], jsonb, text, int) IS
  'a table of the page, with a link to all of it as CSV';

CREATE FUNCTION erp_webhook.page_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $css$
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1d2226;--soft:#5a646c;--line:#d9d6ce;--head:#f1eee6;--accent:#155e75;--band:#cfe3e8;--good:#1c6b3a;--goodbg:#e2f2e6;--wait:#6b4d00;--waitbg:#fbf0cf;--bad:#a11c1c;--badbg:#fde7e4}
@media (prefers-color-scheme:dark){:root{--paper:#14181b;--card:#1b2024;--ink:#e6e8ea;--soft:#a3adb5;--line:#343c42;--head:#232a2f;--accent:#6fc3d8;--band:#23444d;--good:#7fd39a;--goodbg:#173222;--wait:#f0cc66;--waitbg:#352b10;--bad:#ff9d94;--badbg:#421b18}}
*{box-sizing:border-box}
body{margin:0;overflow-wrap:break-word;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
a{color:var(--accent)}
a:focus-visible,.table:focus-visible,summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem 1rem}
header,main,footer{max-width:1440px;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.75rem}
h1{font-size:1.7rem;line-height:1.2;margin:0}
h2{font-size:1.2rem;margin:0 0 .75rem}
h3{font-size:1rem;margin:1.25rem 0 .5rem}
.sub{color:var(--soft);margin:.25rem 0 1rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;padding:0;margin:0 0 1.25rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.25rem;margin:0 0 1.25rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:.75rem;margin:0 0 1rem;padding:0}
.tile{background:var(--head);border-radius:8px;padding:.6rem .85rem}
.tile dt{color:var(--soft);font-size:.85rem}
.tile dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums}
.tile.bad{background:var(--badbg)}.tile.bad dd{color:var(--bad)}.tile.good{background:var(--goodbg)}.tile.good dd{color:var(--good)}
.table{overflow-x:auto;border-radius:6px;margin:0 0 .75rem}
table{border-collapse:collapse;width:100%;font-size:.85rem}
caption{text-align:left;font-weight:600;padding:.35rem 0}
.csv{font-weight:400;font-size:.8rem;border:1px solid var(--line);border-radius:4px;padding:.05rem .4rem;margin-left:.4rem;text-decoration:none}
th,td{padding:.38rem .45rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{background:var(--head);font-weight:600;position:sticky;top:0}
.money,.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.date{white-space:nowrap}.ref{overflow-wrap:anywhere;min-width:9.2em}.long{min-width:9em;overflow-wrap:anywhere}
.money.bad{color:var(--bad);font-weight:600}
.none{color:var(--soft)}
.state{display:inline-block;border-radius:999px;padding:0 .6em;white-space:nowrap;font-weight:600}
.state::before{margin-right:.35em}
.state.good{color:var(--good);background:var(--goodbg)}.state.good::before{content:"\2713"/""}
.state.wait{color:var(--wait);background:var(--waitbg)}.state.wait::before{content:"\25F7"/""}
.state.bad{color:var(--bad);background:var(--badbg)}.state.bad::before{content:"!"/""}
.nothing,.more{color:var(--soft)}
.proof{border-left:4px solid var(--good);background:var(--goodbg);padding:.5rem .85rem;border-radius:0 6px 6px 0}.proof.broken{border-color:var(--bad);background:var(--badbg)}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font-size:13px;font-variant-numeric:tabular-nums}
.grid{stroke:var(--line);stroke-width:1}.zero{stroke:var(--soft);stroke-width:1.5}
.band{fill:var(--band)}.past{fill:none;stroke:var(--accent);stroke-width:2.5}.future{fill:none;stroke:var(--accent);stroke-width:2.5;stroke-dasharray:7 4}
.dot{fill:var(--accent)}.today{stroke:var(--soft);stroke-dasharray:3 3}
.legend{color:var(--soft);font-size:.85rem;margin:.25rem 0 .75rem}
details summary{cursor:pointer;font-weight:600;padding:.3rem 0}
.sign{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:1.5rem;margin:1rem 0 0}
.sign div{border-top:1px solid var(--ink);padding-top:.35rem;margin-top:2.2rem}
.sign span{color:var(--soft);font-size:.85rem;display:block}
footer{color:var(--soft);font-size:.85rem;padding-bottom:2rem}
@media (max-width:640px){body{font-size:16px}header,main,footer{padding-left:.75rem;padding-right:.75rem}section{padding:.9rem .8rem}
.cards thead{position:absolute;left:-9999px}.cards table,.cards tbody,.cards tr,.cards td,.cards caption{display:block;width:100%}.cards tr{border:1px solid var(--line);border-radius:8px;margin:0 0 .6rem;padding:.25rem 0}
.cards td{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.2rem .7rem;text-align:right;white-space:normal}.cards td::before{content:attr(data-label);color:var(--soft);text-align:left;flex:0 0 38%}.cards td:has(.none){display:none}svg text{font-size:22px}.thin{display:none}}
@page{size:A4 landscape;margin:12mm}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#333;--line:#999;--head:#eee;--accent:#124;--band:#ddd;--good:#000;--goodbg:#fff;--wait:#000;--waitbg:#fff;--bad:#000;--badbg:#fff}
body{font-size:9.5pt}header,main,footer{max-width:none;padding:0}nav,.skip,.csv{display:none}section{border:0;border-top:1px solid #999;border-radius:0;padding:.6rem 0;break-inside:auto}h2,h3,caption{break-after:avoid}tr,svg,.tiles{break-inside:avoid}thead{display:table-header-group;break-after:avoid}tbody tr:first-child{break-before:avoid}th{position:static}.table{overflow:visible}.ref{min-width:7.4em}.long{min-width:9em}td,th{padding:.2rem .3rem}.state{border:1px solid #666}}
$css$;
COMMENT ON FUNCTION erp_webhook.page_style() IS 'the style sheet of the page: light, dark, phone, paper';
