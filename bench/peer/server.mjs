// What a user would write today: Fastify, the official stripe package, node-postgres, one transaction per webhook that writes
// the same rows as the extension. Statements are named, so that they are prepared once per connection.
import Fastify from 'fastify'
import Stripe from 'stripe'
import pg from 'pg'

const { PORT, STRIPE_SECRET, POOL = '32' } = process.env
const stripe = new Stripe('sk_test_unused')
const pool = new pg.Pool({ max: Number(POOL) })
const app = Fastify({ logger: false, bodyLimit: 1 << 20 })

app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body))

const run = (client, name, text, values) => client.query({ name, text, values })

async function settle(client, event, signature, body) {
  const intent = event.data.object
  const money = intent.amount_received / 100
  const currency = intent.currency.toUpperCase()
  const number = intent.metadata.invoice_number
  const delivery = await run(client, 'delivery', `
    INSERT INTO peer.delivery (company_id, delivery_id, received_at, source_id, method, headers, body, secret_id, signed_at)
    VALUES (1, nextval('peer.delivery_id'), now(), 1, 'POST', $1, $2, 1, now()) RETURNING delivery_id`,
    [JSON.stringify({ 'stripe-signature': signature }), body])
  const inserted = await run(client, 'event', `
    INSERT INTO peer.event (company_id, source_id, external_id, type, kind, state, occurred_at, received_at, signed_at, delivery_id,
      object_ref, payment_ref, account_ref, correlation, amount, currency, digest)
    VALUES (1, 1, $1, $2, 'payment.succeeded', 'applied', to_timestamp($3), now(), now(), $4, $5, $5, $6, ARRAY[$7::text], $8, $9,
      sha256($10))
    ON CONFLICT (company_id, source_id, external_id) DO NOTHING RETURNING event_id`,
    [event.id, event.type, event.created, delivery.rows[0].delivery_id, intent.id, intent.customer, number, money, currency, body])
  if (inserted.rowCount === 0) return false
  const eventId = inserted.rows[0].event_id
  const invoice = (await run(client, 'invoice', `
    SELECT invoice_id, due FROM peer.invoice WHERE company_id = 1 AND number = $1 FOR UPDATE`, [number])).rows[0]
  await run(client, 'object', `
    INSERT INTO peer.money_object (company_id, source_id, object, object_ref, payment_ref, currency, amount, succeeded_at, effective,
      decided_by, refs, account_ref, facts)
    VALUES (1, 1, 'payment', $1, $1, $2, $3, to_timestamp($4), true, $5, ARRAY[$6::text], $7, ARRAY[$5::bigint])`,
    [intent.id, currency, money, event.created, eventId, number, intent.customer])
  const voucher = await run(client, 'voucher', `
    INSERT INTO peer.voucher (company_id, source_id, object, object_ref, step, event_id, booked_on, occurred_on, amount, currency, digest)
    VALUES (1, 1, 'payment', $1, 1, $2, current_date, current_date, $3, $4, sha256($1::text::bytea)) RETURNING voucher_id`, [intent.id, eventId, money, currency])
  await run(client, 'entry', `
    INSERT INTO peer.entry (company_id, voucher_id, entry_no, debit, credit, amount, currency)
    VALUES (1, $1, 1, 'clearing:stripe', 'receivable', $2, $3)`, [voucher.rows[0].voucher_id, money, currency])
  if (invoice && Number(invoice.due) > 0) {
    const part = Math.min(money, Number(invoice.due))
    await run(client, 'allocation', `
      INSERT INTO peer.allocation (company_id, invoice_id, source_id, object, object_ref, amount) VALUES (1, $1, 1, 'payment', $2, $3)`,
      [invoice.invoice_id, intent.id, part])
    await run(client, 'paid', `UPDATE peer.invoice SET paid = paid + $2, state = $3 WHERE company_id = 1 AND invoice_id = $1`,
      [invoice.invoice_id, part, money >= Number(invoice.due) ? 'paid' : 'partial'])
  }
  return true
}

app.post('/hooks/stripe', async (request, reply) => {
  const signature = request.headers['stripe-signature']
  let event
  try {
    event = stripe.webhooks.constructEvent(request.body, signature, STRIPE_SECRET)
  } catch {
    return reply.code(400).send()
  }
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const fresh = await settle(client, event, signature, request.body)
    await client.query(fresh ? 'COMMIT' : 'ROLLBACK')
    return { received: true }
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  } finally {
    client.release()
  }
})

await app.listen({ port: Number(PORT), host: '127.0.0.1' })
console.log('listening')
