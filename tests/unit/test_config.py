"""Each fault of a configuration is found, named with its key path, and found together with all the others."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from bot.config import (
    BadConfig,
    Fault,
    Settings,
    load_settings,
    parse_settings,
)

SERVER = 'public_url = "http://127.0.0.1:8080"'
STORE = 'url = "sqlite:///signoff.db"'
RULE = """
name = "refunds"
stage = "approve"
agent = "refund-bot"
tool = "issue_refund"
channel = "C0REFUNDS"
reviewers = ["finance"]
"""


def config(
    *,
    server: str = SERVER,
    slack: str = "",
    store: str = STORE,
    admins: str = 'users = ["U0ADMIN"]',
    agents: str = '[agents.refund-bot]\nowners = ["U0OWNER"]\ntools = ["issue_refund", "send_*"]',
    reviewers: str = '[reviewers.finance]\nusers = ["U0ALICE"]\nusergroups = ["S0FINANCE"]',
    rules: str = f"[[rules]]{RULE}",
    top: str = "",
) -> str:
    return "\n".join(
        [
            top,
            f"[server]\n{server}\n[slack]\n{slack}\n[store]\n{store}\n[admins]\n{admins}",
            agents,
            reviewers,
            rules,
        ]
    )


def rule(**lines: str | None) -> str:
    """A file whose one rule has these lines instead of, or besides, its own; None takes a line away."""
    keys = dict(line.split(" = ", 1) for line in RULE.strip().splitlines())
    keys.update({key: value for key, value in lines.items() if value is not None})
    kept = [f"{key} = {value}" for key, value in keys.items() if lines.get(key, "") is not None]
    return config(rules="\n".join(["[[rules]]", *kept]))


def read(text: str, env: Mapping[str, str] | None = None) -> Settings:
    return parse_settings(text.encode(), env or {}, source="signoff.toml")


def faults(text: str | bytes, env: Mapping[str, str] | None = None) -> tuple[Fault, ...]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(BadConfig) as caught:
        parse_settings(content, env or {}, source="signoff.toml")
    return caught.value.faults


def only_fault(text: str | bytes, env: Mapping[str, str] | None = None) -> Fault:
    (fault,) = faults(text, env)
    return fault


def test_reads_what_stands_in_the_file() -> None:
    text = config()
    settings = read(text)
    assert settings.server.public_url == "http://127.0.0.1:8080"
    assert settings.admins.users == ("U0ADMIN",)
    assert settings.agents["refund-bot"].name == "refund-bot"
    assert settings.agents["refund-bot"].tools == ("issue_refund", "send_*")
    finance = settings.reviewers["finance"]
    assert (finance.name, finance.users, finance.usergroups) == ("finance", ("U0ALICE",), ("S0FINANCE",))
    assert settings.rules[0].reviewers == (finance,)
    assert settings.digest == hashlib.sha256(text.encode()).hexdigest()


def test_defaults() -> None:
    settings = read(config())
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert (settings.slack.mode, settings.slack.api_url) == ("socket", "https://slack.com/api/")
    (refunds,) = settings.rules
    assert refunds.mention is True
    assert refunds.external is False
    assert refunds.server is None
    assert refunds.fallback_channel is None
    assert refunds.min_timeout is None
    assert refunds.max_timeout == timedelta(hours=1)
    assert refunds.validity == timedelta(minutes=5)
    assert refunds.execution_timeout == timedelta(minutes=15)


def test_a_file_without_agents_and_rules_denies_everything_and_loads() -> None:
    settings = read(config(agents="", reviewers="", rules=""))
    assert (dict(settings.agents), dict(settings.reviewers), settings.rules) == ({}, {}, ())


def test_rules_keep_the_order_of_the_file() -> None:
    names = ["z", "a", "m"]
    rules = "".join(f'[[rules]]\nname = "{n}"\nstage = "autonomous"\nagent = "*"\ntool = "*"\n' for n in names)
    assert [rule.name for rule in read(config(rules=rules)).rules] == names


def test_an_autonomous_rule_needs_neither_channel_nor_reviewers() -> None:
    (autonomous,) = read(rule(stage='"autonomous"', channel=None, reviewers=None)).rules
    assert (autonomous.channel, autonomous.reviewers) == (None, ())


@pytest.mark.parametrize(
    "guard",
    [
        {"need": '[{ reviewers = "finance", quorum = 1 }]'},
        {"quorum": "2"},
        {"reason": '"optional"'},
        {"confirm": "true"},
        {"step_up": '"totp"'},
    ],
    ids=lambda guard: next(iter(guard)),
)
def test_an_autonomous_rule_takes_nothing_that_asks_people(guard: dict[str, str]) -> None:
    (fault,) = faults(rule(**{"stage": '"autonomous"', "channel": None, "reviewers": None, **guard}))
    assert fault.key_path == f"rules[0].{next(iter(guard))}"
    assert "where nobody is asked" in fault.problem


def test_an_autonomous_rule_may_name_whom_it_asks_while_it_is_stopped() -> None:
    (autonomous,) = read(rule(stage='"autonomous"')).rules
    assert (autonomous.channel, [group.name for group in autonomous.reviewers]) == ("C0REFUNDS", ["finance"])


def test_settings_cannot_be_changed() -> None:
    settings = read(config())
    with pytest.raises(AttributeError):
        settings.rules = ()  # type: ignore[misc]  # that it cannot be assigned is the point
    with pytest.raises(TypeError):
        settings.agents["other"] = settings.agents["refund-bot"]  # type: ignore[index]  # as above
    with pytest.raises(ValueError, match="frozen"):
        settings.rules[0].stage = "autonomous"  # type: ignore[misc]  # as above


# One fault, its key path, and words that must be in it.
AGENT = '[agents.refund-bot]\nowners = ["U0OWNER"]\ntools = ["issue_refund"]\n'
PUBLIC = 'public_url = "https://signoff.example.com"'
LOOPBACK = "delivery = { allow_loopback = true }"
FAULTS = [
    # server
    (config(server=""), "server.public_url", "is missing"),
    (config(server=SERVER + '\nport = "8080"'), "server.port", "text"),
    (config(server=SERVER + "\nport = true"), "server.port", "true or false"),
    (config(server=SERVER + "\nport = 8080.0"), "server.port", "decimal"),
    (config(server=SERVER + "\nport = 2026-01-01"), "server.port", "date"),
    (config(server=SERVER + "\nport = 0"), "server.port", "at least 1"),
    (config(server=SERVER + "\nport = 65536"), "server.port", "at most 65535"),
    (config(server=SERVER + '\nhost = ""'), "server.host", "not an address to listen on"),
    (config(server=SERVER + '\nhost = "127.0.0.1:8080"'), "server.host", "not an address to listen on"),
    (config(server=SERVER + '\nhots = "127.0.0.1"'), "server.hots", 'did you mean "host"?'),
    # audit and retention
    (config(top='[audit]\ncheckpoints = ""'), "audit.checkpoints", "names no file"),
    (config(top='[audit]\ncheckpoints = "kept/"'), "audit.checkpoints", "names no file"),
    (config(top='[retention]\narguments = "6d"'), "retention.arguments", 'use at least "7d"'),
    (config(top='[retention]\narguments = "2160h"'), "retention.arguments", "no number of days"),
    (config(top="[retention]\narguments = 90"), "retention.arguments", "no number of days"),
    (config(top='[retention]\narguments = "0d"'), "retention.arguments", "no number of days"),
    # slack
    (config(slack='mode = "Socket"'), "slack.mode", 'use one of "socket" or "http"'),
    (config(slack='api_url = "https://slack.com/api"'), "slack.api_url", 'write "https://slack.com/api/"'),
    (config(slack='api_url = "https://slack.com.evil.example/api/"'), "slack.api_url", "loopback"),
    (config(slack='api_url = "http://slack.com/api/"'), "slack.api_url", "loopback"),
    (config(slack='api_url = "http://127.0.0.1:9/api"'), "slack.api_url", 'write "http://127.0.0.1:9/api/"'),
    (config(slack='bot_token = "hidden"'), "slack.bot_token", "environment"),
    # store
    (config(store=""), "store.url", "is missing"),
    (config(store='url = "signoff.db"'), "store.url", "not the address of a store"),
    (config(store='url = "mysql:///signoff.db"'), "store.url", "not the address of a store"),
    (config(store='url = "sqlite://"'), "store.url", "outlive the process"),
    (config(store='url = "sqlite:///"'), "store.url", "outlive the process"),
    (config(store='url = "sqlite:///:memory:"'), "store.url", "outlive the process"),
    (config(store='url = "sqlite:///file:x?mode=memory"'), "store.url", "outlive the process"),
    (config(store='url = "sqlite:///signoff.db?mode=ro"'), "store.url", "query"),
    (config(store='url = "sqlite:///data/"'), "store.url", "slash at its end"),
    (config(store='url = "postgresql://u:hunter2@db"'), "store.url", "names no database"),
    (config(store='url = "postgresql+asyncpg://u:hunter2@db/signoff"'), "store.url", "not the address"),
    (config(store='url = "postgresql://[u:hunter2@db/signoff"'), "store.url", "not the address"),
    (config(store='url = "postgresql:signoff"'), "store.url", "not the address"),
    (config(store='url = "postgresql://u:hun ter2@db/signoff"'), "store.url", "has spaces"),
    # admins
    (config(admins=""), "admins.users", "is missing"),
    (config(admins="users = []"), "admins.users", "is empty"),
    (config(admins='users = "U0ADMIN"'), "admins.users", 'write a list in brackets, such as ["U0ADMIN"]'),
    (config(admins='users = ["U0ADMIN", 7]'), "admins.users[1]", "whole number"),
    (config(admins='users = ["C0ADMIN"]'), "admins.users[0]", "not the id of a user"),
    (config(admins='users = ["@alice"]'), "admins.users[0]", "Copy member ID"),
    (config(admins='users = ["u0admin"]'), "admins.users[0]", "not the id of a user"),
    (config(admins='users = ["U0ADMIN\\n"]'), "admins.users[0]", "not the id of a user"),
    (config(admins='users = ["U0ADMIN", "U0ADMIN"]'), "admins.users", 'lists "U0ADMIN" twice'),
    # agents
    (config(agents='[agents.refund-bot]\ntools = ["x"]'), "agents.refund-bot.owners", "is missing"),
    (config(agents='[agents.refund-bot]\nowners = ["U0OWNER"]'), "agents.refund-bot.tools", "is missing"),
    (
        config(agents='[agents.refund-bot]\nowners = ["U0OWNER"]\ntools = ["a", 3]'),
        "agents.refund-bot.tools[1]",
        'write text in quotes, such as "issue_refund"',
    ),
    (
        config(agents='[agents.refund-bot]\nowners = ["U0OWNER"]\ntools = ["a"]\nname = "x"'),
        "agents.refund-bot.name",
        "not a known key",
    ),
    (config(agents='[agents]\nrefund-bot = "x"'), "agents.refund-bot", "begin it with [agents.refund-bot]"),
    # reviewers
    (config(reviewers="[reviewers.finance]"), "reviewers.finance.usergroups", "is empty, and so is users"),
    (config(reviewers='[reviewers.finance]\nusergroups = ["U0X"]'), "reviewers.finance.usergroups[0]", "user group"),
    # rules
    (config(rules=f"[rules]{RULE}"), "rules", "double brackets"),
    (config(rules="", top="rules = [3]"), "rules[0]", "begin it with [[rules]]"),
    (config(rules=f"[[rule]]{RULE}"), "rule", 'did you mean "rules"?'),
    (rule(name=None), "rules[0].name", "is missing"),
    (rule(name='""'), "rules[0].name", "cannot be a rule's name"),
    (rule(name=f'"{"x" * 76}"'), "rules[0].name", "1 to 75"),
    (rule(name='"a\\nb"'), "rules[0].name", "cannot be a rule's name"),
    (rule(name='"<!channel>"'), "rules[0].name", "cannot be a rule's name"),
    (rule(name='" a"'), "rules[0].name", "cannot be a rule's name"),
    (rule(stage=None), "rules[0].stage", "is missing"),
    (rule(stage='"partial"'), "rules[0].stage", '"approve" or "autonomous"'),
    (rule(agent=None), "rules[0].agent", "is missing"),
    (rule(agent='"refund-bt"'), "rules[0].agent", 'did you mean "refund-bot"?'),
    (rule(agent='"Refund-*"'), "rules[0].agent", "fits no agent"),
    (rule(tool=None), "rules[0].tool", "is missing"),
    (rule(tool='""'), "rules[0].tool", "has 0 characters"),
    (rule(tool=f'"{"x" * 256}"'), "rules[0].tool", "has 256 characters"),
    (rule(tool='"issue refund "'), "rules[0].tool", "spaces at an end"),
    (rule(tool='"issue\\u200brefund"'), "rules[0].tool", "control characters"),
    (rule(tool='"issue[_refund"'), "rules[0].tool", "never closed"),
    (rule(tool='"[a]x[!]"'), "rules[0].tool", "never closed"),
    (rule(server='"["'), "rules[0].server", "never closed"),
    (rule(channel=None), "rules[0].channel", "is missing"),
    (rule(channel='"#refunds"'), "rules[0].channel", "not the id of a channel"),
    (rule(channel='"D0ALICE"'), "rules[0].channel", "not the id of a channel"),
    (rule(fallback_channel='"C0REFUNDS"'), "rules[0].fallback_channel", "same as channel"),
    (rule(reviewers=None), "rules[0].reviewers", "missing or empty"),
    (rule(reviewers="[]"), "rules[0].reviewers", "missing or empty"),
    (rule(reviewers='["finanse"]'), "rules[0].reviewers[0]", 'did you mean "finance"?'),
    (rule(reviewers='["security"]'), "rules[0].reviewers[0]", "add [reviewers.security]"),
    (rule(reviewers='["finance", "finance"]'), "rules[0].reviewers", 'lists "finance" twice'),
    (rule(reviewers="[3]"), "rules[0].reviewers[0]", "name of a group"),
    (rule(reviewers='[{name = "mine", users = ["U0ME"]}]'), "rules[0].reviewers[0]", "name of a group"),
    (rule(mention='"no"'), "rules[0].mention", "true or false, without quotes"),
    (rule(external="1"), "rules[0].external", "true or false, without quotes"),
    (rule(max_timeout="3600"), "rules[0].max_timeout", "in quotes"),
    (rule(max_timeout='"2 hours"'), "rules[0].max_timeout", "not a duration"),
    (rule(max_timeout='"7d"'), "rules[0].max_timeout", "not a duration"),
    (rule(max_timeout='"0s"'), "rules[0].max_timeout", "not a duration"),
    (rule(max_timeout='"169h"'), "rules[0].max_timeout", 'at most "168h"'),
    (rule(max_timeout=f'"{"9" * 30}h"'), "rules[0].max_timeout", "not a duration"),
    (rule(min_timeout='"1h"'), "rules[0].min_timeout", "less than max_timeout, which is 1h"),
    (rule(min_timeout='"11m"', max_timeout='"10m"'), "rules[0].min_timeout", "which is 10m"),
    (rule(validity='"1441m"'), "rules[0].validity", 'at most "24h"'),
    (rule(execution_timeout='"169h"'), "rules[0].execution_timeout", 'at most "168h"'),
    (rule(validty='"5m"'), "rules[0].validty", 'did you mean "validity"?'),
    (rule(majority="2"), "rules[0].majority", "known here: name, stage"),
    (rule(quorum="0"), "rules[0].quorum", "at least 1"),
    (rule(quorum="21"), "rules[0].quorum", "at most 20"),
    (rule(need='[{ reviewers = "finance" }]'), "rules[0].reviewers", "stands beside need"),
    (rule(reviewers=None, quorum="2", need='[{ reviewers = "finance" }]'), "rules[0].quorum", "inside need"),
    (rule(reviewers=None, need="[]"), "rules[0].reviewers", "missing or empty"),
    (rule(reviewers=None, need='[{ reviewers = "finanse" }]'), "rules[0].need[0].reviewers[0]", '"finance"?'),
    (rule(reviewers=None, need="[{ reviewers = [] }]"), "rules[0].need[0].reviewers", "at least one group"),
    (rule(reviewers=None, need="[{ quorum = 2 }]"), "rules[0].need[0].reviewers", "is missing"),
    (rule(reviewers=None, need='[{ reviewers = "finance", quorum = 0 }]'), "rules[0].need[0].quorum", "at least 1"),
    (
        rule(reviewers=None, need='[{ reviewers = "finance", people = 2 }]'),
        "rules[0].need[0].people",
        "not a known key",
    ),
    (rule(reviewers=None, need='["finance"]'), "rules[0].need[0]", "a table"),
    (rule(need="3"), "rules[0].need", "a list"),
    (rule(reason='"always"'), "rules[0].reason", '"optional" or "required"'),
    (rule(confirm='"yes"'), "rules[0].confirm", "true or false"),
    (rule(step_up='"sms"'), "rules[0].step_up", 'is "sms"; use "totp"'),
    (rule(domain='"finance"'), "rules[0].domain", '"financial"'),
    (rule(redact='"card"'), "rules[0].redact", "a list"),
    (rule(redact='["card", ""]'), "rules[0].redact[1]", "has 0 characters"),
    (rule(redact='["a..b"]'), "rules[0].redact[0]", "on one side of a dot"),
    (rule(redact='["card ."]'), "rules[0].redact[0]", '"card_number" or "cards.*.number"'),
    (rule(redact='["card*"]'), "rules[0].redact[0]", "stands for a whole one"),
    (rule(redact='["card", "card"]'), "rules[0].redact", "twice"),
    (rule(standing='"169h"'), "rules[0].standing", 'at most "168h"'),
    # agents' limits
    (config(agents=AGENT + "rate = 60"), "agents.refund-bot.rate", "60/1m"),
    (config(agents=AGENT + 'rate = "60 per minute"'), "agents.refund-bot.rate", "60/1m"),
    (config(agents=AGENT + 'rate = "0/1m"'), "agents.refund-bot.rate", "60/1m"),
    (config(agents=AGENT + 'instance_rate = "1/1d"'), "agents.refund-bot.instance_rate", "60/1m"),
    (config(agents=AGENT + "max_pending = 0"), "agents.refund-bot.max_pending", "at least 1"),
    # receivers
    (
        config(server='public_url = "https://signoff.example.com"', top=LOOPBACK),
        "delivery.allow_loopback",
        "not loopback",
    ),
    (config(top="delivery = { allow_loopback = 1 }"), "delivery.allow_loopback", "true or false"),
    (config(top="delivery = { loopback = true }"), "delivery.loopback", "allow_loopback"),
    # top level
    (config(top="severs = 1"), "severs", 'did you mean "server"?'),
    (config(agents="", rules="", top="agents = []"), "agents", "begin it with [agents.NAME]"),
    (config(agents="", rules="", top='"a b" = 1'), '"a b"', "not a known key"),
]


@pytest.mark.parametrize(("text", "key_path", "words"), FAULTS, ids=[f"{f[1]}-{f[2][:20]}" for f in FAULTS])
def test_one_wrong_thing_is_one_fault(text: str, key_path: str, words: str) -> None:
    fault = only_fault(text)
    assert fault.key_path == key_path
    assert words in f"{fault.problem}; {fault.remedy}"


@pytest.mark.parametrize("key", ["server", "slack", "store", "admins"])
def test_a_section_that_is_no_table(key: str) -> None:
    text = config().replace(f"[{key}]", f"[{key}_away]")
    assert f"{key}: is 3, not a table; begin it with [{key}]" in [str(fault) for fault in faults(f"{key} = 3\n{text}")]


def test_all_faults_of_a_file_come_at_once() -> None:
    text = config(
        server='port = "1"\npublic_url = "http://signoff.example.com"',
        slack='mode = "rtm"',
        store='url = ":memory:"',
        admins="users = []",
        agents='[agents.refund-bot]\nowners = ["me"]\ntools = ["a["]\n[agents.Other]\nowners = ["U0X"]\ntools = ["b"]',
        reviewers="[reviewers.finance]\nusers = 3",
        rules=(
            '[[rules]]\nname = "one"\nstage = "approve"\nagent = "nobody"\ntool = "x"\nmax_timeout = "1w"\n'
            '[[rules]]\nname = "one"\nagent = "refund-bot"\ntool = "x"\nchannel = "x"\n'
            'reviewers = ["finance", "legal"]\n'
        ),
        top="unknown = 1",
    )
    assert [fault.key_path for fault in faults(text)] == [
        "unknown",
        "server.port",
        "server.public_url",
        "slack.mode",
        "store.url",
        "admins.users",
        "agents.refund-bot.owners[0]",
        "agents.refund-bot.tools[0]",
        "agents.Other",
        "reviewers.finance.users",
        "rules[0].agent",
        "rules[0].channel",
        "rules[0].reviewers",
        "rules[0].max_timeout",
        "rules[1].stage",
        "rules[1].channel",
        "rules[1].reviewers[1]",
        "rules[1].name",
    ]


def test_a_faulty_group_or_agent_is_told_once_and_not_again_where_a_rule_names_it() -> None:
    text = config(
        agents='[agents.refund-bot]\nowners = []\ntools = ["x"]',
        reviewers='[reviewers.finance]\nusers = ["nobody"]',
    )
    assert [fault.key_path for fault in faults(text)] == ["agents.refund-bot.owners", "reviewers.finance.users[0]"]


def test_a_rule_is_named_beside_its_number() -> None:
    fault = only_fault(rule(max_timeout='"1d"'))
    assert fault.rule == "refunds"
    assert str(fault).startswith('rules[0].max_timeout (rule "refunds"): "1d" is not a duration; write ')


def test_two_rules_of_one_name() -> None:
    fault = only_fault(config(rules=f"[[rules]]{RULE}[[rules]]{RULE}"))
    assert (fault.key_path, fault.problem) == ("rules[1].name", '"refunds" is the name of rules[0] too')


def test_a_name_with_a_dot_is_quoted_in_the_file_and_in_paths() -> None:
    quoted = config(agents='[agents."billing.eu"]\nowners = []\ntools = ["x"]', rules="")
    assert only_fault(quoted).key_path == 'agents."billing.eu".owners'
    bare = config(agents='[agents.billing.eu]\nowners = ["U0X"]\ntools = ["x"]', rules="")
    assert 'in quotes: [agents."billing.eu"]' in str(faults(bare)[-1])


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d", "x" * 63])
def test_names_of_agents(name: str) -> None:
    text = config(agents=f'[agents."{name}"]\nowners = ["U0X"]\ntools = ["x"]', rules="")
    assert list(read(text).agents) == [name]


@pytest.mark.parametrize("name", ["", "A", ".a", "-a", "a b", "ä", "a/b", "x" * 64, "a\\n"])
def test_names_that_agents_cannot_have(name: str) -> None:
    text = config(agents=f'[agents."{name}"]\nowners = ["U0X"]\ntools = ["x"]', rules="")
    assert "cannot be a name" in only_fault(text).problem


@pytest.mark.parametrize("pattern", ["*", "a?c", "[abc]*", "[!a]", "[]]", "[!]]", "[[]x", "send mail", "größe", "]"])
def test_patterns(pattern: str) -> None:
    assert read(rule(tool=f'"{pattern}"')).rules[0].tool == pattern


@pytest.mark.parametrize("pattern", ["*", "refund-bot", "refund-*", "r?fund-bot", "[rs]efund-bot"])
def test_an_agent_pattern_that_fits_an_agent(pattern: str) -> None:
    assert read(rule(agent=f'"{pattern}"')).rules[0].agent == pattern


@pytest.mark.parametrize(
    "text",
    [
        config(slack='bot_token = "xoxb-1-hidden"'),
        rule(channel='"xoxb-1-hidden"'),
        config(admins='users = ["xapp-1-hidden"]'),
        config(admins='users = [["xoxe.xoxp-1-hidden"]]'),
        config(slack='mode = "hidden xoxp-1-hidden"'),
        config(top='token = "hidden"'),
    ],
)
def test_a_token_in_the_file_is_not_repeated(text: str) -> None:
    assert "hidden" not in str(BadConfig("f", faults(text)))


@pytest.mark.parametrize(
    ("content", "where", "words"),
    [
        (b"[server]\nport = \n", "line 2, column 8", "is not TOML"),
        (b"[server]\n[server]\n", "line 2, column 8", "is not TOML"),
        (b'[server]\nport = "8080', "line 2", "is not TOML"),
        (b"[server]\nport = 1\nport = 2\n", "line 3, column 9", "is not TOML"),
        (b'# one\n\nx = "\xff"\n', "line 3", "UTF-8"),
        (b"\xff\xfe[\x00", "line 1", "UTF-8"),
        (b"x = " + b"[" * 20_000, "the file", "nested too deeply"),
    ],
)
def test_what_is_not_toml(content: bytes, where: str, words: str) -> None:
    fault = only_fault(content)
    assert fault.key_path == where
    assert words in str(fault)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_settings(b"\xef\xbb\xbf" + config().encode(), {}, source="f").rules


def test_loads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "signoff.toml"
    path.write_text(config())
    assert load_settings(path, {}).rules[0].name == "refunds"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(BadConfig) as caught:
            load_settings(path, {})
        (fault,) = caught.value.faults
        assert fault.key_path == str(path)
        assert "cannot be read" in fault.problem


def test_the_list_to_show_names_the_file_and_each_fault_on_a_line() -> None:
    error = BadConfig("signoff.toml", [Fault("a", "is x", "use y"), Fault("rules[0].b", "is z", "use w", "refunds")])
    assert str(error) == 'signoff.toml: 2 faults\n  a: is x; use y\n  rules[0].b (rule "refunds"): is z; use w'
