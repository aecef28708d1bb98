"""References to secrets: a name in the environment or a file, read only when it is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from config.errors import ConfigurationError
from config.frozen import Frozen

_MAX_SIZE_BYTES: Final = 65_536


class Secret(Frozen):
    """Where a secret is; exactly one of the two is given. Its `repr` shows the reference only.

    Attributes:
        env: name of an environment variable.
        file: path of a file that holds the secret and nothing else; one line end at its end is not
            part of it.
    """

    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    file: Path | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            message = "a secret is { env = ... } or { file = ... }"
            raise ValueError(message)
        return self

    def resolve(self, env: Mapping[str, str] | None = None) -> str:
        """The secret itself, opaque: never trimmed or changed.

        Args:
            env: the environment; that of the process by default.

        Raises: ConfigurationError if it is not there or empty.
        """
        value = (
            self._from_file(self.file)
            if self.file
            else (os.environ if env is None else env).get(self.env or "", "")
        )
        if not value:
            where = f"file {self.file}" if self.file else f"environment variable {self.env}"
            message = f"secret: {where} is missing or empty"
            raise ConfigurationError(
                message, advice="Zet het geheim in deze variabele of dit bestand en probeer weer."
            )
        return value

    @staticmethod
    def _from_file(path: Path) -> str:
        try:
            with path.open("rb") as file:
                body = file.read(_MAX_SIZE_BYTES + 1)
            text = body.decode("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
            message = f"secret: file {path} cannot be read ({reason})"
            raise ConfigurationError(
                message, advice="Controleer of het bestand met het geheim bestaat en leesbaar is."
            ) from None
        if len(body) > _MAX_SIZE_BYTES:
            message = f"secret: file {path} is larger than 64 KiB"
            raise ConfigurationError(message, advice="Dit bestand bevat geen geheim.")
        return text.removesuffix("\n").removesuffix("\r")
