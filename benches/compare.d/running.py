"""Commands run and measured, in rotation."""
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time


class NotRun(Exception):
    """A contender cannot run here; its rows of the table say why."""


class WrongAnswer(Exception):
    """A contender ran and its answer is not that of the file."""


@dataclasses.dataclass
class Run:
    """One run. `figures` holds what else was measured, by name."""

    seconds: float
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    figures: dict = dataclasses.field(default_factory=dict)

    def figure(self, name):
        return self.figures[name] if name in self.figures else getattr(self, name)


@dataclasses.dataclass
class Done:
    """A process that has ended well."""

    output: str
    errors: str
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int

    def json(self):
        return json.loads(self.output.strip().splitlines()[-1])


class Runner:
    """Runs commands under `peers --usage`."""

    def __init__(self, peers, folder):
        self.peers, self.usage = peers, folder / "usage.json"

    def __call__(self, command, *, environment=None, text=None, statuses=(0,), timeout_seconds=1800):
        """Runs a command to its end; NotRun when it fails."""
        self.usage.unlink(missing_ok=True)
        words = [str(word) for word in command]
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, \
                tempfile.TemporaryFile() as source:
            source.write((text or "").encode())
            source.seek(0)
            child = subprocess.Popen(
                [self.peers, "--usage", self.usage, *words], stdin=source, stdout=output,
                stderr=errors, env={**os.environ, **(environment or {})}, start_new_session=True)
            try:
                status = child.wait(timeout_seconds)
            except BaseException as error:
                os.killpg(child.pid, 9)
                child.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise NotRun(f"{words[0]}: not done in {timeout_seconds} s") from None
                raise
            output.seek(0)
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            if status not in statuses or not self.usage.exists():
                last = said.strip().splitlines()[-3:]
                name = os.path.basename(words[0])
                raise NotRun(f"{name}: exit {status}: {' '.join(last)[:300]}")
            return Done(output=output.read().decode(errors="replace"), errors=said,
                        **json.loads(self.usage.read_text()))


def rotate(contenders, rounds, results, *, warm_up=True, deadline=None):
    """Runs all contenders in turns. Each round begins with another one, so that a drift of the
    machine favours none. `results` takes a list of runs a name, or why there are none. A contender
    that fails leaves with all its runs; its partners go on. After `deadline` no round begins."""
    left = dict(contenders)
    first = 0 if warm_up else 1
    for number in range(first, rounds + 1):
        if number > 1 and deadline is not None and time.monotonic() > deadline:
            print(f"compare: out of time after {number - 1} rounds", file=sys.stderr, flush=True)
            return
        names = list(left)
        shift = number % len(names) if names else 0
        for name in names[shift:] + names[:shift]:
            try:
                measured = left[name]()
            except (NotRun, WrongAnswer) as error:
                results[name] = f"{type(error).__name__}: {error}"
                del left[name]
                print(f"compare: {name}: {results[name]}", file=sys.stderr, flush=True)
                continue
            if number > 0:
                results.setdefault(name, []).append(measured)


def check(what, found, expected):
    """Holds an answer against the truth about the file; keys that were not found do not count."""
    for key, value in found.items():
        if value != expected[key]:
            raise WrongAnswer(f"{what}: {key} is {value}, in the file it is {expected[key]}")
