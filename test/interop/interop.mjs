// The providers' own packages against the running ingress. For each:
//   its signature is accepted by the ingress and the event is kept (and, where the body says a payment, settled);
//   a wrong secret and an altered body are refused by both;
//   what sign() makes is accepted by the package, and refused once altered.
// Environment: INGRESS (http://host:port), PUBLIC_URL (what the ingress says it is), PG… for psql; prints TAP.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { clients } from './clients.mjs';

const sql = (query, ...values) => execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1',
  ...values.flatMap((v, i) => ['-v', `v${i + 1}=${v}`])], { input: query, encoding: 'utf8' }).trim();
const bodies = {};
for (const line of fs.readFileSync(new URL('../data/events.jsonl', import.meta.url), 'utf8').trim().split('\n')) {
  const event = JSON.parse(line);
  const money = event.expect.some(e => /^payment.succeeded$/.test(e.kind) && e.amount) && !event.outcome;
  if (!bodies[event.provider] || (money && !bodies[event.provider].money)) bodies[event.provider] = { ...event, money };
}
bodies.standardwebhooks = bodies.svix = bodies.generic;

let n = 0, failed = 0;
const ok = (good, name) => { console.log(`${good ? 'ok' : 'not ok'} ${++n} - ${name}`); if (!good) failed++; };

const post = async (source, query, { body, headers }) =>
  (await fetch(`${process.env.INGRESS}/hooks/${source}${query}`, { method: 'POST', body, headers })).status;
const kept = source => Number(sql(`SELECT count(*) FROM erp_webhook.event JOIN erp_webhook.source USING (company_id, source_id) WHERE name = :'v1'`, source));

// Altered: the last letter of the payload's text that is not structure.
const alter = body => body.replace(/[a-z](?=[^a-z]*$)/i, c => (c === 'x' ? 'y' : 'x'));

for (const [provider, client] of Object.entries(await clients())) {
  const source = `interop-${provider}`, query = client.query ?? '', url = `${process.env.PUBLIC_URL}/hooks/${source}${query}`;
  const secret = client.secret(), wrong = client.secret();
  const sample = bodies[provider];
  const text = sample ? sample.body : '{"id":"evt_interop","type":"ping","data":{"id":"x"}}';
  const named = what => `${provider} (${client.package}): ${what}`;

  sql(`SELECT erp_webhook.add_source(source => :'v1', provider => :'v2', company => 'Interop', settings => :'v3')`, source, provider, JSON.stringify({ ...client.settings, url }));
  for (const [purpose, key] of client.keys?.(secret) ?? [['verify', secret]])
    sql(`SELECT erp_webhook.add_secret(source => :'v1', secret => :'v2', purpose => :'v3')`, source, key, purpose);

  const withMore = r => ({ ...r, headers: { ...(sample?.headers ?? {}), ...r.headers } });
  const good = withMore(await client.sign(text, secret, url));
  ok(await client.accepts(good, secret, url), named('accepts its own signature'));
  const before = kept(source), status = await post(source, query, good);
  ok(status === 200, named(`its signature is accepted by the ingress (${status})`));
  ok(kept(source) > before, named('the event is kept'));
  if (sample?.money)
    ok(sql(`SELECT count(*) FROM erp_webhook.payment WHERE source = :'v1' AND captured > 0`, source) === '1', named('and settled'));

  const forged = withMore(await client.sign(text, wrong, url));
  ok(!(await client.accepts(forged, secret, url)) && (await post(source, query, forged)) !== 200, named('a wrong secret is refused by both'));
  if (!client.bodyUnsigned) {
    const altered = { ...good, body: (client.alter ?? alter)(good.body) };
    if (altered.body === good.body) throw new Error(`${provider}: nothing was altered`);
    ok(!(await client.accepts(altered, secret, url)) && (await post(source, query, altered)) !== 200, named('an altered body is refused by both'));
  }

  if (client.inBody) continue; // sign() makes headers; a signature inside the body is not its business
  const headers = JSON.parse(sql(`SELECT erp_webhook.sign(source => :'v1', body => decode(:'v2', 'hex'), url => :'v3')`,
    source, Buffer.from(good.body).toString('hex'), url));
  const ours = { body: good.body, headers: { 'content-type': good.headers['content-type'], ...headers } };
  ok(await client.accepts(ours, secret, url), named('accepts what sign() made'));
  if (!client.bodyUnsigned)
    ok(!(await client.accepts({ ...ours, body: (client.alter ?? alter)(ours.body) }, secret, url)), named('refuses it once altered'));
}
console.log(`1..${n}`);
process.exit(failed ? 1 : 0);
