"""A small Hugging Face Hub on this machine: as much of its interface as downloading a model needs."""

import hashlib
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@contextmanager
def serve(handler):
    """Serve on a free port of this machine; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def hub_of(folder: Path, asked: list):
    """A handler that gives the files of a folder as the model "owner/model"; what was asked for is put into a list."""
    commit = "0" * 40

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def answer(self, status, content=b"", headers=None):
            self.send_response(status)
            for name, value in {"Content-Length": len(content), **(headers or {})}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def do_GET(self):
            path = self.path.partition("?")[0]
            asked.append(path.rpartition("/")[2])
            if path.startswith("/api/models/owner/model/revision/"):
                files = [{"rfilename": one.name} for one in sorted(folder.iterdir())]
                content = {"id": "owner/model", "sha": commit, "siblings": files}
                return self.answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})
            if path.startswith("/api/models/owner/model/tree/"):
                files = [
                    {"type": "file", "path": one.name, "size": one.stat().st_size, "oid": "0" * 40}
                    for one in sorted(folder.iterdir())
                ]
                return self.answer(200, json.dumps(files).encode(), {"Content-Type": "application/json"})
            file = folder / path.rpartition("/")[2]
            if path.startswith("/owner/model/resolve/") and file.is_file():
                content = file.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                return self.answer(200, content, {"ETag": etag, "X-Repo-Commit": commit})
            return self.answer(404, headers={"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET

    return Hub
