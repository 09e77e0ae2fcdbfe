"""A web server on this machine, and archives for it to serve."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site(BaseHTTPRequestHandler):
    """Serves `server.pages`: path -> body, status, or (length, body).

    A body shorter than its stated length is followed by silence until
    `server.done` is set. Like some hosts it turns Python's own agents away.
    """

    def do_GET(self):
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path, 404)
        agent = self.headers["User-Agent"].lower()
        if agent.startswith(("python-urllib", "python-requests")):
            page = 403
        if isinstance(page, int):
            self.send_error(page)
            return
        length, body = page if isinstance(page, tuple) else (len(page), page)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.server.sent.set()
        if length > len(body) and not self.path.startswith("/cut"):
            self.server.done.wait(10)

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.pages, server.asked = {}, []
    server.sent, server.done = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.done.set()
    server.shutdown()
    thread.join()
    server.server_close()


def sha1(data):
    return hashlib.sha1(data).hexdigest()


def zipped(members):
    """Bytes of a zip: name -> bytes, or (bytes, Unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            data, mode = data if isinstance(data, tuple) else (data, 0o100644)
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def names_in(folder):
    """The paths of everything in a folder, sorted."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
