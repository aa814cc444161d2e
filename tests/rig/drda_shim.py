#!/usr/bin/env python3
"""Lets IBM's Db2 driver talk to Apache Derby's network server, and breaks connections on demand.

    drda_shim.py --server PORT [--listen PORT] [--control PORT] [--product NAME]
    drda_shim.py --probe PORT       exit 0 when a DRDA server answers there
    drda_shim.py --tell PORT WORD...    sends one command to a control port, prints the answer

However a driver's side ends, by a fault or by the driver's death, Derby gets whole chains of requests
only, then FIN, and its answers are read to their end. A thread of its server that meets the end of a
connection inside a request, or while it answers, now and then misreads the next connection that it
serves: SYNTAXRM (124C), CMDCHKRM (1254), or silence.

Everything is on 127.0.0.1. Port 0, the default, takes a free one. When it listens it prints one
line: `listening PORT control PORT`. What is changed in the streams is said in drda.py.

The control port takes lines and answers each with one line, `ok ...` or `error ...`:

    ACTION [MOMENT [N]] [each | on K]   arms a fault
        reset           the connection ends, with RST to the driver
        close           the connection ends, with FIN to the driver
        hold            nothing goes on in either direction, the sockets stay open
        delay MS        from then on the first bytes of each answer come MS milliseconds late
      at the Nth (default: first) of these moments, counted from now:
        now             at once, on all open connections (the default); cannot have N
        connect         a connection is accepted, nothing of it has been passed on
        statement       an execute (EXCSQLSTT) has come, and has not been passed on
        commit          a commit (RDBCMM) has come, and has not been passed on
        committed       the server has answered a commit, and the driver has not been told
        rollback        as commit, for RDBRLLBCK
      on which connections:
        (not given)     counted over all connections; due once, on the one where it is the Nth
        each            counted for each connection by itself; due once on each
        on K            on connection number K, counted from 1 since the start
    refuse              the port is closed: connecting is refused by the kernel
    listen              the port is open again
    release             what was held goes on
    calm                forgets all faults, delays and holds, and listens
    stats               `ok ` and JSON: connections (so far, and open), statements, commits,
                        commits answered, rollbacks, faults (so far), held, refusing, server, and
                        unread: streams in which something was no DSS and was passed on as it was
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys
from collections import Counter
from typing import Callable

import drda
import faults

HOST = "127.0.0.1"
READ_BYTES = 1 << 18
PROBE_SECONDS = 5
# As long Derby may take to end a session whose driver is gone.
PARTING_SECONDS = 120


class Cut(Exception):
    """A fault has ended the connection."""


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends one side with RST; it may have ended by itself."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Connection:
    """One driver's connection: two streams, and the state of its faults."""

    def __init__(self, shim: Shim, number: int, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._shim = shim
        self._reader = reader
        self._writer = writer
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._delay_seconds = 0.0
        self._asked = False  # something was passed on to the server since its last answer
        self._committing = False
        self._cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def held(self) -> bool:
        """Whether nothing goes on."""
        return not self._goes_on.is_set()

    async def run(self) -> None:
        """Serves until either side, or a fault, ends it."""
        pumps: list[asyncio.Task[None]] = []
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            await self._reached("connect")
            server = await asyncio.open_connection(HOST, self._shim.server, limit=2 * READ_BYTES)
            requests, answers = drda.Requests(self._shim.product), drda.Answers()
            pumps = [
                asyncio.create_task(self._requests(self._reader, server[1], requests)),
                asyncio.create_task(self._answers(server[0], self._writer, answers)),
            ]
            await asyncio.wait([*pumps, self._cut], return_when=asyncio.FIRST_COMPLETED)
            # An error of a socket is handed to the driver as what it is: a reset.
            for pump in pumps:
                if pump.done():
                    pump.result()
            self.cut(abruptly=False)
        except Cut:
            pass
        except OSError:
            self.cut(abruptly=True)
        finally:
            self.cut(abruptly=False)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if server:
                await part(*server)

    def cut(self, abruptly: bool) -> None:
        """Ends the driver's side, with RST or FIN; Derby's follows."""
        if self._cut.done():
            return
        self._cut.set_result(None)
        self._goes_on.set()
        if abruptly:
            reset(self._writer)
        else:
            self._writer.close()

    def calm(self) -> None:
        """Forgets a hold and a delay."""
        self._delay_seconds = 0.0
        self._goes_on.set()

    def release(self) -> None:
        """Lets a held connection go on."""
        self._goes_on.set()

    def apply(self, rule: faults.Rule) -> None:
        """Makes a fault happen."""
        self._shim.counts["faults"] += 1
        if rule.action == "hold":
            self._goes_on.clear()
        elif rule.action == "delay":
            self._delay_seconds = rule.milliseconds / 1000
        else:
            self.cut(abruptly=rule.action == "reset")

    async def _reached(self, moment: str) -> None:
        for rule in self._shim.due(moment, self.number):
            self.apply(rule)
        await self._may_go_on()

    async def _may_go_on(self) -> None:
        await self._goes_on.wait()
        if self._cut.done():
            raise Cut

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                        stream: drda.Requests) -> None:
        moments = {drda.EXCSQLSTT: ("statement", "statements"), drda.RDBCMM: ("commit", "commits"),
                   drda.RDBRLLBCK: ("rollback", "rollbacks")}
        chain: list[bytes] = []
        while data := await reader.read(READ_BYTES):
            await self._may_go_on()
            for piece in stream.feed(data):
                if piece.code_point in moments:
                    moment, counter = moments[piece.code_point]
                    self._shim.counts[counter] += 1
                    await self._reached(moment)
                    self._committing = piece.code_point == drda.RDBCMM
                chain.append(piece.data)
                if piece.ends_chain:
                    self._asked = True
                    writer.write(b"".join(chain))
                    chain.clear()
            await writer.drain()
        if stream.lost:
            self._shim.counts["unread"] += 1

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                       stream: drda.Answers) -> None:
        while data := await reader.read(READ_BYTES):
            if self._asked and self._delay_seconds:
                self._asked = False
                await asyncio.sleep(self._delay_seconds)
            await self._may_go_on()
            ready: list[bytes] = []
            for piece in stream.feed(data):
                if piece.code_point == drda.ENDUOWRM and self._committing:
                    self._committing = False
                    self._shim.counts["commits_answered"] += 1
                    writer.write(b"".join(ready))
                    ready = []
                    await self._reached("committed")
                ready.append(piece.data)
            writer.write(b"".join(ready))
            await writer.drain()
        writer.write(stream.end())
        if stream.lost:
            self._shim.counts["unread"] += 1


async def part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets Derby end its session: it does when it has answered what it was asked."""
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        async with asyncio.timeout(PARTING_SECONDS):
            writer.write_eof()
            while await reader.read(READ_BYTES):
                pass
    writer.close()


class Shim:
    """The listening port, its connections, and the control port."""

    def __init__(self, server: int, product: str) -> None:
        self.server = server
        self.product = product
        self.rules: list[faults.Rule] = []
        self.counts: Counter[str] = Counter()
        self._open: dict[int, Connection] = {}
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._controller: asyncio.Server | None = None

    async def listen(self, port: int) -> int:
        """Opens the port for drivers; 0 takes a free one, which is returned."""
        self._port = port or self._port
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accepted, HOST, self._port,
                                                        limit=2 * READ_BYTES, backlog=64)
            self._port = self._listener.sockets[0].getsockname()[1]
        return self._port

    async def control(self, port: int) -> int:
        """Opens the control port; 0 takes a free one, which is returned."""
        self._controller = await asyncio.start_server(self._controlled, HOST, port)
        return self._controller.sockets[0].getsockname()[1]

    def due(self, moment: str, connection: int) -> list[faults.Rule]:
        """The faults whose moment has come; all of them count it."""
        due = [rule for rule in self.rules if rule.reached(moment, connection)]
        self.rules = [rule for rule in self.rules if not rule.spent]
        return due

    async def close(self) -> None:
        """Closes the ports and ends all connections."""
        self._refuse()
        if self._controller:
            self._controller.close()
        for connection in list(self._open.values()):
            connection.cut(abruptly=False)
        while self._open:
            await asyncio.sleep(0.01)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        number = self.counts["connections"]
        connection = Connection(self, number, reader, writer)
        self._open[number] = connection
        try:
            await connection.run()
        finally:
            del self._open[number]

    async def _controlled(self, reader: asyncio.StreamReader,
                          writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                answer = f"ok {await self._command(line.decode().split())}".rstrip()
            except (ValueError, OSError) as error:
                answer = f"error {error}"
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _command(self, words: list[str]) -> str:
        commands: dict[str, Callable[[], str]] = {
            "refuse": self._refuse, "release": self._release, "stats": self._stats,
        }
        if words == ["listen"]:
            return str(await self.listen(0))
        if words == ["calm"]:
            self.rules.clear()
            for connection in self._open.values():
                connection.calm()
            return str(await self.listen(0))
        if len(words) == 1 and words[0] in commands:
            return commands[words[0]]()
        self._arm(faults.parse(words))
        return ""

    def _arm(self, rule: faults.Rule) -> None:
        if rule.moment != "now":
            self.rules.append(rule)
            return
        for connection in list(self._open.values()):
            if rule.connection in (None, connection.number):
                connection.apply(rule)

    def _refuse(self) -> str:
        if self._listener:
            self._listener.close()
            self._listener = None
        return ""

    def _release(self) -> str:
        for connection in self._open.values():
            connection.release()
        return ""

    def _stats(self) -> str:
        names = ("connections", "statements", "commits", "commits_answered", "rollbacks", "faults",
                 "unread")
        held = sum(connection.held for connection in self._open.values())
        return json.dumps({name: self.counts[name] for name in names} | {
            "open": len(self._open), "held": held, "armed": len(self.rules),
            "refusing": self._listener is None, "server": self.server,
        })


async def serve(options: argparse.Namespace) -> None:
    """Runs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    shim = Shim(options.server, options.product)
    port, control = await shim.listen(options.listen), await shim.control(options.control)
    print(f"listening {port} control {control}", flush=True)
    await stop.wait()
    await shim.close()


def probe(port: int) -> bool:
    """Whether a DRDA server answers: EXCSAT, its attributes asked for, is the first request."""
    request = struct.pack(">HBBHHH", 10, 0xD0, 0x01, 1, 4, 0x1041)
    try:
        with socket.create_connection((HOST, port), timeout=PROBE_SECONDS) as server:
            server.sendall(request)
            return server.recv(10)[2:3] == b"\xd0"
    except OSError:
        return False


def tell(port: int, words: list[str]) -> bool:
    """Sends one command to a control port and prints its answer."""
    try:
        with socket.create_connection((HOST, port), timeout=PROBE_SECONDS) as control:
            control.sendall(" ".join(words).encode() + b"\n")
            answer = control.makefile().readline().strip()
    except OSError as error:
        answer = f"error {error}"
    print(answer)
    return answer.startswith("ok")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--server", type=int)
    parser.add_argument("--listen", type=int, default=0)
    parser.add_argument("--control", type=int, default=0)
    parser.add_argument("--product", default="DNC10020")
    parser.add_argument("--probe", type=int)
    parser.add_argument("--tell", nargs="+")
    options = parser.parse_args()
    if options.probe is not None:
        return 0 if probe(options.probe) else 1
    if options.tell:
        return 0 if tell(int(options.tell[0]), options.tell[1:]) else 1
    if options.server is None:
        parser.error("--server is missing")
    asyncio.run(serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
