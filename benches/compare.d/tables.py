"""What was found, as JSON and Markdown."""
import json

import interval

LEGEND = """\
Each value is a ratio of two runs of the same round, or a figure of one run; the median of the
rounds, and in brackets the one-sided 95 % bound of that median towards missing the bar (order
statistics: of 9 values the second worst, of 5 the worst; none for fewer). A bar of times at or under
1.15 x is decided by that bound and takes 9 pairs, all others by the median. Peaks of memory are
those of one load each.
"""


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def limit(bar, value):
    if value is None:
        return "-"
    sign = "" if bar.more_is_better else "≤ "
    return f"{sign}{value:,.4g} {bar.unit}"


def bar_row(verdict):
    bar = verdict.bar
    measured = "-"
    if verdict.values:
        bound = "" if verdict.bound is None else f" ({number(verdict.bound)})"
        measured = f"{number(verdict.median)}{bound} {bar.unit}, n = {len(verdict.values)}"
    note = "; ".join(filter(None, (f"against {verdict.against}" if verdict.against else "",
                                   verdict.note)))
    cells = (f"`{bar.name}`", bar.what, limit(bar, bar.bar), limit(bar, bar.aim), measured,
             verdict.word, note)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def contender_row(name, runs):
    if not isinstance(runs, list):
        return f"| {name} | not run | | | | {runs} |"
    seconds = [run.seconds for run in runs]
    peak = max(run.peak_bytes for run in runs) / 2**20
    extra = [f"{key} {number(interval.median(run.figures[key] for run in runs))}"
             for key in runs[0].figures if key in ("rows_per_second", "gb_per_second",
                                                   "batch_p99_ms")]
    return (f"| {name} | {interval.median(seconds):.3f} | {min(seconds):.3f} to {max(seconds):.3f} | "
            f"{interval.median([run.cpu_seconds for run in runs]):.2f} | {peak:.0f} | "
            f"{', '.join(extra)} |")


def markdown(facts, verdicts, results):
    """The whole report."""
    lines = ["# fastload beside its peers", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", LEGEND, "## Bars", "",
              "| name | what | bar | aim | measured | verdict | |", "|---|---|---|---|---|---|---|"]
    lines += [bar_row(verdict) for verdict in verdicts]
    words = [verdict.word for verdict in verdicts]
    lines += ["", ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) + ".",
              "", "## Contenders", "",
              "| contender | median s | range s | CPU s | peak MiB | |", "|---|---|---|---|---|---|"]
    lines += [contender_row(name, runs) for name, runs in results.items()]
    return "\n".join(lines) + "\n"


def as_json(facts, verdicts, results):
    """The same with every single run."""
    def bar(verdict):
        return {"name": verdict.bar.name, "what": verdict.bar.what, "bar": verdict.bar.bar,
                "aim": verdict.bar.aim, "unit": verdict.bar.unit,
                "more_is_better": verdict.bar.more_is_better, "verdict": verdict.word,
                "median": verdict.median, "bound_95": verdict.bound, "values": verdict.values,
                "against": verdict.against or None, "note": verdict.note or None}

    def contender(runs):
        if not isinstance(runs, list):
            return {"not_run": runs}
        return {"runs": [{"seconds": run.seconds, "cpu_seconds": run.cpu_seconds,
                          "peak_bytes": run.peak_bytes, **run.figures} for run in runs]}

    return json.dumps({"facts": facts, "bars": [bar(verdict) for verdict in verdicts],
                       "contenders": {name: contender(runs) for name, runs in results.items()}},
                      indent=1)
