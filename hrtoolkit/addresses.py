"""Files by their address: fetched with limits of time and size, and called without the password in it."""

from __future__ import annotations

import base64
import http.client
import re
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from threading import Thread
from typing import IO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from hrtoolkit.errors import DataError

LIMIT_SECONDS = 30  # for all of it
LIMIT_BYTES = 2**30
IN_MEMORY = 2**25  # bytes; a larger file is kept on the disk while it is read
ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
LIVE = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "mmsh", "mmst"}
SECRET = re.compile(
    r"((?:pass(?:word|wd)?|pwd|token|secret|key|sig(?:nature)?|auth|credential)=)[^&\s/]+", re.IGNORECASE
)
VIDEO_SITES = re.compile(
    r"(^|\.)(youtube\.com|youtu\.be|youtube-nocookie\.com|vimeo\.com|tiktok\.com|dailymotion\.com|twitch\.tv|"
    r"bilibili\.com|facebook\.com|instagram\.com|x\.com|twitter\.com)$"
)


def scheme_of(text: str) -> str:
    """The scheme of an address in lower case; "" for what is none."""
    found = ADDRESS.match(text)
    return found[1].lower() if found else ""


def without_secrets(address: str) -> str:
    """The address as messages and results may show it: without user and password, secret values as ***."""
    try:
        parts = urlsplit(address)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        shown = re.sub(r"//[^/]*@", "//", address)
    return SECRET.sub(r"\1***", shown)


def fetch(address: str) -> IO[bytes]:
    """Download a file into a temporary one, which is gone when it is closed. Redirects are followed.

    Raises:
        DataError: it is not there, not whole, too large or too slow, or the page of a video site.
    """
    name = without_secrets(address)
    if VIDEO_SITES.search(urlsplit(name).hostname or ""):
        raise DataError(
            f"{name}: a page of a video site; download the video first (with yt-dlp, say) and give the file"
        )
    box: Future[IO[bytes]] = Future()

    def work() -> None:
        try:
            box.set_result(_download(address, name))
        except BaseException as error:
            box.set_exception(error)

    # Name look-up and headers have no limit of their own in Python: a thread is left behind where they hang.
    Thread(target=work, name="fetch", daemon=True).start()
    try:
        return box.result(LIMIT_SECONDS)
    except FutureTimeoutError:
        raise DataError(
            f"{name}: too slow, not there after {LIMIT_SECONDS} seconds; download it first and give the file"
        ) from None


def _download(address: str, name: str) -> IO[bytes]:
    deadline = time.monotonic() + LIMIT_SECONDS
    try:
        with urllib.request.urlopen(make_request(address), timeout=LIMIT_SECONDS) as response:
            promised = response.headers.get("Content-Length")
            promised = int(promised) if promised and promised.isdigit() else None
            if response.headers.get_content_type() == "multipart/x-mixed-replace":
                raise DataError(f"{name}: a live stream over HTTP, which is not read; give the camera's rtsp address")
            return _save(response, name, promised, deadline)
    except urllib.error.HTTPError as error:
        what = "redirects in a loop" if 300 <= error.code < 400 else f"the server says {error.code} ({error.reason})"
        raise DataError(f"{name}: {what}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(f"{name}: the connection failed ({reason_of(error)})") from None


def reason_of(error: Exception) -> str:
    """What a failed connection says of itself, in the words of the system."""
    reason = getattr(error, "reason", None) or error
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def make_request(address: str) -> urllib.request.Request:
    """A request for a file; its user and password are not sent to where a redirect leads."""
    parts = urlsplit(address.strip())
    login, _, host = parts.netloc.rpartition("@")
    plain = urlunsplit(parts._replace(netloc=host, fragment=""))
    request = urllib.request.Request(quote(plain, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "hrtoolkit"})
    if login:
        token = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _save(response: http.client.HTTPResponse, name: str, promised: int | None, deadline: float) -> IO[bytes]:
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  whoever reads it closes it
    size = promised or 0
    received = 0
    while size <= LIMIT_BYTES and time.monotonic() < deadline:
        chunk = response.read1(2**16)
        if not chunk:
            if promised is not None and received < promised:
                break
            file.seek(0)
            return file
        file.write(chunk)
        received += len(chunk)
        size = max(size, received)
    file.close()
    if size > LIMIT_BYTES:
        raise DataError(f"{name}: too large ({size:,} bytes, and the limit is {LIMIT_BYTES:,}); download it first")
    if time.monotonic() >= deadline:
        raise DataError(f"{name}: too slow, {received:,} bytes in {LIMIT_SECONDS} seconds; download it first")
    raise DataError(f"{name}: the connection was cut, {received:,} of {promised:,} bytes came; try again")
