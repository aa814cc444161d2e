"""The parts of Db2's wire protocol (DRDA) that the shim has to know: framing, and three rewrites.

A stream is a sequence of DSSs (data stream structures). Each begins with its length (2 bytes), the
byte 0xD0, a format byte and a correlation number (2 bytes); then come objects, each with length and
code point (2 bytes each). A DSS of more than 32767 bytes goes on in segments with a length of their
own, announced by the highest bit of the length before.

Only the header of a DSS and the code point of its first object are looked at. Rows travel as the
contents of objects, so nothing in them can be taken for protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, pack, unpack_from
from struct import error as TooShort
from typing import Callable, NamedTuple

# Code points: requests of a driver.
ACCRDB = 0x2001  # opens a database
EXCSQLSTT = 0x200B  # executes a prepared statement
RDBCMM = 0x200E  # commit
RDBRLLBCK = 0x200F  # rollback
# Answers of a server.
ACCRDBRM = 0x2201  # the database is open
ENDUOWRM = 0x220C  # a transaction has ended
SQLCARD = 0x2408  # how a statement ended, with the error's words
# Parameters inside these.
PRDID = 0x112E  # the product that asks, and its version
TYPDEFOVR = 0x0035  # code pages
CODE_PAGES = frozenset({0x119C, 0x119D, 0x119E, 0x1913})  # what may stand in a TYPDEFOVR

_MAGIC = 0xD0
_DSS_HEADER_BYTES = 6
_OBJECT_HEADER_BYTES = 4
_HEADERS_BYTES = _DSS_HEADER_BYTES + _OBJECT_HEADER_BYTES
# The headers of a DSS and of its first object: length and 0xD0 of the one, code point of the other.
_HEADERS = Struct(">HB5xH")
_SEGMENT_HEADER = Struct(">H")
_CONTINUED = 0x8000
# Of the format byte: another DSS of the same chain follows. A side that has sent a chain waits for
# the other one's.
_FORMAT_OFFSET = 3
_CHAINED = 0x40

# The field for an error's words in an SQLCA is this long. The driver drops the connection, or
# crashes, when a server sends more.
SQLCA_WORDS_BYTES = 70


class Piece(NamedTuple):
    """Some bytes of a stream."""

    # Of the DSS with which the piece begins, if it is one of those asked for; otherwise None.
    code_point: int | None
    data: bytes
    # Whether a chain ends with it. What is no DSS ends one always.
    ends_chain: bool = False


class Frames:
    """Cuts a stream into pieces. Joined, they are what was put in, however that came in parts.

    A piece begins at each DSS whose code point is in `marks`. Those in `whole` are given out only
    when they are complete, and end with their piece.
    """

    def __init__(self, marks: frozenset[int], whole: frozenset[int]) -> None:
        self._marks = marks | whole
        self._whole = whole
        self._held = b""  # the beginning of a header, or of a DSS that is to be whole
        self._skip = 0  # bytes left of the segment in which the stream is
        self._continued = False  # another segment follows it
        self._chained = False  # another DSS follows it
        self.lost = False  # what came was no DSS: from there on everything is passed on unread

    def feed(self, data: bytes) -> list[Piece]:
        """Takes the next bytes, and gives what can be passed on now."""
        buffer = self._held + data if self._held else data
        size = len(buffer)
        pieces: list[Piece] = []
        start = at = 0
        mark: int | None = None
        while not self.lost:
            if self._skip > size - at:
                self._skip -= size - at
                at = size
                break
            at += self._skip
            self._skip = 0
            if self._continued:
                if size - at < _SEGMENT_HEADER.size:
                    break
                (length,) = _SEGMENT_HEADER.unpack_from(buffer, at)
                self._begin(length, _SEGMENT_HEADER.size)
                continue
            if size - at < _HEADERS.size:
                break
            length, magic, code_point = _HEADERS.unpack_from(buffer, at)
            is_whole = code_point in self._whole and length < _CONTINUED and magic == _MAGIC
            if is_whole and size - at < length:
                break
            was_chained, self._chained = self._chained, bool(buffer[at + _FORMAT_OFFSET] & _CHAINED)
            if not self._begin(length, _HEADERS.size, magic) or code_point not in self._marks:
                continue
            if at > start:
                pieces.append(Piece(mark, buffer[start:at], not was_chained))
            start, mark = at, code_point
            if is_whole:
                at += self._skip
                self._skip = 0
                pieces.append(Piece(mark, buffer[start:at], not self._chained))
                start, mark = at, None
        if self.lost:
            at = size
        if at > start:
            is_inside = self._skip or self._continued or self._chained
            pieces.append(Piece(mark, buffer[start:at], self.lost or not is_inside))
        self._held = buffer[at:]
        return pieces

    def _begin(self, length: int, least: int, magic: int = _MAGIC) -> bool:
        """A segment begins; false if it cannot be one."""
        self._continued = length >= _CONTINUED
        self._skip = length & ~_CONTINUED
        self.lost = self._skip < least or magic != _MAGIC
        return not self.lost

    def end(self) -> bytes:
        """What is left when the stream has ended inside a header or a DSS that was to be whole."""
        held, self._held = self._held, b""
        return held


class Requests:
    """The stream of a driver. Changed is the product's name in the first ACCRDB, and nothing else:
    statements and rows come later."""

    MARKS = frozenset({EXCSQLSTT, RDBCMM, RDBRLLBCK})

    def __init__(self, product: str) -> None:
        self._frames = Frames(self.MARKS, frozenset({ACCRDB}))
        self._product = product
        self._opened = False

    @property
    def lost(self) -> bool:
        """Whether the framing was lost."""
        return self._frames.lost

    def feed(self, data: bytes) -> list[Piece]:
        """Takes the next bytes, and gives what can be passed on now."""
        pieces = self._frames.feed(data)
        for at, piece in enumerate(pieces):
            if piece.code_point == ACCRDB and not self._opened:
                self._opened = True
                pieces[at] = piece._replace(data=name_product(piece.data, self._product))
        return pieces

    def end(self) -> bytes:
        """What is left at the end of the stream."""
        return self._frames.end()


class Answers:
    """The stream of a server, with ACCRDBRM and SQLCARD rewritten for the driver."""

    def __init__(self) -> None:
        self._frames = Frames(frozenset({ENDUOWRM}), frozenset({ACCRDBRM, SQLCARD}))

    @property
    def lost(self) -> bool:
        """Whether the framing was lost."""
        return self._frames.lost

    def feed(self, data: bytes) -> list[Piece]:
        """Takes the next bytes, and gives what can be passed on now."""
        return [_rewritten(piece) for piece in self._frames.feed(data)]

    def end(self) -> bytes:
        """What is left at the end of the stream."""
        return self._frames.end()


def _rewritten(piece: Piece) -> Piece:
    if piece.code_point == SQLCARD:
        return piece._replace(data=shorten_words(piece.data))
    if piece.code_point == ACCRDBRM:
        return piece._replace(data=lift_from_code_pages(piece.data))
    return piece


def name_product(dss: bytes, product: str) -> bytes:
    """An ACCRDB in which a Db2 driver calls itself `product`.

    Derby knows the products DNC (its own driver) and JCC; it answers a driver that calls itself
    SQL in a form that this driver does not read. The name is in ASCII or EBCDIC.
    """

    def change(code_point: int, content: bytes) -> bytes:
        if code_point == PRDID:
            for encoding in ("ascii", "cp500"):
                if content.startswith("SQL".encode(encoding)):
                    content = product.encode(encoding)
                    break
        return _object(code_point, content)

    return _with_objects(dss, change)


def lift_from_code_pages(dss: bytes) -> bytes:
    """An ACCRDBRM in which a TYPDEFOVR holds code pages only.

    Derby writes the parameters that follow it into it. They are put behind it.
    """

    def change(code_point: int, content: bytes) -> bytes:
        if code_point != TYPDEFOVR:
            return _object(code_point, content)
        pages = lifted = b""
        for inner, value in _objects(content):
            if inner in CODE_PAGES:
                pages += _object(inner, value)
            else:
                lifted += _object(inner, value)
        return _object(code_point, pages) + lifted

    return _with_objects(dss, change)


def shorten_words(dss: bytes) -> bytes:
    """An SQLCARD whose words fit an SQLCA; a character of UTF-8 is not cut in two.

    Behind the flag for "there is one" come SQLCODE 4, SQLSTATE 5, SQLERRP 8, a flag for "there is
    more", SQLERRD 24, SQLWARN 11, then three texts with lengths: the database's name, the words in
    a mixed code page and those in a single-byte one, of which one is empty.
    """
    body = _first_object(dss)
    if body is None or len(body) < 56 or body[0] != 0 or body[18] != 0:
        return dss
    try:
        (name,) = unpack_from(">H", body, 54)
        at = 56 + name
        (mixed,) = unpack_from(">H", body, at)
        (single,) = unpack_from(">H", body, at + 2 + mixed)
    except TooShort:
        return dss
    end = at + 4 + mixed + single
    words = body[at + 2 : at + 2 + mixed] or body[at + 4 : end]
    if len(words) <= SQLCA_WORDS_BYTES or end > len(body):
        return dss
    cut = SQLCA_WORDS_BYTES
    while cut > 1 and words[cut] & 0xC0 == 0x80:
        cut -= 1
    text, none = pack(">H", cut) + words[:cut], pack(">H", 0)
    fields = text + none if mixed else none + text
    return _with_first_object(dss, body[:at] + fields + body[end:])


def _object(code_point: int, content: bytes) -> bytes:
    return pack(">HH", len(content) + _OBJECT_HEADER_BYTES, code_point) + content


def _objects(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        length, code_point = unpack_from(">HH", content, at)
        # A length with the highest bit is that of an object of more than 32767 bytes.
        if length < _OBJECT_HEADER_BYTES or at + length > len(content):
            raise ValueError("an object that does not lie within its parent")
        yield code_point, content[at + _OBJECT_HEADER_BYTES : at + length]
        at += length


def _first_object(dss: bytes) -> bytes | None:
    (length,) = unpack_from(">H", dss, _DSS_HEADER_BYTES)
    end = _DSS_HEADER_BYTES + length
    if length < _OBJECT_HEADER_BYTES or end > len(dss):
        return None
    return dss[_HEADERS_BYTES:end]


def _with_first_object(dss: bytes, content: bytes) -> bytes:
    (length,) = unpack_from(">H", dss, _DSS_HEADER_BYTES)
    (code_point,) = unpack_from(">H", dss, 8)
    rest = dss[_DSS_HEADER_BYTES + length :]
    new = _object(code_point, content) + rest
    return pack(">H", _DSS_HEADER_BYTES + len(new)) + dss[2:_DSS_HEADER_BYTES] + new


def _with_objects(dss: bytes, change: Callable[[int, bytes], bytes]) -> bytes:
    """The DSS with each object inside its first one changed; as it is when it is not understood."""
    body = _first_object(dss)
    if body is None:
        return dss
    try:
        return _with_first_object(dss, b"".join(change(*inner) for inner in _objects(body)))
    except (ValueError, TooShort):
        return dss
