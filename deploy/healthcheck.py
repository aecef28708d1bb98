"""Whether `koppelhub serve` of this container answers: exit code 0, else 1. Argument: its port."""

import ssl
import sys
import urllib.request

SECONDS = 4


def answers(scheme: str, port: int) -> bool:
    """Ask `/healthz` on loopback, over TLS or without."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False  # the name in its certificate is that of the outside
    trusting.verify_mode = ssl.CERT_NONE
    address = f"{scheme}://127.0.0.1:{port}/healthz"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS, context=trusting) as answer:  # noqa: S310 - http or https of this machine
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    asked = int(sys.argv[1])
    sys.exit(0 if answers("https", asked) or answers("http", asked) else 1)
