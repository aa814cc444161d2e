"""Draws the ratios beside their bars: plot.py RESULTS.json OUT.svg."""
import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "fastload"  # the same file for the same figures
import matplotlib.pyplot as plot  # noqa: E402

COLOURS = {"meets the aim": "#2a7", "meets the bar": "#59c", "MISSED": "#c43", "no verdict": "#999",
           "figure": "#999"}


def share(bar):
    """The median beside the bar: above 1 it is met."""
    value, limit = bar["median"], bar["bar"]
    return value / limit if bar["more_is_better"] else limit / value


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    bars = [bar for bar in results["bars"] if bar["median"] and bar["bar"]]
    figure, axes = plot.subplots(figsize=(10, 1 + 0.27 * max(1, len(bars))))
    places = range(len(bars))
    axes.barh(places, [share(bar) for bar in bars],
              color=[COLOURS[bar["verdict"]] for bar in bars])
    for place, bar in zip(places, bars):
        if bar["aim"]:
            aim = share({**bar, "median": bar["aim"]})
            axes.plot([aim, aim], [place - 0.4, place + 0.4], color="black", linewidth=1)
    axes.axvline(1, color="black", linestyle="--", linewidth=1)
    axes.set_yticks(places, [bar["name"] for bar in bars], fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("median over what the bar asks for (line: the aim); left of 1 it is missed")
    axes.set_title(f"fastload {results['facts']['commit'][:7]}, {results['facts']['date']}", fontsize=9)
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
