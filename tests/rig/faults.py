"""Faults that the shim can be told to make: what, at which moment, on which connections."""

from __future__ import annotations

from dataclasses import dataclass, field

MOMENTS = ("now", "connect", "statement", "commit", "committed", "rollback")
ACTIONS = ("reset", "close", "hold", "delay")


@dataclass
class Rule:
    """One armed fault.

    It is due when its moment comes for the `count`th time: on one connection (`each`, or the
    connection with the number `connection`), or counted over all connections (neither given).
    """

    action: str
    milliseconds: int = 0
    moment: str = "now"
    count: int = 1
    each: bool = False
    connection: int | None = None
    _seen: dict[int, int] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        """Whether it has been due and will not be again."""
        return not self.each and any(seen >= self.count for seen in self._seen.values())

    def reached(self, moment: str, connection: int) -> bool:
        """Counts a moment; says whether the fault is due now."""
        if moment != self.moment or self.spent:
            return False
        if self.connection not in (None, connection):
            return False
        key = connection if self.each else 0
        self._seen[key] = self._seen.get(key, 0) + 1
        return self._seen[key] == self.count


def parse(words: list[str]) -> Rule:
    """`ACTION [MOMENT [N]] [each | on K]`; raises ValueError with what is wrong."""
    rest = list(words)

    def number(what: str) -> int:
        if not rest or not rest[0].isdigit():
            raise ValueError(f"a number belongs behind {what}")
        return int(rest.pop(0))

    action = rest.pop(0) if rest else ""
    if action not in ACTIONS:
        raise ValueError(f"no action {action!r}; there are: {' '.join(ACTIONS)}")
    rule = Rule(action)
    if action == "delay":
        rule.milliseconds = number("delay")
    if rest and rest[0] in MOMENTS:
        rule.moment = rest.pop(0)
        if rest and rest[0].isdigit():
            rule.count = number(rule.moment)
    if rest == ["each"]:
        rule.each = True
        rest = []
    elif rest[:1] == ["on"]:
        rest.pop(0)
        rule.connection = number("on")
    if rest:
        raise ValueError(f"not understood: {' '.join(rest)}")
    if rule.count < 1:
        raise ValueError("moments are counted from 1")
    return rule
