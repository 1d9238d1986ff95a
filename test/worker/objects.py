"""Objects as providers document them, values our own: (provider, rule, the waiting event, the API's answer, the facts).

A fact: kind, object_ref, payment_ref, amount, currency, correlation, fee, state.
"""
AT = "2025-10-09T09:00:00+00:00"


def claim(kind, ref, payment=None):
    return {"kind": kind, "object_ref": ref, "payment_ref": payment, "external_id": "EV1", "occurred_at": AT}


OBJECTS = [
    ("gocardless", "payment", claim("payment.succeeded", "PM1", "PM1"),
     {"payments": {"id": "PM1", "created_at": AT, "charge_date": "2025-10-09", "amount": 1050, "currency": "GBP", "reference": "INV-1", "status": "confirmed", "metadata": {}, "links": {"mandate": "MD1"}}},
     [("payment.succeeded", "PM1", "PM1", "10.50", "GBP", "INV-1", "", "applied")]),
    ("gocardless", "payment", claim("dispute.withdrawn", "PM1", "PM1"),
     {"payments": {"id": "PM1", "amount": 1050, "currency": "GBP", "status": "charged_back", "metadata": {"invoice_number": "INV-9"}, "links": {}}},
     [("dispute.withdrawn", "PM1", "PM1", "10.50", "GBP", "INV-9", "", "applied")]),
    ("gocardless", "refund", claim("refund.succeeded", "RF1"),
     {"refunds": {"id": "RF1", "amount": 250, "currency": "GBP", "status": "paid", "links": {"payment": "PM1"}}},
     [("refund.succeeded", "RF1", "PM1", "2.50", "GBP", "", "", "applied")]),
    ("gocardless", "payout", claim("payout.paid", "PO1"),
     {"payouts": {"id": "PO1", "amount": 99900, "currency": "GBP", "arrival_date": "2025-10-11", "reference": "GC-1", "status": "paid"}},
     [("payout.paid", "PO1", "", "999.00", "GBP", "", "", "applied")]),
    ("mollie", "payment", claim("payment.succeeded", "tr_1", "tr_1"),
     {"id": "tr_1", "mode": "live", "status": "paid", "amount": {"value": "10.00", "currency": "EUR"}, "paidAt": AT, "metadata": {"invoice_number": "INV-1"},
      "_embedded": {"refunds": [{"id": "re_1", "status": "pending", "amount": {"value": "1.00", "currency": "EUR"}, "createdAt": AT}, {"id": "re_2", "status": "refunded", "amount": {"value": "2.00", "currency": "EUR"}, "createdAt": AT}],
                    "chargebacks": [{"id": "chb_1", "amount": {"value": "10.00", "currency": "EUR"}, "createdAt": AT}]}},
     [("payment.succeeded", "tr_1", "tr_1", "10.00", "EUR", "INV-1", "", "applied"), ("refund.succeeded", "re_2", "tr_1", "2.00", "EUR", "", "", "applied"),
      ("dispute.withdrawn", "chb_1", "tr_1", "10.00", "EUR", "", "", "applied")]),
    ("mollie", "refund", None, {"id": "re_2", "paymentId": "tr_1", "status": "refunded", "amount": {"value": "2.00", "currency": "EUR"}, "createdAt": AT},
     [("refund.succeeded", "re_2", "tr_1", "2.00", "EUR", "", "", "applied")]),
    ("mollie", "chargeback", None, {"id": "chb_1", "paymentId": "tr_1", "amount": {"value": "10.00", "currency": "EUR"}, "createdAt": AT, "reversedAt": AT},
     [("dispute.withdrawn", "chb_1", "tr_1", "10.00", "EUR", "", "", "applied"), ("dispute.reinstated", "chb_1", "tr_1", "10.00", "EUR", "", "", "applied")]),
    ("mollie-classic", "payment", claim("other", "tr_2", "tr_2"), {"id": "tr_2", "mode": "test", "status": "paid", "amount": {"value": "10.00", "currency": "EUR"}}, []),
    ("mollie-classic", "payment", claim("other", "tr_3", "tr_3"), {"id": "tr_3", "mode": "live", "status": "paid", "amount": {"value": "10.005", "currency": "EUR"}, "paidAt": AT},
     [("payment.succeeded", "tr_3", "tr_3", "", "EUR", "", "", "quarantined")]),
    ("square", "payment", None, {"id": "sq1", "status": "COMPLETED", "created_at": AT, "updated_at": AT, "total_money": {"amount": 1234, "currency": "USD"}, "reference_id": "INV-2",
                                 "processing_fee": [{"amount_money": {"amount": 36, "currency": "USD"}}]},
     [("payment.succeeded", "sq1", "sq1", "12.34", "USD", "INV-2", "0.36", "applied")]),
    ("square", "refund", None, {"id": "sqr1", "status": "COMPLETED", "payment_id": "sq1", "updated_at": AT, "amount_money": {"amount": 34, "currency": "USD"}},
     [("refund.succeeded", "sqr1", "sq1", "0.34", "USD", "", "", "applied")]),
    ("square", "payout", None, {"id": "po1", "status": "PAID", "updated_at": AT, "arrival_date": "2025-10-11", "amount_money": {"amount": 5000, "currency": "USD"}},
     [("payout.paid", "po1", "", "50.00", "USD", "", "", "applied")]),
    ("revolut", "order", claim("payment.succeeded", "o1", "o1"), {"id": "o1", "state": "completed", "amount": 4999, "currency": "EUR", "updated_at": AT, "merchant_order_data": {"reference": "INV-3"}},
     [("payment.succeeded", "o1", "o1", "49.99", "EUR", "INV-3", "", "applied")]),
    ("revolut", "order", claim("payment.succeeded", "o1", "o1"), {"id": "o1", "state": "failed", "amount": 4999, "currency": "EUR", "updated_at": AT},
     [("payment.failed", "o1", "o1", "49.99", "EUR", "", "", "applied")]),
    ("mercadopago", "payment", claim("payment.pending", "123", "123"),
     {"id": 123, "status": "approved", "live_mode": True, "transaction_amount": 100.5, "currency_id": "BRL", "external_reference": "INV-4", "date_approved": "2025-10-09T06:00:00.000-03:00",
      "fee_details": [{"amount": 4.99, "fee_payer": "collector"}], "refunds": [{"id": 7, "status": "approved", "amount": 10, "date_created": "2025-10-10T06:00:00.000-03:00"}]},
     [("payment.succeeded", "123", "123", "100.50", "BRL", "INV-4", "4.99", "applied"), ("refund.succeeded", "7", "123", "10.00", "BRL", "", "", "applied")]),
    ("mercadopago", "payment", claim("payment.pending", "124", "124"), {"id": 124, "status": "approved", "live_mode": False, "transaction_amount": 1, "currency_id": "BRL"}, []),
    ("flutterwave-v3", "charge", claim("payment.succeeded", "285", "285"),
     {"status": "success", "data": {"id": 285, "tx_ref": "INV-5", "amount": 30000, "currency": "NGN", "app_fee": 420, "status": "successful", "created_at": AT}},
     [("payment.succeeded", "285", "285", "30000.00", "NGN", "INV-5", "420.00", "applied")]),
    ("truelayer", "payment", claim("payment.succeeded", "tl1", "tl1"), {"id": "tl1", "status": "executed", "amount_in_minor": 100, "currency": "GBP", "executed_at": AT, "metadata": {"invoice_number": "INV-6"}},
     [("payment.succeeded", "tl1", "tl1", "1.00", "GBP", "INV-6", "", "applied")]),
    ("xendit", "invoice", claim("payment.succeeded", "inv1", "inv1"), {"id": "inv1", "external_id": "INV-7", "status": "PAID", "amount": 50000, "paid_amount": 50000, "currency": "IDR", "paid_at": AT},
     [("payment.succeeded", "inv1", "inv1", "50000.00", "IDR", "INV-7", "", "applied")]),
    ("paypal", "event", claim("payment.succeeded", "CAP1", "CAP1"),
     {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "create_time": AT, "resource": {"id": "CAP1", "amount": {"currency_code": "EUR", "value": "12.00"}, "status": "COMPLETED", "invoice_id": "INV-8",
      "seller_receivable_breakdown": {"paypal_fee": {"currency_code": "EUR", "value": "0.50"}}}},
     [("payment.succeeded", "CAP1", "CAP1", "12.00", "EUR", "INV-8", "0.50", "applied")]),
    ("xero", "payment", claim("payment.succeeded", "xp1"),
     {"Payments": [{"PaymentID": "xp1", "Status": "AUTHORISED", "Amount": 110.0, "Invoice": {"InvoiceNumber": "INV-10", "CurrencyCode": "NZD", "Contact": {"ContactID": "c1"}}}]},
     [("payment.succeeded", "xp1", "xp1", "110.00", "NZD", "INV-10", "", "applied")]),
]
