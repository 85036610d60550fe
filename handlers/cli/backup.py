"""``signoff backup``: a copy of the SQLite database, made while the server runs. Changes nothing."""

import sqlite3
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot.config import load_settings
from handlers.cli.say import CommandFailed, say
from store.copies import copy
from store.schema import current_revision
from store.unit import StoreUnavailable


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Make it. Raises ``BadConfig``, ``StoreUnavailable`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    path = settings.store.sqlite_path
    if path is None:
        raise CommandFailed("This copies SQLite databases. PostgreSQL's is backed up with pg_dump: docs/operations.md")
    target: Path = args.file
    if not target.parent.is_dir():
        raise CommandFailed(f"There is no folder {target.parent}.")
    try:
        if current_revision(path) is None:
            raise CommandFailed(f"There is no database {path} yet, so there is nothing to copy.")
        copy(path, target, datetime.now(UTC))
    except FileExistsError as error:
        raise CommandFailed(f"{target} is there already. A backup never takes another file's place.") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database {path} cannot be copied to {target}: {error}") from error
    print(f"Copied {path} to {target}: {target.stat().st_size} bytes, checked.")
    say("The secret key is not in it: keep that too, but apart. Put back, it is not served before `signoff restored`.")
