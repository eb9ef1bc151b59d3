"""The `httpd-foreground` of the sandbox: Apache when this machine has one, else Python's own server.

Both serve the image's pages on $HOST:$PORT and write the access log to stdout in the common log format. Run in the
image's server root: `python -m bgdeploy.sandbox.httpd [-c DIRECTIVE …]`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

_MODULES = (
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/libexec/apache2",
    "/usr/local/apache2/modules",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="httpd-foreground")
    parser.add_argument("-c", "-C", dest="directives", action="append", default=[])
    directives = parser.parse_args(argv).directives
    root = Path.cwd()
    conf = root / "conf" / "httpd.conf"
    apache = shutil.which("httpd") or shutil.which("apache2")
    modules = next((folder for folder in _MODULES if Path(folder).is_dir()), None)
    # Root's Apache would serve as another user, who cannot read the sandbox's folder.
    if apache and modules and conf.is_file() and os.geteuid() != 0:
        _apache(apache, modules, root, conf, directives)
    _serve(root, fallback=_fallback(directives))


def _apache(apache: str, modules: str, root: Path, conf: Path, directives: Sequence[str]) -> NoReturn:
    (root / "logs").mkdir(exist_ok=True)
    runtime = [f'DefaultRuntimeDir "{root}/logs"', f'Mutex "file:{root}/logs"', *directives]
    more = [word for directive in runtime for word in ("-c", directive)]
    os.environ |= {"SERVER_ROOT": str(root), "MODULES": modules}
    os.execv(apache, [apache, "-D", "FOREGROUND", "-f", str(conf), *more])


def _fallback(directives: Sequence[str]) -> str | None:
    """Return the page of a FallbackResource directive: it answers for every page that is not there."""
    found = [
        words[1] for words in map(str.split, directives) if words[:1] == ["FallbackResource"] and words[1:]
    ]
    return found[-1] if found else None


class _Pages(SimpleHTTPRequestHandler):
    """Serves a folder, keeping connections open as Apache does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and page are written apart: the page would wait 40 ms
    server_version = "Apache"
    sys_version = ""

    def __init__(self, *args: Any, fallback: str | None, **kwargs: Any) -> None:
        self.fallback = fallback
        super().__init__(*args, **kwargs)

    def send_head(self) -> Any:
        if self.fallback and not Path(self.translate_path(self.path)).exists():
            self.path = self.fallback
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        self.send_error(403)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        status = getattr(code, "value", code)
        at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        sys.stdout.write(f'{self.client_address[0]} - - [{at}] "{self.requestline}" {status} {size}\n')
        sys.stdout.flush()

    def log_error(self, format: str, *args: Any) -> None:
        """Say nothing: the access log has the status already."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _serve(root: Path, *, fallback: str | None) -> None:
    handler = partial(_Pages, directory=str(root / "htdocs"), fallback=fallback)
    server = _Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "80"))), handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
