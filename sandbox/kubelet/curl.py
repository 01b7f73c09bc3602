"""A small `curl` for machines without one, because lifecycle hooks in pods call it.

Installed into the search path of containers only where the host has no curl; run as a script. It knows the
options that such hooks use and refuses others by name. Exit codes are curl's.
"""

import argparse
import base64
import ssl
import stat
import sys
import urllib.error
import urllib.request
from pathlib import Path


def install(directory: Path) -> Path:
    """Put the script into a directory, which is returned."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "curl"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{Path(__file__).resolve()}" "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return directory


def _arguments(argv: "list[str]") -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="curl", description="the sandbox's small curl", allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-raw", "--data-binary")
    parser.add_argument("-u", "--user")
    parser.add_argument("-m", "--max-time", type=float, default=None)
    parser.add_argument("--connect-timeout", type=float, default=None)
    parser.add_argument("-o", "--output")
    for short, long in (("-s", "--silent"), ("-S", "--show-error"), ("-f", "--fail"), ("-k", "--insecure")):
        parser.add_argument(short, long, action="store_true")
    parser.add_argument("-L", "--location", action="store_true")
    return parser.parse_args(argv)


def _headers(given: "list[str]") -> "list[str]":
    """The headers, with `@-` and `@FILE` replaced by the lines found there."""
    found: list[str] = []
    for header in given:
        if header == "@-":
            found += sys.stdin.read().splitlines()
        elif header.startswith("@"):
            found += Path(header[1:]).read_text().splitlines()
        else:
            found.append(header)
    return [header for header in found if header.strip()]


def run(argv: "list[str]") -> int:
    """One request; the body goes to standard output or the file."""
    options = _arguments(argv)
    url = options.url if "://" in options.url else f"http://{options.url}"
    if not url.startswith(("http://", "https://")):
        return _fail(options, 1, f"protocol of {url} not supported")
    data = options.data.encode() if options.data is not None else None
    request = urllib.request.Request(url, data=data, method=options.request)  # noqa: S310 - checked above
    for header in _headers(options.header):
        name, _, value = header.partition(":")
        request.add_header(name.strip(), value.strip())
    if options.user is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(options.user.encode()).decode())
    context = ssl._create_unverified_context() if options.insecure else None  # noqa: S323 - asked for
    seconds = options.max_time or options.connect_timeout
    try:
        with urllib.request.urlopen(request, timeout=seconds, context=context) as answer:  # noqa: S310
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
        if options.fail:
            return _fail(options, 22, f"The requested URL returned error: {error.code}")
    except TimeoutError:
        return _fail(options, 28, "Operation timed out")
    except (urllib.error.URLError, OSError) as error:
        return _fail(options, 7, f"Failed to connect: {error}")
    if options.output:
        Path(options.output).write_bytes(body)
    else:
        sys.stdout.buffer.write(body)
    return 0


def _fail(options: argparse.Namespace, code: int, message: str) -> int:
    if options.show_error or not options.silent:
        sys.stderr.write(f"curl: ({code}) {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
