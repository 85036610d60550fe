"""The command line's entry: reads it, runs one command, turns what fails into a sentence and an exit code."""

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from handlers.cli.parser import build_parser, help_of
from handlers.cli.parts import CONFIG_VARIABLE, DEFAULT_CONFIG
from handlers.cli.say import say, sentence_of

DONE, FAILED, MISUNDERSTOOD, INTERRUPTED = 0, 1, 2, 130
_YOUNG_OBJECTS = 200_000  # made before the garbage collector looks: a sixth of a start went to its walks over imports

Command = Callable[[Namespace, Mapping[str, str]], int]


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run the command that ``argv`` names, with ``env`` for its environment; returns the exit code."""
    gc.set_threshold(_YOUNG_OBJECTS)
    parser = build_parser()
    try:
        args = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    except SystemExit as end:  # argparse has said what is wrong, or printed the help
        return end.code if isinstance(end.code, int) else MISUNDERSTOOD
    command = _command(args)
    if command is None:
        say(help_of(parser, [args.command] if args.command else []))
        return MISUNDERSTOOD
    try:
        code = command(args, os.environ if env is None else env)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough. Without this, Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        say(f"signoff: {sentence}")
        return getattr(error, "exit_code", FAILED)
    return code


def config_path(args: Namespace, env: Mapping[str, str]) -> Path:
    """The configuration file: the option, else the variable, else the one in the working directory."""
    given: Path | None = args.config
    return given or Path(env.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def _command(args: Namespace) -> Command | None:
    """Return what carries the command out; None where the line ends before it is named."""
    if args.command in _WITH_PARTS:
        return _WITH_PARTS[args.command] if args.act else None
    simple: dict[str, Command] = {
        "serve": _serve,
        "demo": _demo,
        "check": _check,
        "manifest": _manifest,
        "enroll": _enroll,
        "reload": _reload,
        "backup": _backup,
        "restored": _restored,
        "access": _access,
        "evidence": _evidence,
        **dict.fromkeys(("requests", "overrides", "stats", "show"), _records),
    }
    return simple.get(args.command)


def _serve(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.running import serve

    return serve(config_path(args, env), env)


def _demo(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.running import demo

    return demo(args.port, env)


def _check(args: Namespace, env: Mapping[str, str]) -> int:
    import asyncio
    from datetime import UTC, datetime

    from handlers.check import run_check
    from handlers.findings import render_json, render_text

    report = asyncio.run(run_check(config_path(args, env), env, datetime.now(UTC)))
    print(render_json(report) if args.json else render_text(report))
    return FAILED if report.has_fault else DONE


def _manifest(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.manifest import print_manifest

    print_manifest(args, env, config_path(args, env))
    return DONE


def _enroll(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.enroll import run

    run(args, env, config_path(args, env))
    return DONE


def _reload(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.reload import run

    return run(args, env, config_path(args, env))


def _backup(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.backup import run

    run(args, env, config_path(args, env))
    return DONE


def _restored(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.restored import run

    run(args, env, config_path(args, env))
    return DONE


def _access(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.access import run

    run(args, env, config_path(args, env))
    return DONE


def _records(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.records import run

    run(args, env, config_path(args, env))
    return DONE


def _rules(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.rules import run

    run(args, env, config_path(args, env))
    return DONE


def _instance(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.instances import run

    run(args, env, config_path(args, env))
    return DONE


def _provisioner(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.provisioners import run

    run(args, env, config_path(args, env))
    return DONE


def _audit(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.audit import run

    return run(args, env, config_path(args, env))


def _evidence(args: Namespace, env: Mapping[str, str]) -> int:
    from handlers.cli.audit import run_evidence

    return run_evidence(args, env, config_path(args, env))


_WITH_PARTS: dict[str, Command] = {
    "audit": _audit,
    "instance": _instance,
    "provisioner": _provisioner,
    "rules": _rules,
}
"""Commands whose second word says what is to be done."""
