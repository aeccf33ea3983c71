"""Images of messages: read from files and data, looked at before anything is sent, and counted.

What a provider takes an image for depends on its size. Anthropic counts a token for each 750
pixels, and up to 4,784; OpenAI 85 and 170 for each tile of 512 pixels of what it scales the image
to; Gemini 258 for each tile of 768. The most of these is what an image is expected to take, until
the first answer shows that a model counts otherwise.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from penstock.errors import RunFault
from penstock.models.chat_model import ChatMessage, Image
from penstock.models.prompts.image_heads import head_of

__all__ = [
    "ImageData",
    "ImageError",
    "ImageFile",
    "ImageFiles",
    "data_of",
    "image_tokens",
    "message_with_data",
]

_MOST_BYTES = 20 * 2**20
_MOST_HELD_BYTES = 64 * 2**20
_HEAD_BYTES = 2**16
"""What says of which type and size an image is stands in the beginning of its file."""

_LONGEST_HEAD = 100
_UNKNOWN_TOKENS = 1600
_MOST_TOKENS = 4784


class ImageError(RunFault, ValueError):
    """An image that cannot be sent; another attempt would end alike."""

    retryable = False


class ImageData(NamedTuple):
    """What the data of an image are; its width and height are 0 where they cannot be read."""

    media_type: str
    size_bytes: int
    width: int = 0
    height: int = 0


class ImageFile(NamedTuple):
    """A file that a prompt shows."""

    source: str
    """What the prompt says: a path."""

    changed_at_s: float
    """When it was last written, replaced or renamed, in seconds since 1970."""

    url: Callable[[], str]
    """Reads its data; see `ImageFiles.url`."""


class ImageFiles:
    """Reads the images that messages name; the last ones read are held.

    Args:
        resolve: Gives the file of a path.
    """

    def __init__(self, resolve: Callable[[str], Path] = Path) -> None:
        self._resolve = resolve
        self._held: dict[tuple[str, int, int], str] = {}
        self._held_bytes = 0

    def url(self, source: str) -> str:
        """Return the address or the data of an image.

        Args:
            source: A path, an http(s) address, data as ``data:image/png;base64,...``, or the
                base64 alone.

        Raises:
            ImageError: there is no such file, or it is not an image that can be sent.
        """
        if _ADDRESS.match(source):
            return source

        if source.startswith("data:"):
            _checked(source)
            return source

        path = self._file(source)
        if path is None:
            return _of_base64(source)

        try:
            found = path.stat()
        except OSError:
            _look_at(path)  # raises what is wrong with it
            raise

        key = str(path), found.st_size, found.st_mtime_ns
        if key not in self._held:
            self._hold(key, _read(path))

        return self._held[key]

    def file(self, source: str) -> ImageFile | None:
        """Return the file of an image; None where it is an address or data, or is not there."""
        if _ADDRESS.match(source) or source.startswith("data:"):
            return None

        try:
            path = self._file(source)
            found = None if path is None else path.stat()
        except (ImageError, OSError):
            return None

        return (
            None if found is None else ImageFile(source, found.st_ctime, partial(self.url, source))
        )

    def check(self, source: str) -> None:
        """See that an image can be sent, without reading all of its file.

        Raises:
            ImageError: see `url`.
        """
        path = None if _ADDRESS.match(source) or source.startswith("data:") else self._file(source)
        if path is None:
            self.url(source)
        else:
            _look_at(path)

    def _file(self, source: str) -> Path | None:
        """Return the file that a source names; None where the source is the image itself."""
        if not source.strip():
            raise ImageError("the image is an empty text; for none give null or an empty list")

        if _OTHER_ADDRESS.match(source):
            raise ImageError(f"the image {source[:80]!r} is neither a path nor an https address")

        is_data = len(source) >= _LEAST_BASE64 and _BASE64.fullmatch(source)
        try:
            path = self._resolve(source)
            if path.is_file() or not is_data:
                return path
        except (OSError, ValueError):  # too long for a name, or not one
            if not is_data:
                raise ImageError(f"the image {source[:80]!r} cannot be a file") from None

        return None

    def _hold(self, key: tuple[str, int, int], url: str) -> None:
        while self._held and self._held_bytes + len(url) > _MOST_HELD_BYTES:
            first = next(iter(self._held))
            self._held_bytes -= len(self._held.pop(first))

        self._held[key] = url
        self._held_bytes += len(url)


_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_OTHER_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")
_LEAST_BASE64 = 64


def message_with_data(message: ChatMessage, images: ImageFiles) -> ChatMessage:
    """Put the data of files in place of their paths.

    Raises:
        ImageError: an image cannot be sent.
    """
    if not message.images:
        return message

    content = tuple(
        part.model_copy(update={"url": images.url(part.url)}) if isinstance(part, Image) else part
        for part in message.content
    )
    return message.model_copy(update={"content": content})


def image_tokens(url: str) -> int:
    """Estimate how many tokens an image is; rather too many than too few.

    Args:
        url: Its data, or an address of which nothing is known.
    """
    found = data_of(url)
    if found is None or not found.width:
        return _UNKNOWN_TOKENS

    width, height = found.width, found.height
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (scale * min(width, height)))
    tiles = _tiles(width * scale, 512) * _tiles(height * scale, 512)
    by_area = min(-(-width * height // 750), _MOST_TOKENS)
    return max(85 + 170 * tiles, by_area)


def _tiles(length: float, of: int) -> int:
    return max(1, -(-round(length) // of))


def data_of(url: str) -> ImageData | None:
    """Read what the data of an image are; None for an address."""
    return _checked(url) if url.startswith("data:") else None


def _read(path: Path) -> str:
    found = _look_at(path)
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{found.media_type};base64,{data}"


def _look_at(path: Path) -> ImageData:
    """Read the beginning of a file.

    Raises:
        ImageError: it is not an image that can be sent.
    """
    what = f"the image {path}"
    try:
        if path.is_fifo() or path.is_char_device():  # to read one may wait for ever
            raise ImageError(f"{what} is not a file")

        with path.open("rb") as file:
            return _described(what, file.read(_HEAD_BYTES), path.stat().st_size)
    except FileNotFoundError:
        raise ImageError(f"{what} is not there") from None
    except OSError as error:
        raise ImageError(f"{what} cannot be read: {error.strerror}") from None


def _checked(url: str) -> ImageData:
    """Look at data that a text holds.

    Raises:
        ImageError: they are not an image that can be sent.
    """
    head, comma, _ = url[:_LONGEST_HEAD].partition(",")
    if not comma or not head.endswith(";base64"):
        raise ImageError("the data of an image are written as data:image/png;base64,...")

    begun = len(head) + 1
    size_bytes = (len(url) - begun) * 3 // 4 - url[-2:].count("=")
    found = _described("the image in data:", _decoded(url[begun : begun + _HEAD_BYTES]), size_bytes)
    said = head.removeprefix("data:").removesuffix(";base64")
    if said != found.media_type:
        raise ImageError(f"the image in data: says {said!r} and is {found.media_type!r}")

    return found


def _of_base64(source: str) -> str:
    data = "".join(source.split())
    found = _described("the image in base64", _decoded(data[:_HEAD_BYTES]), len(data) * 3 // 4)
    return f"data:{found.media_type};base64,{data}"


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"the data of an image are not base64: {error}") from None


def _described(what: str, head: bytes, size_bytes: int) -> ImageData:
    if size_bytes > _MOST_BYTES:
        most = f"{_MOST_BYTES // 2**20} MiB"
        raise ImageError(f"{what} has {size_bytes:,} bytes; at most {most} are sent")

    found = head_of(head)
    if found is not None:
        return ImageData(found.media_type, size_bytes, found.width, found.height)

    kind = "is empty" if not size_bytes else "is neither PNG nor JPEG, GIF or WebP"
    raise ImageError(f"{what} {kind}; providers take only those")
