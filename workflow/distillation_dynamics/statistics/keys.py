"""Columns shared by several statistics tables."""

from ..files import Column

PAIR = {
    "variant": Column("", "variant"),
    "baseline": Column("", "variant it is compared to"),
}
LOW = Column("points", "lower end of its 95 % paired t interval; NaN with one seed or without spread")
HIGH = Column("points", "upper end of that interval")
SEEDS = Column("", "seeds that both have")
# Results of `westfall_young.test` for a comparison.
JOINT = {
    "p_joint": Column(
        "",
        "two-sided p of the joint sign-flip test over all comparisons of this table; NaN where it is left out, as it "
        "shares too few seeds with the others",
    ),
    "joint_seeds": Column("", "seeds that the joint test rests on, which all its comparisons have; 0 where left out"),
    "joint_comparisons": Column("", "comparisons that are tested jointly; 0 where left out"),
    "smallest_p": Column(
        "", "smallest p_joint that this number of seeds allows, 2 / 2^seeds; beyond 20 seeds of drawn flips: at most"
    ),
    "detectable_effect": Column(
        "points",
        "mean difference of this comparison alone that the joint test finds with 80 % power at 5 %, simulated with "
        "normal noise of the spread and correlation seen; NaN where so few seeds allow no p of 5 %",
    ),
}
