"""fraudscan finds fraud in Chinese messages and says which pretence it uses.

>>> import fraudscan
>>> result = fraudscan.classify("跟着老师操作稳赚不赔，加微信进内部群，每天领取返利")
>>> result.label, result.verdict
('investment', 'flag')
>>> fraudscan.classify("到楼下了，下来拿快递").label
'legitimate'

For many texts, `load` returns a `Scanner`, whose ``classify_many`` yields results and
whose ``predict_proba`` returns an array. Scanners are immutable and can be shared among
threads.

More is in modules that have to be imported: `fraudscan.lists` has allow and deny lists,
`fraudscan.dump` scores files, `fraudscan.sklearn` has an estimator, and `fraudscan.spark`
annotates the data frames of Spark. All other modules are internal, except for what the
documentation of these mentions.
"""

import sys

if sys.maxsize < 1 << 32:
    raise ImportError("fraudscan needs a 64-bit Python")
if sys.byteorder != "little":
    raise ImportError("fraudscan needs a little-endian processor")

from fraudscan._version import __version__
from fraudscan.disguise import normalize
from fraudscan.errors import FraudscanError
from fraudscan.model import ModelError, Scanner, Thresholds, load
from fraudscan.result import Result
from fraudscan.taxonomy import TAXONOMY

__all__ = [
    "TAXONOMY",
    "FraudscanError",
    "ModelError",
    "Result",
    "Scanner",
    "Thresholds",
    "__version__",
    "classify",
    "load",
    "normalize",
]


def classify(text: str) -> Result:
    """Score one text with the shipped model.

    Raises:
        TypeError: if ``text`` is not a string.

    """
    return load().classify(text)
