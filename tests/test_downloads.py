"""Large files over connections that are cut, from servers that lie, and by several processes at once."""

import hashlib
import random
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from hrtoolkit import downloads
from hrtoolkit.downloads import NotThere, download
from hrtoolkit.errors import CheckpointError

from .conftest import REPOSITORY
from .hub import serve

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Gives CONTENT; tests change how by the class's fields."""

    content = CONTENT
    ranges = True  # whether it gives parts
    cut = 0  # bytes after which the connection ends, 0 for never
    etag = '"one"'
    kind = "application/octet-stream"
    length = None  # that it states; the right one by default
    status = 200
    asked: list  # the Range of each request

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.headers.get("Range"))
        start = 0
        if self.ranges and self.headers.get("If-Range") == self.etag and self.headers.get("Range"):
            start = int(self.headers["Range"][len("bytes=") : -1])
        if start and start >= len(self.content):
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if start else self.status)
        self.send_header("Content-Type", self.kind)
        self.send_header("Content-Length", str(len(body) if self.length is None else self.length))
        if self.etag:
            self.send_header("ETag", self.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()
        self.wfile.write(body[: self.cut] if self.cut else body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0)
    handler = type("Handler", (Server,), {"asked": []})
    with serve(handler) as address:
        handler.address = f"{address}/weights.pth"
        yield handler


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "weights.pth"


def left(path):
    """What lies beside a file that is not there."""
    return sorted(one.name for one in path.parent.iterdir() if not one.name.endswith(".lock"))


def test_a_file_comes_whole_and_once(server, path):
    assert download(server.address, path, SHA256[:8]).read_bytes() == CONTENT
    assert left(path) == ["weights.pth"]
    download(server.address, path)
    assert server.asked == [None]


def test_connections_that_are_cut_are_taken_up_where_they_ended(server, path):
    server.cut = 100_000
    assert download(server.address, path, SHA256).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]
    assert left(path) == ["weights.pth"]


def test_another_run_goes_on_from_what_is_there(server, path, monkeypatch):
    server.cut = 100_000
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    with pytest.raises(CheckpointError, match=r"was cut, 100 kB of 300 kB came; the same command goes on from there"):
        download(server.address, path)
    assert left(path) == ["weights.pth.part", "weights.pth.part.json"]
    server.cut = 0
    assert download(server.address, path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize("change", ["another version", "no ranges", "no versions", "another address"])
def test_what_cannot_be_taken_up_begins_anew(change, server, path, monkeypatch):
    server.cut = 100_000
    if change == "no versions":
        server.etag = ""
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    with pytest.raises(CheckpointError, match="was cut"):
        download(server.address, path)
    server.cut = 0
    if change == "another version":
        server.etag, server.content = '"two"', CONTENT[::-1]
    elif change == "no ranges":
        server.ranges = False
    address = server.address + ("?mirror" if change == "another address" else "")
    assert download(address, path).read_bytes() == server.content


def test_a_server_that_joins_two_versions_is_not_believed(server, path, monkeypatch):
    server.cut = 100_000
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    with pytest.raises(CheckpointError, match="was cut"):
        download(server.address, path)
    server.cut, server.content = 0, CONTENT[::-1]

    def ignore_version(self):
        self.headers.replace_header("If-Range", '"two"') if self.headers["If-Range"] else None
        Server.do_GET(self)

    server.etag, server.do_GET = '"two"', ignore_version
    assert download(server.address, path).read_bytes() == CONTENT[::-1]
    assert server.asked[-2:] == ["bytes=100000-", None]


def test_more_than_the_server_has_begins_anew(server, path):
    path.parent.mkdir()
    path.with_name("weights.pth.part").write_bytes(CONTENT + b"more")
    about = f'{{"url": "{server.address}", "version": "\\"one\\""}}'
    path.with_name("weights.pth.part.json").write_text(about)
    assert download(server.address, path).read_bytes() == CONTENT


def test_a_server_that_always_cuts_at_one_place_is_given_up(server, path):
    server.cut, server.ranges = 100_000, False
    with pytest.raises(CheckpointError, match=r"weights\.pth: the connection was cut, 100 kB of 300 kB came"):
        download(server.address, path)
    assert len(server.asked) == 2 and not path.exists()


@pytest.mark.parametrize("before", [False, True])
def test_a_web_page_is_refused_and_leaves_no_trace(before, server, path, monkeypatch):
    if before:  # a hotel's sign-in page in the middle of a download
        server.cut = 100_000
        monkeypatch.setattr(downloads, "ATTEMPTS", 1)
        with pytest.raises(CheckpointError, match="was cut"):
            download(server.address, path)
        server.cut = 0
    server.kind, server.content, server.etag = "text/html; charset=utf-8", b"<html>sign in</html>", ""
    with pytest.raises(CheckpointError, match=r"sent a web page \(HTML\), not the file; open the address in a browser"):
        download(server.address, path)
    assert left(path) == (["weights.pth.part", "weights.pth.part.json"] if before else [])
    server.kind, server.content, server.etag = Server.kind, CONTENT, Server.etag
    assert download(server.address, path).read_bytes() == CONTENT


def test_another_file_is_told_by_its_hash_and_removed(server, path):
    server.content = CONTENT[::-1]
    with pytest.raises(CheckpointError, match=rf"sent another file: its SHA-256 .* published one with {SHA256[:8]}"):
        download(server.address, path, SHA256[:8])
    assert left(path) == []


def test_a_file_that_is_not_there_and_a_server_that_is_not(server, path):
    server.status = 404
    server.do_GET = lambda self: self.send_error(404)
    with pytest.raises(NotThere, match=r"the server says 404 \(Not Found\)"):
        download(server.address, path)
    server.do_GET = lambda self: self.send_error(503)
    with pytest.raises(CheckpointError, match="the server says 503"):
        download(server.address, path)
    with pytest.raises(CheckpointError, match=r"the connection failed \(Connection refused\)"):
        download("http://127.0.0.1:9/weights.pth", path)
    assert left(path) == []


def test_passwords_in_an_address_are_sent_and_not_shown(server, path):
    seen = []

    def refuse(self):
        seen.append(self.headers.get("Authorization"))
        self.send_error(403)

    server.do_GET = refuse
    with pytest.raises(CheckpointError, match="says 403") as refused:
        download(server.address.replace("//", "//me:secret@"), path)
    assert seen[0].startswith("Basic ") and "secret" not in str(refused.value)


def test_a_full_disk_is_told_and_given_its_room_back(server, path, monkeypatch):
    usage = downloads.shutil.disk_usage(path.parent.parent)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(CheckpointError, match=r"could not be written: disk full \(1 kB free, 300 kB needed\)"):
        download(server.address, path)
    assert left(path) == []


def test_a_place_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"could not be written: .*file is a file, not a folder"):
        download(server.address, tmp_path / "file" / "weights.pth")


def test_a_process_waits_for_another_one_and_fetches_nothing(server, path):
    slow, gate = server.do_GET, threading.Event()

    def wait(self):
        gate.wait(20)
        slow(self)

    server.do_GET = wait
    code = "import sys; from pathlib import Path; from hrtoolkit.downloads import download; "
    code += "print(len(download(sys.argv[1], Path(sys.argv[2])).read_bytes()))"
    command = [sys.executable, "-c", code, server.address, str(path)]
    processes = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    threading.Timer(2.0, gate.set).start()
    assert [one.communicate(timeout=60)[0].strip() for one in processes] == ["300000", "300000"]
    assert server.asked == [None] and left(path) == ["weights.pth"]
