/*
 * A payment_intent.succeeded as Stripe's API 2024-06-20 shapes it, at the size they usually have.
 */
#include "event.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

static const char SHAPE[] =
	"{\"id\":\"%s\",\"object\":\"event\",\"api_version\":\"2024-06-20\",\"created\":%ld,\"data\":{\"object\":{\"id\":\"%s\","
	"\"object\":\"payment_intent\",\"amount\":%ld,\"amount_capturable\":0,\"amount_details\":{\"tip\":{}},"
	"\"amount_received\":%ld,\"application\":null,\"application_fee_amount\":null,\"automatic_payment_methods\":"
	"{\"allow_redirects\":\"always\",\"enabled\":true},\"canceled_at\":null,\"cancellation_reason\":null,"
	"\"capture_method\":\"automatic\",\"client_secret\":\"%s_secret_9fJ2kQ7xLmZ0pR4tVbNc\",\"confirmation_method\":"
	"\"automatic\",\"created\":%ld,\"currency\":\"eur\",\"customer\":\"cus_B%08ld\",\"description\":\"Invoice %s, thank "
	"you for your business\",\"invoice\":null,\"last_payment_error\":null,\"latest_charge\":\"ch_%s\",\"livemode\":true,"
	"\"metadata\":{\"invoice_number\":\"%s\",\"order\":\"SO-%08ld\",\"channel\":\"portal\",\"cost_center\":\"4711\"},"
	"\"next_action\":null,\"on_behalf_of\":null,\"payment_method\":\"pm_%s\",\"payment_method_configuration_details\":"
	"{\"id\":\"pmc_1NcF2eKZ\",\"parent\":null},\"payment_method_options\":{\"card\":{\"installments\":null,"
	"\"mandate_options\":null,\"network\":null,\"request_three_d_secure\":\"automatic\"},\"ideal\":{},\"sepa_debit\":"
	"{\"mandate_options\":{\"reference_prefix\":null}}},\"payment_method_types\":[\"card\",\"ideal\",\"sepa_debit\"],"
	"\"processing\":null,\"receipt_email\":\"accounts.payable.%08ld@customer.example\",\"review\":null,"
	"\"setup_future_usage\":null,\"shipping\":{\"address\":{\"city\":\"Amsterdam\",\"country\":\"NL\",\"line1\":"
	"\"Prinsengracht %ld\",\"line2\":null,\"postal_code\":\"1016 HK\",\"state\":null},\"carrier\":null,\"name\":\"Customer "
	"%08ld B.V.\",\"phone\":\"+31 20 123 4567\",\"tracking_number\":null},\"source\":null,\"statement_descriptor\":null,"
	"\"statement_descriptor_suffix\":null,\"status\":\"succeeded\",\"transfer_data\":null,\"transfer_group\":null}},"
	"\"livemode\":true,\"pending_webhooks\":1,\"request\":{\"id\":\"req_%s\",\"idempotency_key\":"
	"\"0b6f3d5e-7c1a-4e2b-9f80-%012ld\"},\"type\":\"payment_intent.succeeded\"}";

static void
sign(Event *event, const char *secret, time_t now)
{
	char signed_text[sizeof event->body + 32];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	int n = snprintf(signed_text, sizeof signed_text, "%ld.%s", (long) now, event->body);
	int at = snprintf(event->signature, sizeof event->signature, "t=%ld,v1=", (long) now);

	HMAC(EVP_sha256(), secret, (int) strlen(secret), (unsigned char *) signed_text, (size_t) n, mac, &mac_len);
	for (unsigned i = 0; i < mac_len; i++)
		at += snprintf(event->signature + at, sizeof event->signature - (size_t) at, "%02x", mac[i]);
}

void
event_make(Event *event, long n, long invoices, const char *secret, time_t now)
{
	snprintf(event->id, sizeof event->id, "evt_1Q%018ld", n);
	snprintf(event->payment, sizeof event->payment, "pi_3Q%018ld", n);
	snprintf(event->invoice, sizeof event->invoice, "B-%08ld", n % invoices + 1);
	event->cents = 10000 + n % 5000;
	event->len = snprintf(event->body, sizeof event->body, SHAPE, event->id, (long) now, event->payment, event->cents,
						  event->cents, event->payment, (long) now, n, event->invoice, event->payment + 3, event->invoice, n,
						  event->payment + 3, n, n % 1000, n, event->id + 4, n);
	sign(event, secret, now);
}
