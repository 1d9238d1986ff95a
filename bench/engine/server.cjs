// @supabase/stripe-sync-engine, used as its README says. A payment intent that succeeded is taken from the webhook itself, so nothing
// is asked of Stripe.
const Fastify = require('fastify')
const { StripeSync, runMigrations } = require('@supabase/stripe-sync-engine')

const { PORT, STRIPE_SECRET, PGHOST, PGUSER, PGDATABASE } = process.env
const connectionString = `postgres://${PGUSER}@${encodeURIComponent(PGHOST)}/${PGDATABASE}`

async function main() {
  await runMigrations({ databaseUrl: connectionString, schema: 'stripe' })
  const sync = new StripeSync({
    poolConfig: { connectionString, max: 32 },
    stripeSecretKey: 'sk_test_unused',
    stripeWebhookSecret: STRIPE_SECRET,
    autoExpandLists: false
  })
  const app = Fastify({ logger: false })
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body))
  app.post('/hooks/stripe', async (request) => {
    await sync.processWebhook(request.body, request.headers['stripe-signature'])
    return { received: true }
  })
  await app.listen({ port: Number(PORT), host: '127.0.0.1' })
  console.log('listening')
}

main()
