"""What Amplitude said of the credentials in this run: a run's first request goes alone, and none follows a refusal."""

import hashlib
import mmap

from pipeline.errors import CredentialsError
from pipeline.settings import Credentials, Settings

_UNKNOWN, _ACCEPTED, _REFUSED = b"\0", b"\1", b"\2"


class Admission:
    """Shared with every process that is forked from this one, so that two workers are one run."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, hashlib.sha256().digest_size + 1)

    def is_known(self, settings: Settings, credentials: Credentials) -> bool:
        """Tells whether these credentials were accepted in this run.

        Raises:
            CredentialsError: They were refused in this run.
        """
        if self._shared[:-1] != _digest(settings, credentials):
            return False
        if self._shared[-1:] == _REFUSED:
            raise CredentialsError(
                f"not asked for: {settings.host} refused the key or the secret earlier in this run",
                "Look at AMP_API_KEY, AMP_SECRET_KEY and AMP_REGION.",
            )
        return self._shared[-1:] == _ACCEPTED

    def accept(self, settings: Settings, credentials: Credentials) -> None:
        """Remembers that they were accepted."""
        self._shared[:] = _digest(settings, credentials) + _ACCEPTED

    def refuse(self, settings: Settings, credentials: Credentials) -> None:
        """Remembers that they were refused."""
        self._shared[:] = _digest(settings, credentials) + _REFUSED


def _digest(settings: Settings, credentials: Credentials) -> bytes:
    said = f"{settings.api}\n{credentials.key.reveal()}\n{credentials.secret.reveal()}"
    return hashlib.sha256(said.encode()).digest()
