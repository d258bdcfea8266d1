"""A process that asks `/health` over and over: how late the answers are tells how late the daemon's loop is.

Argument: the port. Reads a byte to end; prints, as one line of JSON, how long each answer took, in seconds.
"""

import http.client
import select
import sys
import time

import orjson

EVERY_S = 0.1


def main(port: int) -> None:
    """Ask until standard input has something."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took_s = []
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        asked_s = time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        took_s.append(time.monotonic() - asked_s)
    sys.stdout.buffer.write(orjson.dumps(took_s) + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
