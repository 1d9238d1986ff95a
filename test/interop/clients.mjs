// One entry for each official package: how it signs (or, where it only verifies, the HMAC it documents), and what it
// says of a signed request. Each `accepts` returns true or false whatever the package does (throw, resolve, return).
//   sign(body, secret, url) → {headers, body}      body: string
//   accepts(request, secret, url) → boolean
//   keys(secret) → [[purpose, key]]                where what signs is not what verifies
import crypto from 'node:crypto';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const hmac = (hash, key, text, encoding) => crypto.createHmac(hash, key).update(text).digest(encoding);
const seconds = () => String(Math.floor(Date.now() / 1000));
const json = { 'content-type': 'application/json' };

// The header of a request, whatever its case.
export const header = (headers, name) => {
  for (const [key, value] of Object.entries(headers)) if (key.toLowerCase() === name) return value;
};

const attempt = async f => {
  try { return (await f()) !== false; } catch { return false; }
};

const standard = (name, Webhook) => ({
  package: name, secret: () => 'whsec_' + crypto.randomBytes(32).toString('base64'),
  sign: (body, secret) => {
    const id = 'msg_' + crypto.randomUUID(), now = new Date();
    return { body, headers: { ...json, 'webhook-id': id, 'webhook-timestamp': String(Math.floor(now / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, now, body) } };
  },
  accepts: (r, secret) => attempt(() => { new Webhook(secret).verify(r.body, r.headers); }),
});

// A package that only verifies: one header, one HMAC over the body.
const bodyHmac = (name, headerName, hash, encoding, accepts, more = {}) => ({
  package: name, secret: () => crypto.randomBytes(24).toString('hex'),
  sign: (body, secret) => ({ body, headers: { ...json, [headerName]: hmac(hash, secret, body, encoding) } }),
  accepts: (r, secret, url) => attempt(() => accepts(r, secret, header(r.headers, headerName), url)), ...more,
});

export async function clients() {
  const { default: Stripe } = await import('stripe');
  const stripe = new Stripe('sk_test_none').webhooks;
  const StandardWebhooks = require('standardwebhooks').Webhook, Svix = require('svix').Webhook;
  const adyen = new (require('@adyen/api-library').hmacValidator)();
  const octokit = await import('@octokit/webhooks-methods');
  const paddle = new (require('@paddle/paddle-node-sdk').Paddle)('none').webhooks;
  const { WorkOS } = require('@workos-inc/node');
  const workos = new WorkOS('sk_none').webhooks;
  const braintree = require('braintree');
  const coinbase = require('coinbase-commerce-node').Webhook;
  const gocardless = require('gocardless-nodejs/webhooks');
  const { WebhookSignatureValidator: MercadoPago } = require('mercadopago');
  const ModernTreasury = require('modern-treasury');
  const { SignatureValidator: Mollie } =
    await import(new URL('node_modules/mollie-api-typescript/dist/esm/utils/webhooks/signature_validator.js', import.meta.url));
  const { EventWebhook: SendGrid } = require('@sendgrid/eventwebhook');
  const Razorpay = require('razorpay'), { WebhooksHelper: Square } = require('square'), twilio = require('twilio');

  return {
    stripe: {
      package: 'stripe', secret: () => 'whsec_' + crypto.randomBytes(24).toString('hex'),
      sign: (body, secret) => ({ body, headers: { ...json, 'stripe-signature': stripe.generateTestHeaderString({ payload: body, secret }) } }),
      accepts: (r, secret) => attempt(() => { stripe.constructEvent(r.body, header(r.headers, 'stripe-signature'), secret); }),
    },
    standardwebhooks: standard('standardwebhooks', StandardWebhooks),
    generic: standard('standardwebhooks', StandardWebhooks),
    svix: {
      ...standard('svix', Svix),
      sign: (body, secret) => {
        const id = 'msg_' + crypto.randomUUID(), now = new Date();
        return { body, headers: { ...json, 'svix-id': id, 'svix-timestamp': String(Math.floor(now / 1000)),
          'svix-signature': new Svix(secret).sign(id, now, body) } };
      },
    },
    'adyen-item': {
      package: '@adyen/api-library', secret: () => crypto.randomBytes(32).toString('hex'), inBody: true,
      sign: (body, secret) => {
        const notification = JSON.parse(body);
        for (const { NotificationRequestItem: item } of notification.notificationItems)
          item.additionalData = { ...item.additionalData, hmacSignature: adyen.calculateHmac(item, secret) };
        return { body: JSON.stringify(notification), headers: json };
      },
      accepts: (r, secret) => attempt(() => JSON.parse(r.body).notificationItems
        .every(({ NotificationRequestItem: item }) => adyen.validateHMAC(item, secret))),
      alter: body => body.replace('"value":12345', '"value":12346'),
    },
    'adyen-body': bodyHmac('@adyen/api-library', 'hmacsignature', 'sha256', 'base64',
      (r, secret, signature) => adyen.validateHMACSignature(secret, signature, r.body), {
        secret: () => crypto.randomBytes(32).toString('hex'),
        sign: (body, secret) => ({ body, headers: { ...json, hmacsignature: adyen.calculateHmac(body, secret) } }),
      }),
    github: bodyHmac('@octokit/webhooks-methods', 'x-hub-signature-256', 'sha256', 'hex',
      (r, secret, signature) => octokit.verify(secret, r.body, signature), {
        sign: async (body, secret) => ({ body, headers: { ...json, 'x-github-delivery': crypto.randomUUID(), 'x-github-event': 'push',
          'x-hub-signature-256': await octokit.sign(secret, body) } }),
      }),
    paddle: {
      package: '@paddle/paddle-node-sdk', secret: () => 'pdl_ntfset_' + crypto.randomBytes(24).toString('hex'),
      sign: (body, secret) => {
        const ts = seconds();
        return { body, headers: { ...json, 'paddle-signature': `ts=${ts};h1=${hmac('sha256', secret, `${ts}:${body}`, 'hex')}` } };
      },
      accepts: (r, secret) => attempt(() => paddle.isSignatureValid(r.body, secret, header(r.headers, 'paddle-signature'))),
    },
    workos: {
      package: '@workos-inc/node', secret: () => crypto.randomBytes(24).toString('hex'),
      sign: async (body, secret) => {
        const t = Date.now();
        return { body, headers: { ...json, 'workos-signature': `t=${t}, v1=${await workos.computeSignature(t, JSON.parse(body), secret)}` } };
      },
      accepts: (r, secret) => attempt(() => workos.verifyHeader({ payload: JSON.parse(r.body), sigHeader: header(r.headers, 'workos-signature'), secret })),
    },
    braintree: {
      package: 'braintree', secret: () => crypto.randomBytes(16).toString('hex'), settings: { public_key: 'kade_public_key' }, inBody: true,
      gateway: secret => new braintree.BraintreeGateway({ environment: braintree.Environment.Sandbox, merchantId: 'kade', publicKey: 'kade_public_key', privateKey: secret }),
      async sign(_, secret) {
        const n = await this.gateway(secret).webhookTesting.sampleNotification('transaction_settled', 'bt_interop');
        return { body: new URLSearchParams(n).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } };
      },
      accepts(r, secret) {
        const f = new URLSearchParams(r.body);
        return attempt(() => this.gateway(secret).webhookNotification.parse(f.get('bt_signature'), f.get('bt_payload')));
      },
      alter: body => body.replace('bt_payload=', 'bt_payload=AAAA'),
    },
    coinbasecommerce: bodyHmac('coinbase-commerce-node', 'x-cc-webhook-signature', 'sha256', 'hex',
      (r, secret, signature) => { coinbase.verifySigHeader(r.body, signature, secret); }, {
        sign: (body, secret) => ({ body, headers: { ...json, 'x-cc-webhook-signature': coinbase.computeSignature(body, secret) } }),
      }),
    gocardless: bodyHmac('gocardless-nodejs', 'webhook-signature', 'sha256', 'hex',
      (r, secret, signature) => { gocardless.parse(r.body, secret, signature); }),
    mercadopago: {
      package: 'mercadopago', secret: () => crypto.randomBytes(24).toString('hex'), query: '?data.id=1234567890&type=payment', bodyUnsigned: true,
      sign: (body, secret) => {
        const ts = seconds(), id = crypto.randomUUID();
        return { body, headers: { ...json, 'x-request-id': id,
          'x-signature': `ts=${ts},v1=${hmac('sha256', secret, `id:1234567890;request-id:${id};ts:${ts};`, 'hex')}` } };
      },
      accepts: (r, secret) => attempt(() => MercadoPago.validate({ xSignature: header(r.headers, 'x-signature'),
        xRequestId: header(r.headers, 'x-request-id'), dataId: '1234567890', secret, toleranceSeconds: 300 })),
    },
    moderntreasury: bodyHmac('modern-treasury', 'x-signature', 'sha256', 'hex',
      (r, secret) => new ModernTreasury({ apiKey: 'k', organizationID: 'o', webhookKey: secret }).webhooks.validateSignature(r.body, r.headers, { key: secret })),
    mollie: bodyHmac('mollie-api-typescript', 'x-mollie-signature', 'sha256', 'hex',
      (r, secret, signature) => Mollie.validate(r.body, secret, signature), {
        sign: async (body, secret) => ({ body, headers: { ...json, 'x-mollie-signature': await Mollie.createSignature(body, secret) } }),
      }),
    razorpay: bodyHmac('razorpay', 'x-razorpay-signature', 'sha256', 'hex',
      (r, secret, signature) => Razorpay.validateWebhookSignature(r.body, signature, secret), {
        sign: (body, secret) => ({ body, headers: { ...json, 'x-razorpay-event-id': 'ev_' + crypto.randomUUID(),
          'x-razorpay-signature': hmac('sha256', secret, body, 'hex') } }),
      }),
    sendgrid: {
      package: '@sendgrid/eventwebhook', secret: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      keys: pair => [['verify', pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')],
        ['sign', pair.privateKey.export({ type: 'pkcs8', format: 'pem' })]],
      sign: (body, pair) => {
        const ts = seconds();
        return { body, headers: { ...json, 'x-twilio-email-event-webhook-timestamp': ts,
          'x-twilio-email-event-webhook-signature': crypto.sign('sha256', Buffer.from(ts + body), pair.privateKey).toString('base64') } };
      },
      accepts: (r, pair) => attempt(() => {
        const sendgrid = new SendGrid();
        return sendgrid.verifySignature(sendgrid.convertPublicKeyToECDSA(pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')), r.body,
          header(r.headers, 'x-twilio-email-event-webhook-signature'), header(r.headers, 'x-twilio-email-event-webhook-timestamp'));
      }),
    },
    square: {
      package: 'square', secret: () => crypto.randomBytes(24).toString('base64url'),
      sign: (body, secret, url) => ({ body, headers: { ...json, 'x-square-hmacsha256-signature': hmac('sha256', secret, url + body, 'base64') } }),
      accepts: (r, secret, url) => attempt(() => Square.verifySignature({ requestBody: r.body,
        signatureHeader: header(r.headers, 'x-square-hmacsha256-signature'), signatureKey: secret, notificationUrl: url })),
    },
    twilio: {
      package: 'twilio', secret: () => crypto.randomBytes(16).toString('hex'),
      sign: (_, secret, url) => {
        const form = { AccountSid: 'AC1', MessageSid: 'SM1', Body: 'paid & settled' };
        return { body: new URLSearchParams(form).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded',
          'x-twilio-signature': twilio.getExpectedTwilioSignature(secret, url, form) } };
      },
      accepts: (r, secret, url) => attempt(() => twilio.validateRequest(secret, header(r.headers, 'x-twilio-signature'), url,
        Object.fromEntries(new URLSearchParams(r.body)))),
      alter: body => body.replace('AC1', 'AC2'),
    },
  };
}
