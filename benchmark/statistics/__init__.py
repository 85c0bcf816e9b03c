"""What differences between networks are worth: patients resampled, paired tests, ranks."""

from benchmark.statistics.bootstrap import Bootstrap, Interval, Resampled, bootstrap
from benchmark.statistics.pooled import pooled_bootstrap
from benchmark.statistics.ranks import kendall_tau, ranks
from benchmark.statistics.scores import Scores, Unit, UnitScores, unit_scores
from benchmark.statistics.significance import (
    Friedman,
    PairTest,
    friedman,
    holm,
    pair_tests,
    rank_biserial,
)
from benchmark.statistics.standings import Agreement, Standing, agreement, standings

__all__ = [
    "Agreement",
    "Bootstrap",
    "Friedman",
    "Interval",
    "PairTest",
    "Resampled",
    "Scores",
    "Standing",
    "Unit",
    "UnitScores",
    "agreement",
    "bootstrap",
    "friedman",
    "holm",
    "kendall_tau",
    "pair_tests",
    "pooled_bootstrap",
    "rank_biserial",
    "ranks",
    "standings",
    "unit_scores",
]
