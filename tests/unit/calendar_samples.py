"""Calendars in the shapes that schedules are exported in. All people and places are made up."""

import textwrap


def calendar(*events: str, head: str = "") -> bytes:
    """A calendar of these events, each given as the lines between BEGIN and END."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//Calendar//EN", *_lines(head)]
    for event in events:
        lines += ["BEGIN:VEVENT", "DTSTAMP:20261101T000000Z", *_lines(event), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def _lines(text: str) -> list[str]:
    return [line for line in textwrap.dedent(text).strip().splitlines() if line]


BERLIN = """
    BEGIN:VTIMEZONE
    TZID:Europe/Berlin
    BEGIN:DAYLIGHT
    TZOFFSETFROM:+0100
    TZOFFSETTO:+0200
    TZNAME:CEST
    DTSTART:19700329T020000
    RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
    END:DAYLIGHT
    BEGIN:STANDARD
    TZOFFSETFROM:+0200
    TZOFFSETTO:+0100
    TZNAME:CET
    DTSTART:19701025T030000
    RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
    END:STANDARD
    END:VTIMEZONE
"""

# As PagerDuty exports a schedule: final shifts in UTC, the person in the summary and as the one attendee, whose
# address stands there without "mailto:".
PAGERDUTY = calendar(
    """
    UID:Q1@example.com
    SUMMARY:On Call - Alice Example - Payments
    DTSTART:20261120T080000Z
    DTEND:20261123T080000Z
    ATTENDEE:Alice@example.com
    URL:https://oncall.example.com/schedules#P1
    """,
    """
    UID:Q2@example.com
    SUMMARY:On Call - Bob Example - Payments
    DTSTART:20261123T080000Z
    DTEND:20261127T080000Z
    ATTENDEE:bob@example.com
    """,
    head="X-WR-CALNAME:On Call Schedule for Payments",
)

# As Grafana OnCall exports one: the user name as the summary, a priority before it, the address of the attendee.
GRAFANA = calendar(
    """
    UID:oncall-1-PK2-U1-E0-S0@example.com
    SUMMARY:[L1] alice
    DTSTART;TZID=Europe/Berlin:20261116T090000
    DTEND;TZID=Europe/Berlin:20261116T170000
    RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;WKST=SU
    EXDATE;TZID=Europe/Berlin:20261125T090000
    ATTENDEE:mailto:alice@example.com
    """,
    """
    UID:oncall-1-PK2-U1-E0-S0@example.com
    RECURRENCE-ID;TZID=Europe/Berlin:20261124T090000
    SUMMARY:[L1] bob
    DTSTART;TZID=Europe/Berlin:20261124T100000
    DTEND;TZID=Europe/Berlin:20261124T170000
    ATTENDEE;CN=Bob:mailto:bob@example.com
    """,
    head=BERLIN,
)

# As Opsgenie exports one: the address as the summary, every rotation among the others.
OPSGENIE = calendar(
    """
    UID:r1-1@example.com
    SUMMARY:carol@example.com
    DESCRIPTION:Rotation: nights. Questions to support@example.com
    DTSTART:20261122T180000Z
    DTEND:20261123T060000Z
    ORGANIZER;CN=Schedules:mailto:noreply@example.com
    """,
    """
    UID:r2-1@example.com
    SUMMARY:alice@example.com
    DTSTART:20261122T120000Z
    DTEND:20261122T200000Z
    """,
)
