"""Other people's statistics, imported when a test first asks them."""

from typing import TYPE_CHECKING

from support.late import Late

if TYPE_CHECKING:
    import evalconfidence
    from evalsig.inference import mcnemar, mde, multiplicity, paired, power, sequential
    from scipy import stats
else:
    evalconfidence = Late("evalconfidence")
    mcnemar = Late("evalsig.inference.mcnemar")
    mde = Late("evalsig.inference.mde")
    multiplicity = Late("evalsig.inference.multiplicity")
    paired = Late("evalsig.inference.paired")
    power = Late("evalsig.inference.power")
    sequential = Late("evalsig.inference.sequential")
    stats = Late("scipy.stats")

__all__ = [
    "evalconfidence",
    "mcnemar",
    "mde",
    "multiplicity",
    "paired",
    "power",
    "sequential",
    "stats",
]
