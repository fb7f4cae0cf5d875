"""A DPTransform that kills itself: `python killed_transform.py FOLDER MOMENT`. See test_dp_transform.py."""

import os
import pathlib
import signal
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from transform_bench import Bench

from tfx_privacy.components import exact_sums, releasing
from tfx_privacy.components.dp_transform import traced_reader


def kill(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


ROOT, MOMENT = pathlib.Path(sys.argv[1]), sys.argv[2]
PLACES: dict[str, tuple[Any, str]] = {
    "charged": (traced_reader.TracedReader, "save"),
    "summed up": (exact_sums, "read"),
    "transformed": (releasing, "make_release"),
    "committed": (releasing, "write_release"),
}
setattr(*PLACES[MOMENT], kill)
Bench(ROOT, new=False).run(ledger="env:TFX_PRIVACY_LEDGER", dataset_id="trips")
