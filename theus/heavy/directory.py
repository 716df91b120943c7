"""Where the registry files of a user are, and arrays that have no room in memory.

For the registry, only directories that nobody else can write into are used: what lies there
decides which segments are removed.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from theus._logs import logger
from theus.errors import HeavyZoneError

__all__ = ["default_directory", "prepare_directory", "spill_directory"]

_log = logger("heavy")


def prepare_directory(path: str | os.PathLike[str]) -> Path:
    """Return the directory, made with mode 0700 if need be.

    Raises
    ------
    HeavyZoneError
        It cannot be made, is a symbolic link, belongs to another user, or others may write it.
    """
    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError as error:
        raise HeavyZoneError(f"registry directory {place} cannot be used: {error}") from error
    why = None
    if not stat.S_ISDIR(found.st_mode):
        why = "it is a symbolic link or no directory"
    elif found.st_uid != os.geteuid():
        why = f"it belongs to user {found.st_uid}"
    elif found.st_mode & 0o022:
        why = f"others may write into it (mode {stat.filemode(found.st_mode)})"
    if why is not None:
        raise HeavyZoneError(
            f"registry directory {place} is refused: {why}. Name a directory of your own with "
            "THEUS_REGISTRY, or mend this one (`chmod 700`)."
        )
    return place


def spill_directory(path: str | os.PathLike[str]) -> str:
    """Return the real path of a directory for spilled arrays, made with mode 0700 if need be.

    It may be one that others write into as well: the files have names that cannot be guessed,
    and mode 0600.

    Raises
    ------
    HeavyZoneError
        It cannot be made, or this process may not write into it.
    """
    place = os.path.realpath(path)
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        usable = os.access(place, os.W_OK | os.X_OK)
    except OSError as error:
        raise HeavyZoneError(f"spill directory {place} cannot be used: {error}") from error
    if not usable:
        raise HeavyZoneError(f"spill directory {place} cannot be used: it may not be written")
    return place


def default_directory() -> Path:
    """Return the run-time directory of this user: below /run/user, else in the temp folder.

    Raises
    ------
    HeavyZoneError
        Neither can be used.
    """
    uid = os.geteuid()
    run = Path(f"/run/user/{uid}")
    choices = [run / "theus"] if run.is_dir() else []
    choices.append(Path(tempfile.gettempdir()) / f"theus-{uid}")
    for choice in choices[:-1]:
        try:
            return prepare_directory(choice)
        except HeavyZoneError as error:
            _log.debug("%s", error)
    return prepare_directory(choices[-1])
