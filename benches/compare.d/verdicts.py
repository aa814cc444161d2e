"""Values of bars from runs, and whether they pass."""
import dataclasses

import interval
from bars import CLOSE_PAIRS


@dataclasses.dataclass
class Verdict:
    """A row of the table."""

    bar: object
    word: str
    values: list = dataclasses.field(default_factory=list)
    against: str = ""
    note: str = ""

    @property
    def median(self):
        return interval.median(self.values) if self.values else None

    @property
    def bound(self):
        """The end of the interval that is on the side of missing the bar."""
        find = interval.lower_bound if self.bar.more_is_better else interval.upper_bound
        return find(self.values) if self.values else None


def values(bar, over, results):
    """The bar's value of each round, or why there is none."""
    missing = [results.get(name) for name in (over, *bar.below())]
    for runs in missing:
        if not isinstance(runs, list) or not runs:
            return runs or "was not run"
    above = [run.figure(bar.figure) for run in results[over]]
    if not bar.under:
        return [value / bar.scale for value in above]
    rounds = zip(*(results[name] for name in bar.below()))
    figure = bar.under_figure or bar.figure
    below = [sum(run.figure(figure) for run in runs) for runs in rounds]
    return [high / low / bar.scale for high, low in zip(above, below)]


def judge(bar, results):
    """The row of a bar."""
    if bar.not_built:
        return Verdict(bar, "not built", note=bar.not_built)
    found, failures = {}, []
    for over in bar.over:
        one = values(bar, over, results)
        if isinstance(one, str):
            failures.append(f"{over}: {one}" if len(bar.over) > 1 else one)
        else:
            found[over] = one
    if not found:
        return Verdict(bar, "not run", note="; ".join(failures))
    # The one nearest to the bar is the hardest to meet.
    worst = min if bar.more_is_better else max
    over = worst(found, key=lambda name: interval.median(found[name]))
    against = over if len(bar.over) > 1 else ""
    verdict = Verdict(bar, "", found[over], against, "; ".join(failures))
    verdict.word = word(verdict)
    if failures and verdict.word.startswith("meets"):
        # The one that is not there may have been the hardest.
        verdict.word = "no verdict"
    return verdict


def word(verdict):
    bar = verdict.bar
    if bar.bar is None:
        return "figure"
    decides, note = verdict.median, ""
    if bar.is_close:
        decides = verdict.bound
        if len(verdict.values) < CLOSE_PAIRS:
            note = f"{len(verdict.values)} pairs are too few for a verdict"
            verdict.note = "; ".join(filter(None, (verdict.note, note)))
            return "no verdict"

    def meets(limit):
        return limit is not None and (
            decides >= limit if bar.more_is_better else decides <= limit)

    if meets(bar.aim):
        return "meets the aim"
    return "meets the bar" if meets(bar.bar) else "MISSED"
