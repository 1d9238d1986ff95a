"""Lists as providers document them, values our own, each over more than one page.

(provider, settings, {path under the API's base: answer}, facts that must be in the books, pages that must not be asked for).
A path "a?b" answers requests for a whose query holds b; {base} is the API's base. A fact: kind, object_ref, amount.
"""
AT = "2025-10-09T09:00:00+00:00"
OLD = "2025-09-01T09:00:00+00:00"


def gocardless(n, resource, action, links):
    return {"id": f"EV{n}", "created_at": AT, "resource_type": resource, "action": action, "links": links, "details": {"origin": "gocardless", "cause": "x", "description": "x"}, "metadata": {}}


def square(ref, amount, **more):
    return dict({"id": ref, "status": "COMPLETED", "created_at": AT, "updated_at": AT, "total_money": {"amount": amount, "currency": "USD"}}, **more)


def mollie(ref, amount, at=AT):
    return {"id": ref, "mode": "live", "status": "paid", "amount": {"value": amount, "currency": "EUR"}, "paidAt": at, "createdAt": at}


def mollie_lists(refund):
    return {
        "/v2/payments": {"_embedded": {"payments": [mollie("tr_3", "30.00"), mollie("tr_2", "20.00")]}, "_links": {"next": {"href": "{base}/v2/payments?limit=250&from=tr_1"}}},
        "/v2/payments?from=tr_1": {"_embedded": {"payments": [mollie("tr_1", "10.00"), mollie("tr_0", "5.00", OLD)]}, "_links": {"next": {"href": "{base}/v2/payments?limit=250&from=ancient"}}},
        "/v2/refunds": {"_embedded": {"refunds": [{"id": refund, "paymentId": "tr_1", "status": "refunded", "amount": {"value": "2.00", "currency": "EUR"}, "createdAt": AT}]}, "_links": {"next": None}},
        "/v2/chargebacks": {"_embedded": {"chargebacks": [{"id": "chb_1", "paymentId": "tr_2", "amount": {"value": "20.00", "currency": "EUR"}, "createdAt": AT}]}, "_links": {"next": None}},
    }


MOLLIE_FACTS = [("dispute.withdrawn", "chb_1", "20.00"), ("payment.succeeded", "tr_0", "5.00"), ("payment.succeeded", "tr_1", "10.00"),
                ("payment.succeeded", "tr_2", "20.00"), ("payment.succeeded", "tr_3", "30.00"), ("refund.succeeded", "re_1", "2.00")]


def chargebee(n, amount):
    return {"event": {"id": f"ev_{n}", "event_type": "payment_succeeded", "occurred_at": 1760000400, "content": {
        "transaction": {"id": f"txn_{n}", "amount": amount, "currency_code": "EUR", "status": "success", "linked_invoices": []}}}}


def paddle(n, kind, data, at=AT):
    return {"event_id": f"evt_{n}", "event_type": kind, "occurred_at": at, "notification_id": f"ntf_{n}", "data": data}


def paddle_payment(ref, total):
    return {"id": ref, "status": "completed", "currency_code": "USD", "details": {"totals": {"total": total, "grand_total": total, "fee": "0", "currency_code": "USD"}}, "payments": []}


LISTS = [
    ("gocardless", {}, {
        "/events": {"events": [gocardless(1, "payments", "confirmed", {"payment": "PM1"}), gocardless(2, "refunds", "paid", {"refund": "RF1"})],
                    "meta": {"cursors": {"before": None, "after": "EV2"}, "limit": 500}},
        "/events?after=EV2": {"events": [gocardless(3, "payouts", "paid", {"payout": "PO1"})], "meta": {"cursors": {"before": "EV2", "after": None}, "limit": 500}},
        "/payments/PM1": {"payments": {"id": "PM1", "amount": 1050, "currency": "GBP", "status": "confirmed", "metadata": {}, "links": {}}},
        "/refunds/RF1": {"refunds": {"id": "RF1", "amount": 250, "currency": "GBP", "status": "paid", "links": {"payment": "PM1"}}},
        "/payouts/PO1": {"payouts": {"id": "PO1", "amount": 800, "currency": "GBP", "arrival_date": "2025-10-11", "status": "paid"}}},
     [("payment.succeeded", "PM1", "10.50"), ("payout.paid", "PO1", "8.00"), ("refund.succeeded", "RF1", "2.50")], []),
    ("square", {"url": "https://x.example/hooks/square"}, {
        "/v2/payments": {"payments": [square("sq1", 1000)], "cursor": "c2"},
        "/v2/payments?cursor=c2": {"payments": [square("sq2", 2000)]},
        "/v2/refunds": {"refunds": [{"id": "sqr1", "status": "COMPLETED", "payment_id": "sq1", "updated_at": AT, "amount_money": {"amount": 34, "currency": "USD"}}]},
        "/v2/payouts": {"payouts": [{"id": "po1", "status": "PAID", "updated_at": AT, "arrival_date": "2025-10-11", "amount_money": {"amount": 5000, "currency": "USD"}}]}},
     [("payment.succeeded", "sq1", "10.00"), ("payment.succeeded", "sq2", "20.00"), ("payout.paid", "po1", "50.00"), ("refund.succeeded", "sqr1", "0.34")], []),
    ("mollie", {}, mollie_lists("re_1"), MOLLIE_FACTS, ["from=ancient"]),
    ("mollie-classic", {}, mollie_lists("re_1"), MOLLIE_FACTS, ["from=ancient"]),
    ("chargebee", {"site": "x"}, {
        "/api/v2/events": {"list": [chargebee(1, 100), chargebee(2, 200)], "next_offset": '["1760000400","2"]'},
        "/api/v2/events?offset=%5B%221760000400%22%2C%222%22%5D": {"list": [chargebee(3, 300)]}},
     [("payment.succeeded", "txn_1", "1.00"), ("payment.succeeded", "txn_2", "2.00"), ("payment.succeeded", "txn_3", "3.00")], []),
    ("paddle", {}, {
        "/events": {"data": [paddle(3, "transaction.completed", paddle_payment("txn_3", "300")), paddle(2, "payout.paid", {"id": "pay_1", "status": "paid", "amount": "250", "currency_code": "USD"})],
                    "meta": {"pagination": {"next": "{base}/events?after=evt_2", "has_more": True}}},
        "/events?after=evt_2": {"data": [paddle(1, "transaction.completed", paddle_payment("txn_1", "100")), paddle(0, "price.updated", {"id": "pri_1"}, OLD)],
                                "meta": {"pagination": {"next": "{base}/events?after=ancient", "has_more": True}}}},
     [("payment.succeeded", "txn_1", "1.00"), ("payment.succeeded", "txn_3", "3.00"), ("payout.paid", "pay_1", "2.50")], ["after=ancient"]),
    ("paypal", {"webhook_id": "WH"}, {
        "/v1/oauth2/token": {"access_token": "tok-1", "expires_in": 3600},
        "/v1/notifications/webhooks-events": {"events": [{"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "create_time": AT, "resource": {
            "id": "CAP1", "amount": {"currency_code": "EUR", "value": "12.00"}, "status": "COMPLETED"}}], "links": [{"rel": "self", "href": "x"}, {"rel": "next", "href": "https://api.paypal.com/v1/page2"}]},
        "/v1/page2": {"events": [{"id": "WH-2", "event_type": "PAYMENT.CAPTURE.REFUNDED", "create_time": AT, "resource": {
            "id": "REF1", "amount": {"currency_code": "EUR", "value": "2.00"}, "status": "COMPLETED", "links": [{"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/CAP1"}]}}], "links": []}},
     [("payment.succeeded", "CAP1", "12.00"), ("refund.succeeded", "REF1", "2.00")], []),
]
