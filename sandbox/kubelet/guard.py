"""A tiny companion process that ends every container when the kubelet is gone, however it went.

Run as a script by the kubelet with a pipe as its standard input: each line `+N` or `-N` adds or removes a
process group. End of input means that the kubelet no longer lives, be it by SIGKILL; the groups still listed
are then killed. It imports as little as possible (it starts in milliseconds) and knows nothing of pods.
It inherits the kubelet's lock on the data directory, so a new kubelet starts only after the old one's
containers are dead.
"""

import contextlib
import os
import signal
import sys


def run(lines: "list[str] | None" = None) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of input ends it
    groups: set[int] = set()
    for line in sys.stdin if lines is None else lines:
        sign, number_text = line[:1], line[1:].strip()
        if not number_text.isdigit() or int(number_text) <= 1:
            continue
        if sign == "+":
            groups.add(int(number_text))
        else:
            groups.discard(int(number_text))
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    return len(groups)


if __name__ == "__main__":
    run()
