"""Tests of the comparison's own arithmetic: against numbers found another way, with no program run."""
import itertools
import json
import os
import pathlib
import tempfile
import unittest

import data
import interval
import running
import tables
import verdicts
from bars import BARS, Bar
from running import NotRun, Run, WrongAnswer


class Interval(unittest.TestCase):
    def test_the_rank_is_that_of_all_outcomes_counted(self):
        """Of n values each is above or below the true median like a coin: all 2^n are tried."""
        for count in range(1, 13):
            heads = [sum(coins) for coins in itertools.product((0, 1), repeat=count)]
            ranks = [rank for rank in range(1, count + 1)
                     if sum(number < rank for number in heads) / 2**count <= 0.05]
            self.assertEqual(interval.bound_rank(count), max(ranks, default=0), count)

    def test_bounds(self):
        nine = [5, 1, 9, 2, 8, 3, 7, 4, 6]
        self.assertEqual((interval.lower_bound(nine), interval.upper_bound(nine)), (2, 8))
        self.assertIsNone(interval.lower_bound([1, 2, 3, 4]))


class Verdicts(unittest.TestCase):
    @staticmethod
    def runs(*seconds):
        return [Run(second) for second in seconds]

    def judge(self, own, peer, **bar):
        return verdicts.judge(Bar("b", "what", ("peer",), "own", **bar),
                              {"own": self.runs(*own), "peer": self.runs(*peer)})

    def test_pairs_are_of_one_round(self):
        verdict = self.judge([1, 2, 4], [3, 6, 12], bar=3.0, aim=4.0)
        self.assertEqual((verdict.values, verdict.word), ([3, 3, 3], "meets the bar"))

    def test_a_close_bar_is_decided_by_the_bound(self):
        ratios = [1.2] * 7 + [0.9, 0.9]
        close = self.judge([1] * 9, ratios, bar=1.0)
        self.assertEqual((close.median, close.bound, close.word), (1.2, 0.9, "MISSED"))
        self.assertEqual(self.judge([1] * 9, [1.2] * 8 + [0.9], bar=1.0).word, "meets the bar")
        for pairs in (4, 5, 8):
            self.assertEqual(self.judge([1] * pairs, [1.2] * pairs, bar=1.0).word, "no verdict")

    def test_less_may_be_better(self):
        self.assertEqual(self.judge([1], [4], bar=5.0, aim=3.0, more_is_better=False).word,
                         "meets the bar")
        self.assertEqual(self.judge([1], [6], bar=5.0, more_is_better=False).word, "MISSED")

    def test_of_several_peers_the_hardest_counts(self):
        bar = Bar("b", "what", ("slow", "fast"), "own", bar=3.0)
        results = {"own": self.runs(1), "slow": self.runs(9), "fast": self.runs(2)}
        verdict = verdicts.judge(bar, results)
        self.assertEqual((verdict.against, verdict.word), ("fast", "MISSED"))
        results["fast"] = "NotRun: is not installed"
        verdict = verdicts.judge(bar, results)
        self.assertEqual((verdict.against, verdict.word), ("slow", "no verdict"))
        self.assertIn("is not installed", verdict.note)
        results["slow"] = self.runs(2.5)
        self.assertEqual(verdicts.judge(bar, results).word, "MISSED")

    def test_several_names_below_are_added(self):
        bar = Bar("b", "what", ("all",), ("one", "two"), bar=1.2, more_is_better=False)
        results = {"all": self.runs(3, 5), "one": self.runs(1, 2), "two": self.runs(2, 2)}
        verdict = verdicts.judge(bar, results)
        self.assertEqual((verdict.values, verdict.word), ([1.0, 1.25], "meets the bar"))
        self.assertEqual(bar.contenders(), {"all", "one", "two"})
        del results["two"]
        self.assertEqual(verdicts.judge(bar, results).word, "not run")

    def test_another_figure_below_and_a_scale(self):
        bar = Bar("b", "what", ("cpu",), "wall", figure="step", under_figure="seconds", scale=0.01,
                  bar=80, more_is_better=False)
        results = {"cpu": [Run(9.0, figures={"step": 1.0}), Run(9.0, figures={"step": 3.0})],
                   "wall": self.runs(2, 4)}
        verdict = verdicts.judge(bar, results)
        self.assertEqual((verdict.values, verdict.word), ([50.0, 75.0], "meets the bar"))

    def test_what_did_not_run_is_in_the_table(self):
        bar = Bar("b", "what", ("peer",), "own", bar=3.0)
        verdict = verdicts.judge(bar, {"own": self.runs(1), "peer": "NotRun: gone"})
        self.assertEqual(verdict.word, "not run")
        self.assertIn("gone", tables.bar_row(verdict))
        built = verdicts.judge(Bar("b", "what", ("x",), not_built="later"), {})
        self.assertEqual((built.word, built.note), ("not built", "later"))


class Rotation(unittest.TestCase):
    def test_turns_warm_up_and_failures(self):
        order, results = [], {}

        def contender(name, fails_at=None):
            def run():
                order.append(name)
                if order.count(name) == fails_at:
                    raise NotRun("it broke")
                return Run(float(order.count(name)))

            return run

        running.rotate({"a": contender("a"), "b": contender("b", 3), "c": contender("c")}, 3, results)
        self.assertEqual("".join(order), "abc" "bca" "cab" "ca")
        self.assertEqual([run.seconds for run in results["a"]], [2, 3, 4])
        self.assertEqual(results["b"], "NotRun: it broke")

    def test_a_wrong_answer_is_no_result(self):
        with self.assertRaises(WrongAnswer):
            running.check("peer", {"rows": 9}, {"rows": 10, "cents": 5})
        running.check("peer", {"rows": 10}, {"rows": 10, "cents": 5})


class Tables(unittest.TestCase):
    def test_every_bar_has_a_row_and_every_run_is_in_the_json(self):
        results = {"pyarrow": [Run(3.0, 3.1, 2**20)], "arrow-csv": [Run(6.0)],
                   "fastload-parse-1": [Run(1.0)], "pgloader": "NotRun: pgloader is not installed"}
        rows = [verdicts.judge(bar, results) for bar in BARS]
        text = tables.markdown({"machine": "a|b"}, rows, results)
        for bar in BARS:
            self.assertEqual(text.count(f"| `{bar.name}` |"), 1, bar.name)
        self.assertIn("3.00 x, n = 1 | meets the bar | against pyarrow", text)
        parsed = json.loads(tables.as_json({}, rows, results))
        self.assertEqual(parsed["contenders"]["pyarrow"]["runs"][0]["peak_bytes"], 2**20)
        self.assertEqual(len(parsed["bars"]), len({bar.name for bar in BARS}))


class Truth(unittest.TestCase):
    def test_sums_of_a_file_are_those_added_by_hand(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.csv"
            path.write_text("account_id,b,c,balance,e,f,g,h,i,memo\n"
                            "7,,,-1.50,,,,,,\"é\nx\"\n8,,,,,,,,,ab\n9,,,0.25,,,,,,\n")
            self.assertEqual(data.truth(path, "accounts"), {
                "rows": 3, "account_id": 24, "cents": -125, "memo_characters": 5})

    def test_hundredths(self):
        found = [data.to_hundredths(text) for text in ("1", "1.5", "-0.07", "12.34")]
        self.assertEqual(found, [100, 150, -7, 1234])

    def test_numeric_rows_have_new_keys_and_readable_values(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "n.csv"
            data.write_numeric(path, 500)
            found = data.truth(path, "numeric")
            rows = data.NUMERIC_BLOCK_ROWS
            self.assertEqual((found["rows"], found["n_key"]), (rows, rows * (rows + 1) // 2))
            self.assertGreater(os.path.getsize(path), 500)


def run():
    """Exit status."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(__import__(__name__))
    return 0 if unittest.TextTestRunner(verbosity=1).run(suite).wasSuccessful() else 1
