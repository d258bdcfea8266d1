"""The image's HEALTHCHECK: exits 0 when `GET /health` answers 200, otherwise 1."""  # noqa: INP001 - a script, not a package

import http
import http.client
import os
import sys


def main() -> int:
    """Exit code of one look at the endpoint that the daemon's settings name; 0 where it is switched off."""
    port = int(os.environ.get("HEALTH_PORT") or 9090)
    if port == 0:
        return 0
    # Linux takes an address that means "every interface" for loopback when asked to connect to it.
    host = os.environ.get("HEALTH_HOST", "").strip().strip("[]") or "127.0.0.1"
    connection = http.client.HTTPConnection(host, port, timeout=4)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        body = response.read(4096)
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"no answer: {error!r}\n")
        return 1
    sys.stdout.write(body.decode("utf-8", "replace") + "\n")
    return 0 if response.status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main())
