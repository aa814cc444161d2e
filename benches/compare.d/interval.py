"""Medians, and how sure they are.

The bound is that of the median by order statistics, which needs no assumption about the
distribution: of n values that are as likely above the true median as below, the k-th smallest is
above it with the probability that at most k - 1 of n fair coins show heads. The largest k for which
that is at most 5 % gives the one-sided 95 % bound: of 5 values the smallest, of 9 the second.
"""
import math
import statistics

ERROR = 0.05

median = statistics.median


def bound_rank(count):
    """The largest k as above, from 1; 0 where so few values have no such bound."""
    below, rank = 0, 0
    for heads in range(count):
        below += math.comb(count, heads)
        if below / 2**count > ERROR:
            break
        rank = heads + 1
    return rank


def lower_bound(values):
    """What the median is at least, at 95 %; None for fewer than 5 values."""
    rank = bound_rank(len(values))
    return sorted(values)[rank - 1] if rank else None


def upper_bound(values):
    """What the median is at most, at 95 %."""
    rank = bound_rank(len(values))
    return sorted(values)[-rank] if rank else None
