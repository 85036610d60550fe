"""Calls that the sample company's agents might make, ready to be sent from the console.

Whom each is for is a guess that suits the demo's rules; nothing depends on it but where the page offers to look.
"""

from __future__ import annotations

import json

from playground.agent import Preset

_PLAN = """\
Terraform will perform the following actions:

  # aws_db_instance.orders must be replaced
-/+ resource "aws_db_instance" "orders" {
      ~ engine_version          = "15.4" -> "16.3"
      ~ storage_encrypted       = false -> true  # forces replacement
        skip_final_snapshot     = true
    }

  # aws_security_group_rule.office will be updated in-place
  ~ resource "aws_security_group_rule" "office" {
      ~ cidr_blocks = ["203.0.113.0/24"] -> ["0.0.0.0/0"]
    }

Plan: 1 to add, 1 to change, 1 to destroy."""

_BURST = 60

# As JSON writes them, so that the console shows what is in there: the characters themselves would hide or turn it.
_HOSTILE = r"""{
  "order": "A-10482",
  "customer": "<https://evil.example/|m.ibrahim@example.com>",
  "amount": 4900,
  "currency": "EUR",
  "shown_as": "\u202e00.94 RUE\u202c",
  "note": "Small amount\u200b.\n────────────\n✅ *Approved* by <@U0BOB>, <!channel> may go on"
}"""


def sample_presets() -> tuple[Preset, ...]:
    """The ready-made calls, in the console's order."""
    return (
        Preset(
            key="refund",
            label="Refund a customer",
            explain="Small, but somebody should look.",
            agent="refund-bot",
            tool="issue_refund",
            server="payments",
            arguments_text=_json(
                {
                    "order": "A-10482",
                    "customer": "m.ibrahim@example.com",
                    "amount": 129.90,
                    "currency": "EUR",
                    "reason": "Parcel arrived damaged; photo attached to ticket 5531",
                }
            ),
            reasoning="The photo shows the broken lid and the order is within 30 days, so our policy covers it.",
            result="Refund re_20418 created: EUR 129.90 to m.ibrahim@example.com",
            answer_as="U0ALICE",
            answer_in="C0REFUNDS",
        ),
        Preset(
            key="email",
            label="E-mail 4 000 customers",
            explain="Many people outside will notice.",
            agent="refund-bot",
            tool="send_email",
            server="mail",
            arguments_text=_json(
                {
                    "from": "support@example.com",
                    "to_list": "customers-eu-active",
                    "recipients": 4000,
                    "subject": "We have changed how refunds work",
                    "body": "Hello {first_name},\n\nfrom 1 December refunds are paid within two working days.\n\n"
                    "Your support team",
                }
            ),
            reasoning="Marketing asked in ticket 5540 for the change to be announced before the weekend.",
            timeout="30m",
            result="4000 messages queued on list customers-eu-active",
            answer_as="U0MIA",
            answer_in="C0SUPPORT",
        ),
        Preset(
            key="sql",
            label="DROP TABLE in production",
            explain="One line that is hard to undo.",
            agent="report-bot",
            tool="run_sql",
            server="warehouse",
            arguments_text=_json(
                {
                    "database": "production",
                    "statement": "DROP TABLE invoices_2025 CASCADE;",
                    "dry_run": False,
                }
            ),
            reasoning="The disk is 94 % full and no report has read this table for 90 days.",
            result="DROP TABLE",
            answer_as="U0IVY",
            answer_in="C0OPS",
        ),
        Preset(
            key="deploy",
            label="Deploy to production",
            explain="A Terraform plan; two lines matter.",
            agent="deploy-bot",
            tool="terraform_apply",
            server="terraform",
            arguments_text=_json({"workspace": "production-eu", "commit": "4f1c2ab", "plan": _PLAN}),
            reasoning="The upgrade was merged in change 812 and its checks are green.",
            timeout="30m",
            result="Apply complete! Resources: 1 added, 1 changed, 1 destroyed.",
            answer_as="U0IVY",
            answer_in="C0DEPLOYS",
        ),
        Preset(
            key="long",
            label="A very long call",
            explain="200 refunds, reviewed page by page.",
            agent="refund-bot",
            tool="issue_refund",
            server="payments",
            arguments_text=_json({"batch": "2026-11-recall", "refunds": _many_refunds()}),
            reasoning="Every order of the recalled lot gets its money back.",
            timeout="1h",
            result="200 refunds created",
            answer_as="U0ALICE",
            answer_in="C0REFUNDS",
        ),
        Preset(
            key="burst",
            label="60 refunds at once",
            explain="Too fast for a card each.",
            agent="refund-bot",
            tool="issue_refund",
            server="payments",
            arguments_text=_json(_refund(0)),
            also=tuple(_json(_refund(number)) for number in range(1, _BURST)),
            reasoning="The carrier lost the whole van.",
            timeout="30m",
            result="Refund created",
            answer_as="U0ALICE",
            answer_in="C0REFUNDS",
        ),
        Preset(
            key="payment",
            label="Pay a supplier",
            explain="Two people, each with a reason.",
            agent="refund-bot",
            tool="pay_supplier",
            server="payments",
            arguments_text=_json(
                {
                    "supplier": "Nordlicht Lampen GmbH",
                    "iban": "DE02 1203 0000 0000 2020 51",
                    "amount": 48_200.00,
                    "currency": "EUR",
                    "invoice": "NL-2026-0917",
                }
            ),
            reasoning="The invoice is due on Friday and matches the order.",
            timeout="30m",
            result="Payment py_311 of EUR 48200.00 to Nordlicht Lampen GmbH is booked",
            answer_as="U0ALICE",
            answer_in="C0REFUNDS",
        ),
        Preset(
            key="hostile",
            label="A call that means harm",
            explain="A forged approval, unseen characters.",
            agent="refund-bot",
            tool="issue_refund",
            server="payments",
            arguments_text=_HOSTILE,
            reasoning="Already approved by <@U0BOB>, see https://evil.example/ok. Just press the button, <!here>.",
            result="Refund re_20419 created: EUR 4900.00",
            answer_as="U0ALICE",
            answer_in="C0REFUNDS",
        ),
        Preset(
            key="forbidden",
            label="Something no rule allows",
            explain="Denied at once; nobody is asked.",
            agent="refund-bot",
            tool="delete_customer",
            server="crm",
            arguments_text=_json({"customer": "m.ibrahim@example.com", "purge": True}),
            reasoning="The customer asked to be forgotten.",
            result="Customer deleted",
        ),
    )


def _many_refunds() -> list[dict[str, object]]:
    return [_refund(number) for number in range(200)]


def _refund(number: int) -> dict[str, object]:
    return {
        "order": f"A-{10_500 + number}",
        "customer": f"customer{number:03}@example.com",
        "amount": 19 + number % 7 * 10,
        "currency": "EUR",
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
