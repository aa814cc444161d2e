#!/usr/bin/env python3
"""Tests of the shim: the streams it passes on, and the faults it makes. They need no server.

    tests/rig/tests.py [NAME...]
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import unittest
from struct import pack

import drda
import drda_shim
import faults

QRYDTA = 0x241B  # rows of an answer
SQLDTA = 0x2412  # rows of a request
SECONDS = 5  # more than anything here takes; running out of it is a failure


def dss(code_point: int, content: bytes = b"", correlation: int = 1) -> bytes:
    """One DSS with one object."""
    return pack(">HBBHHH", len(content) + 10, 0xD0, 1, correlation, len(content) + 4,
                code_point) + content


def chained(request: bytes) -> bytes:
    """The same DSS, with another one of its chain behind it."""
    return request[:3] + bytes([request[3] | 0x40]) + request[4:]


def segmented(code_point: int, content: bytes) -> bytes:
    """One DSS of several segments; the object's length is in extended form."""
    body = pack(">HHI", 0x8008, code_point, len(content)) + content
    first, rest = body[:32761], body[32761:]
    out = pack(">HBBH", 0x8000 | 32767, 0xD0, 1, 1) + first
    while rest:
        part, rest = rest[:32765], rest[32765:]
        out += pack(">H", (0x8000 if rest else 0) | len(part) + 2) + part
    return out


def accrdb(product: bytes) -> bytes:
    """A request to open a database."""
    return dss(drda.ACCRDB, obj(0x210F, b"\x24\x07") + obj(drda.PRDID, product)
               + obj(0x2110, b"FASTLOAD"))


def sqlcard(words: bytes, mixed: bool = True, state: bytes = b"22001") -> bytes:
    """The end of a statement, with words."""
    text, none = pack(">H", len(words)) + words, pack(">H", 0)
    return dss(drda.SQLCARD, b"\0" + pack(">i", -20001) + state + b"CSS10140" + b"\0" + bytes(35)
               + pack(">H", 2) + b"DB" + (text + none if mixed else none + text) + b"\xff")


def obj(code_point: int, content: bytes) -> bytes:
    """One object."""
    return pack(">HH", len(content) + 4, code_point) + content


def chunks(stream: bytes, rng: random.Random) -> list[bytes]:
    """The stream in parts of any size, small ones more often."""
    parts, at = [], 0
    while at < len(stream):
        size = rng.choice((1, 2, 3, 9, 10, 11, 100, 5000, 40000))
        parts.append(stream[at : at + size])
        at += size
    return parts


def hostile(rng: random.Random, size: int) -> bytes:
    """Row data in which protocol stands: whole requests, answers, and beginnings of them."""
    parts = [accrdb(b"SQL12014"), sqlcard(b"x" * 200), dss(drda.RDBCMM), dss(drda.ENDUOWRM),
             b"SQL12014", b"\xd0", b"\0\x0a", bytes(9), pack(">H", drda.ACCRDBRM)]
    out = b""
    while len(out) < size:
        out += rng.choice(parts)
    return out[:size]


def a_stream(rng: random.Random) -> bytes:
    """Some DSSs of a driver after its ACCRDB: statements, rows, ends of transactions."""
    out = b""
    for _ in range(rng.randrange(1, 12)):
        kind = rng.randrange(6)
        if kind == 0:
            out += segmented(SQLDTA, hostile(rng, rng.choice((32700, 32768, 65536, 100_000))))
        elif kind == 1:
            out += dss(rng.choice((drda.RDBCMM, drda.RDBRLLBCK)))
        else:
            out += dss(drda.EXCSQLSTT, hostile(rng, rng.randrange(60)))
            out += dss(SQLDTA, hostile(rng, rng.randrange(600)))
    return out


def fed(stream: drda.Requests | drda.Answers | drda.Frames, parts: list[bytes]) -> list[drda.Piece]:
    """What comes out, the part held back at the end included."""
    pieces = [piece for part in parts for piece in stream.feed(part)]
    return [*pieces, drda.Piece(None, stream.end())]


def joined(pieces: list[drda.Piece]) -> bytes:
    """The bytes of pieces."""
    return b"".join(piece.data for piece in pieces)


def marks(pieces: list[drda.Piece]) -> list[tuple[int, int]]:
    """Where the pieces that were asked for begin, and what they are."""
    found, at = [], 0
    for piece in pieces:
        if piece.code_point is not None:
            found.append((at, piece.code_point))
        at += len(piece.data)
    return found


class Streams(unittest.TestCase):
    """What goes through is what came in, but for three objects."""

    def test_requests_are_copied_in_whatever_parts_they_come(self) -> None:
        rng = random.Random(1)
        for case in range(200):
            rows = a_stream(rng)
            before = dss(0x1041, b"attributes") + dss(0x106D, b"login")
            at_once = fed(drda.Requests("DNC10020"), [before + accrdb(b"SQL12014") + rows])
            self.assertEqual(joined(at_once), before + accrdb(b"DNC10020") + rows, case)
            for parts in (chunks(before + accrdb(b"SQL12014") + rows, rng) for _ in range(3)):
                pieces = fed(drda.Requests("DNC10020"), parts)
                self.assertEqual(joined(pieces), joined(at_once), case)
                self.assertEqual(marks(pieces), marks(at_once), case)

    def test_every_byte_may_come_alone(self) -> None:
        rng = random.Random(2)
        long = segmented(SQLDTA, hostile(rng, 70_000))
        stream = accrdb(b"SQL12014") + a_stream(rng) + long + dss(drda.RDBCMM)
        pieces = fed(drda.Requests("DNC10020"), [stream[at : at + 1] for at in range(len(stream))])
        at_once = fed(drda.Requests("DNC10020"), [stream])
        self.assertEqual(joined(pieces), joined(at_once))
        self.assertEqual(marks(pieces), marks(at_once))

    def test_moments_are_found_where_they_are_and_not_in_rows(self) -> None:
        rng = random.Random(3)
        first, second = dss(drda.EXCSQLSTT, b"statement"), dss(SQLDTA, hostile(rng, 500))
        long = segmented(SQLDTA, hostile(rng, 100_000))
        stream = first + second + long + dss(drda.RDBCMM)
        pieces = fed(drda.Requests("DNC10020"), [stream])
        expected = [(0, drda.EXCSQLSTT), (len(first + second + long), drda.RDBCMM)]
        self.assertEqual(marks(pieces), expected)

    def test_only_the_first_accrdb_is_changed(self) -> None:
        second = accrdb(b"SQL12014")
        pieces = fed(drda.Requests("DNC10020"), [second + second])
        self.assertEqual(joined(pieces), accrdb(b"DNC10020") + second)

    def test_the_product_may_be_in_ebcdic_or_another_one(self) -> None:
        ebcdic = "SQL12014".encode("cp500")
        changed = joined(fed(drda.Requests("DNC10020"), [accrdb(ebcdic)]))
        self.assertEqual(changed, accrdb("DNC10020".encode("cp500")))
        other = accrdb(b"JCC04000")
        self.assertEqual(joined(fed(drda.Requests("DNC10020"), [other])), other)

    def test_what_is_no_dss_is_copied(self) -> None:
        rng = random.Random(4)
        for case in range(200):
            stream = a_stream(rng) + rng.randbytes(200) + hostile(rng, 400)
            if case % 3 == 0:
                stream = stream[rng.randrange(len(stream)) :]
            pieces = fed(drda.Requests("DNC10020"), chunks(stream, rng))
            self.assertEqual(joined(pieces), stream, case)
        too_short = pack(">HBBHHH", 4, 0xD0, 1, 1, 24, drda.ACCRDB) + accrdb(b"SQL12014")
        self.assertEqual(joined(fed(drda.Requests("DNC10020"), [too_short])), too_short)
        no_magic = b"\0\x30\xd1" + accrdb(b"SQL12014")[3:]
        self.assertEqual(joined(fed(drda.Requests("DNC10020"), [no_magic])), no_magic)
        lost = drda.Requests("DNC10020")
        lost.feed(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(lost.lost)
        self.assertEqual(lost.feed(b"x"), [drda.Piece(None, b"x", ends_chain=True)])

    def test_ends_of_chains_are_found(self) -> None:
        rng = random.Random(6)
        for case in range(200):
            stream, ends = b"", set()
            for _ in range(rng.randrange(1, 6)):
                for _ in range(rng.randrange(3)):
                    stream += chained(dss(rng.choice((drda.EXCSQLSTT, 0x200D)), b"s"))
                stream += dss(SQLDTA, hostile(rng, rng.randrange(600)))
                ends.add(len(stream))
            requests, at = drda.Requests("DNC10020"), 0
            for part in chunks(stream, rng):
                for piece in requests.feed(part):
                    at += len(piece.data)
                    if piece.ends_chain:
                        self.assertIn(at, ends, case)
            self.assertTrue(piece.ends_chain, case)

    def test_rows_of_an_answer_are_copied(self) -> None:
        rng = random.Random(5)
        for case in range(200):
            rows = dss(QRYDTA, hostile(rng, rng.randrange(2000)))
            rows += segmented(QRYDTA, hostile(rng, rng.randrange(32768, 90_000)))
            stream = rows + sqlcard(b"short") + rows + dss(drda.ENDUOWRM)
            pieces = fed(drda.Answers(), chunks(stream, rng))
            self.assertEqual(joined(pieces), stream, case)

    def test_nothing_waits_that_could_go_on(self) -> None:
        stream = drda.Answers()
        rows = dss(QRYDTA, bytes(1000))
        self.assertEqual(joined(stream.feed(rows[:500])), rows[:500])
        self.assertEqual(joined(stream.feed(rows[500:])), rows[500:])
        card = sqlcard(b"x")
        self.assertEqual(stream.feed(card[:-1]), [])
        self.assertEqual(joined(stream.feed(card[-1:])), card)

    def test_a_stream_may_end_anywhere(self) -> None:
        stream = dss(QRYDTA, bytes(50)) + sqlcard(b"x" * 100)
        for end in range(len(stream)):
            self.assertEqual(joined(fed(drda.Answers(), [stream[:end]])), stream[:end])


class Rewrites(unittest.TestCase):
    """The objects that are changed on their way to the driver."""

    def changed(self, stream: bytes) -> bytes:
        return joined(fed(drda.Answers(), [stream]))

    def test_words_are_cut_to_what_an_sqlca_holds(self) -> None:
        for mixed in (True, False):
            for length in (0, 1, 69, 70):
                card = sqlcard(b"w" * length, mixed)
                self.assertEqual(self.changed(card), card)
            for length in (71, 200, 30_000):
                self.assertEqual(self.changed(sqlcard(b"w" * length, mixed)),
                                 sqlcard(b"w" * 70, mixed))

    def test_a_character_is_not_cut_in_two(self) -> None:
        for before in range(66, 71):
            words = "x" * before + "\u20ac" * 10
            whole = "x" * before + "\u20ac" * ((70 - before) // 3)
            self.assertEqual(self.changed(sqlcard(words.encode())), sqlcard(whole.encode()))

    def test_an_end_without_words_or_in_another_form_is_copied(self) -> None:
        rng = random.Random(6)
        for content in (b"\xff", b"", b"\0", bytes(30), bytes(60), b"\0" * 18 + b"\xff"):
            self.assertEqual(self.changed(dss(drda.SQLCARD, content)), dss(drda.SQLCARD, content))
        for _ in range(500):
            card = bytearray(sqlcard(b"w" * 20))
            at = rng.randrange(10, len(card))
            card[at] = rng.randrange(256)
            # Another byte may make other lengths of it, but never a longer or a lost packet.
            self.assertLessEqual(len(self.changed(bytes(card))), len(card))

    def test_the_card_of_a_batch_is_changed_alone(self) -> None:
        stream = sqlcard(b"a") + sqlcard(b"w" * 100) + sqlcard(b"b")
        expected = sqlcard(b"a") + sqlcard(b"w" * 70) + sqlcard(b"b")
        self.assertEqual(self.changed(stream), expected)

    def test_parameters_are_lifted_out_of_the_code_pages(self) -> None:
        pages = obj(0x119C, b"\x04\xb8") + obj(0x119E, b"\x04\xb8")
        package, user = obj(0x2125, b"\xd5"), obj(0x11A0, b"user")
        before, after = obj(0x1149, b"\0\0"), obj(0x2103, b"after")
        answer = dss(drda.ACCRDBRM,
                     before + obj(drda.TYPDEFOVR, pages + package + user) + after)
        expected = dss(drda.ACCRDBRM,
                       before + obj(drda.TYPDEFOVR, pages) + package + user + after)
        self.assertEqual(self.changed(answer), expected)
        self.assertEqual(self.changed(expected), expected)
        broken = dss(drda.ACCRDBRM, obj(drda.TYPDEFOVR, b"\0\x09\x11\x9c"))
        self.assertEqual(self.changed(broken), broken)


class Rules(unittest.TestCase):
    """The words of a fault, and when it is due."""

    def due(self, words: str, moments: list[tuple[str, int]]) -> list[int]:
        rule = faults.parse(words.split())
        return [at for at, moment in enumerate(moments) if rule.reached(*moment)]

    def test_a_moment_is_counted_over_all_connections(self) -> None:
        moments = [("commit", 1), ("statement", 1), ("statement", 2), ("statement", 1)]
        self.assertEqual(self.due("reset statement 2", moments * 2), [2])
        self.assertEqual(self.due("reset commit", moments * 2), [0])

    def test_each_connection_or_one(self) -> None:
        moments = [("commit", 1), ("commit", 2), ("commit", 1), ("commit", 2), ("commit", 2)]
        self.assertEqual(self.due("reset commit each", moments), [0, 1])
        self.assertEqual(self.due("close commit 2 each", moments), [2, 3])
        self.assertEqual(self.due("hold commit 3 on 2", moments), [4])
        self.assertEqual(self.due("delay 20 commit on 2", moments), [1])

    def test_what_is_not_understood_is_refused(self) -> None:
        for words in ("", "explode", "reset never", "delay", "delay x", "reset commit on",
                      "reset commit 0", "reset commit 1 2", "reset commit each on 2"):
            with self.assertRaises(ValueError, msg=words):
                faults.parse(words.split())


class FakeServer:
    """Keeps what it gets; answers a statement with SQLCARD, a commit with ENDUOWRM."""

    def __init__(self) -> None:
        self.received = b""
        self.beginnings = self.endings = 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, drda_shim.HOST, 0)
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.beginnings += 1
        try:
            while data := await reader.read(1 << 16):
                self.received += data
                for piece in drda.Requests("").feed(data):
                    if piece.data.endswith(b"die"):
                        drda_shim.reset(writer)
                    elif piece.code_point == drda.EXCSQLSTT:
                        writer.write(sqlcard(b"w" * 100))
                    elif piece.code_point in (drda.RDBCMM, drda.RDBRLLBCK):
                        writer.write(dss(drda.ENDUOWRM) + sqlcard(b""))
        except OSError:
            pass
        self.endings += 1
        writer.close()

    async def close(self) -> None:
        self._server.close()
        async with asyncio.timeout(SECONDS):
            while self.endings < self.beginnings:
                await asyncio.sleep(0.01)


class Faults(unittest.IsolatedAsyncioTestCase):
    """A driver, the shim, a server, and what arrives."""

    async def asyncSetUp(self) -> None:
        self.errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.errors.append(context))
        self.writers: list[asyncio.StreamWriter] = []
        self.server = FakeServer()
        self.shim = drda_shim.Shim(await self.server.start(), "DNC10020")
        self.port = await self.shim.listen(0)
        self.control_port = await self.shim.control(0)

    async def asyncTearDown(self) -> None:
        for writer in self.writers:
            writer.close()
        await self.shim.close()
        await self.server.close()
        self.assertEqual(self.errors, [])

    async def tell(self, line: str) -> str:
        reader, writer = await asyncio.open_connection(drda_shim.HOST, self.control_port)
        writer.write(line.encode() + b"\n")
        answer = (await asyncio.wait_for(reader.readline(), SECONDS)).decode().strip()
        writer.close()
        return answer

    async def told(self, line: str) -> str:
        answer = await self.tell(line)
        self.assertTrue(answer.startswith("ok"), answer)
        return answer[2:].strip()

    async def stats(self) -> dict[str, int]:
        return json.loads(await self.told("stats"))

    async def eventually(self, name: str, value: int) -> None:
        async with asyncio.timeout(SECONDS):
            while (await self.stats())[name] != value:
                await asyncio.sleep(0.01)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(drda_shim.HOST, self.port)
        self.writers.append(writer)
        return reader, writer

    async def ask(self, driver: tuple[asyncio.StreamReader, asyncio.StreamWriter],
                  request: bytes, answer: bytes) -> None:
        driver[1].write(request)
        got = await asyncio.wait_for(driver[0].readexactly(len(answer)), SECONDS)
        self.assertEqual(got, answer)

    async def ends(self, driver: tuple[asyncio.StreamReader, asyncio.StreamWriter],
                   abruptly: bool) -> None:
        if abruptly:
            with self.assertRaises(ConnectionResetError):
                await asyncio.wait_for(driver[0].read(), SECONDS)
        else:
            self.assertEqual(await asyncio.wait_for(driver[0].read(), SECONDS), b"")

    async def received(self, data: bytes) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.server.received) < len(data):
                await asyncio.sleep(0.01)
        self.assertEqual(self.server.received, data)

    STATEMENT = dss(drda.EXCSQLSTT, b"s") + dss(SQLDTA, accrdb(b"SQL12014"))
    CARD = sqlcard(b"w" * 70)
    COMMIT = dss(drda.RDBCMM)
    DONE = dss(drda.ENDUOWRM) + sqlcard(b"")

    async def test_a_connection_in_peace(self) -> None:
        driver = await self.connect()
        await self.ask(driver, self.STATEMENT, self.CARD)
        await self.ask(driver, self.COMMIT, self.DONE)
        await self.ask(driver, dss(drda.RDBRLLBCK), self.DONE)
        driver[1].close()
        await self.eventually("open", 0)
        stats = await self.stats()
        for name in ("connections", "statements", "commits", "commits_answered", "rollbacks"):
            self.assertEqual(stats[name], 1, name)
        self.assertEqual(stats["unread"], 0)
        expected = self.STATEMENT + self.COMMIT + dss(drda.RDBRLLBCK)
        self.assertEqual(self.server.received, expected)

    async def test_what_came_together_goes_on_in_its_order(self) -> None:
        sent = b"".join(dss(drda.EXCSQLSTT, b"%d" % number) + dss(SQLDTA, b"row %d" % number)
                        for number in range(1000))
        driver = await self.connect()
        await self.ask(driver, sent, self.CARD * 1000)
        self.assertEqual(self.server.received, sent)

    async def test_what_came_before_a_moment_goes_on_before_it(self) -> None:
        await self.told("hold statement 3")
        driver = await self.connect()
        driver[1].write(self.STATEMENT * 4)
        await self.eventually("held", 1)
        await self.received(self.STATEMENT * 2)
        await self.told("release")
        await self.received(self.STATEMENT * 4)

    async def test_a_cut_before_a_statement(self) -> None:
        for action, abruptly in (("reset", True), ("close", False)):
            self.server.received = b""
            await self.told(f"{action} statement 3")
            driver = await self.connect()
            await self.ask(driver, self.STATEMENT, self.CARD)
            driver[1].write(self.STATEMENT * 2)
            with self.subTest(action):
                # The second statement's answer may or may not get out before the cut.
                try:
                    self.assertIn(await asyncio.wait_for(driver[0].read(), SECONDS),
                                  (b"", self.CARD))
                    self.assertFalse(abruptly)
                except ConnectionResetError:
                    self.assertTrue(abruptly)
                self.assertIn(self.server.received, (self.STATEMENT, self.STATEMENT * 2))
        self.assertEqual((await self.stats())["faults"], 2)
        await self.ask(await self.connect(), self.STATEMENT, self.CARD)

    async def test_a_driver_that_dies_inside_a_chain(self) -> None:
        chain = chained(dss(drda.EXCSQLSTT, b"s")) + dss(SQLDTA, b"row" * 1000)
        for length in (5, len(chain) // 2, len(chain) - 1):
            self.server.received = b""
            driver = await self.connect()
            await self.ask(driver, self.STATEMENT, self.CARD)
            driver[1].write(chain[:length])
            await driver[1].drain()
            drda_shim.reset(driver[1])
            await self.eventually("open", 0)
            self.assertEqual(self.server.received, self.STATEMENT)

    async def test_a_cut_before_the_commit_reaches_the_server(self) -> None:
        await self.told("reset commit")
        driver = await self.connect()
        await self.ask(driver, self.STATEMENT, self.CARD)
        driver[1].write(self.COMMIT)
        await self.ends(driver, abruptly=True)
        await self.eventually("open", 0)
        self.assertEqual(self.server.received, self.STATEMENT)
        stats = await self.stats()
        self.assertEqual((stats["commits"], stats["commits_answered"]), (1, 0))

    async def test_a_cut_when_the_server_has_committed(self) -> None:
        await self.told("reset committed 2")
        driver = await self.connect()
        await self.ask(driver, self.COMMIT, self.DONE)
        driver[1].write(self.COMMIT)
        await self.ends(driver, abruptly=True)
        self.assertEqual(self.server.received, self.COMMIT * 2)
        self.assertEqual((await self.stats())["commits_answered"], 2)

    async def test_a_rollback_is_no_commit(self) -> None:
        await self.told("reset committed")
        driver = await self.connect()
        await self.ask(driver, dss(drda.RDBRLLBCK), self.DONE)
        self.assertEqual((await self.stats())["faults"], 0)

    async def test_a_hold_and_a_release(self) -> None:
        driver, other = await self.connect(), await self.connect()
        await self.told("hold statement")
        driver[1].write(self.STATEMENT)
        await self.eventually("held", 1)
        await self.ask(other, self.STATEMENT, self.CARD)
        self.assertEqual(self.server.received, self.STATEMENT)
        with self.assertRaises(TimeoutError):
            await asyncio.wait_for(driver[0].read(1), 0.1)
        await self.told("release")
        got = await asyncio.wait_for(driver[0].readexactly(len(self.CARD)), SECONDS)
        self.assertEqual(got, self.CARD)

    async def test_a_held_connection_can_be_cut(self) -> None:
        await self.told("hold connect")
        driver = await self.connect()
        await self.eventually("held", 1)
        await self.told("reset now")
        await self.ends(driver, abruptly=True)

    async def test_now_and_on_one_connection(self) -> None:
        first, second = await self.connect(), await self.connect()
        await self.ask(first, self.STATEMENT, self.CARD)
        await self.ask(second, self.STATEMENT, self.CARD)
        await self.told("close now on 1")
        await self.ends(first, abruptly=False)
        await self.ask(second, self.STATEMENT, self.CARD)
        await self.told("reset")
        await self.ends(second, abruptly=True)

    async def test_answers_are_delayed(self) -> None:
        await self.told("delay 200 connect")
        driver = await self.connect()
        began = asyncio.get_running_loop().time()
        await self.ask(driver, self.STATEMENT * 3, self.CARD * 3)
        self.assertGreaterEqual(asyncio.get_running_loop().time() - began, 0.19)

    async def test_a_closed_port(self) -> None:
        driver = await self.connect()
        await self.ask(driver, self.STATEMENT, self.CARD)
        await self.told("refuse")
        with self.assertRaises(ConnectionRefusedError):
            await self.connect()
        await self.ask(driver, self.STATEMENT, self.CARD)
        self.assertEqual(await self.told("listen"), str(self.port))
        await self.ask(await self.connect(), self.STATEMENT, self.CARD)

    async def test_calm(self) -> None:
        driver = await self.connect()
        await self.told("hold")
        await self.told("reset statement each")
        await self.told("refuse")
        await self.told("calm")
        await self.ask(driver, self.STATEMENT, self.CARD)
        await self.ask(await self.connect(), self.STATEMENT, self.CARD)
        self.assertEqual((await self.stats())["armed"], 0)

    async def test_a_server_that_is_down(self) -> None:
        self.shim.server = 1
        driver = await self.connect()
        await self.ends(driver, abruptly=True)
        await self.eventually("open", 0)

    async def test_a_server_that_dies(self) -> None:
        driver = await self.connect()
        await self.ask(driver, self.STATEMENT, self.CARD)
        driver[1].write(dss(drda.EXCSQLSTT, b"die"))
        await self.ends(driver, abruptly=True)
        await self.eventually("open", 0)

    async def test_a_driver_that_dies(self) -> None:
        driver = await self.connect()
        await self.ask(driver, self.STATEMENT, self.CARD)
        drda_shim.reset(driver[1])
        await self.eventually("open", 0)
        self.assertEqual(self.server.endings, 1)

    async def test_bad_commands(self) -> None:
        for line in ("", "nonsense", "delay", "stats now", "reset commit x"):
            self.assertTrue((await self.tell(line)).startswith("error "), line)


def main() -> int:
    """Runs the tests; the last line is in cargo's form, which scripts/test adds up."""
    names = sys.argv[1:] or None
    loader = unittest.defaultTestLoader
    here = sys.modules[__name__]
    suite = loader.loadTestsFromNames(names, here) if names else loader.loadTestsFromModule(here)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"test result: {'FAILED' if failed else 'ok'}. {result.testsRun - failed} passed; "
          f"{failed} failed; {len(result.skipped)} ignored")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
