"""The demonstration's data: the Chicago Taxi trips that lie inside the tfx package.

Delete this file when DATA_PATH is yours.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

NOTICE = (
    "This site provides applications using data that has been modified for use from its original source, "
    "www.cityofchicago.org, the official website of the City of Chicago. The City of Chicago makes no claims as to the "
    "content, accuracy, timeliness, or completeness of any of the data provided at this site. The data provided at "
    "this site is subject to change at any time. It is understood that the data provided at this site is being used at "
    "one's own risk."
)
"""The City's notice on the data, to be shown with it."""


def write(folder: str) -> None:
    """Copies the CSV of 15,002 trips, unless the folder is there already."""
    if os.path.exists(folder):
        return
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    examples = os.path.join(spec.submodule_search_locations[0], "examples", "chicago_taxi_pipeline", "data", "simple")
    os.makedirs(folder)
    shutil.copyfile(os.path.join(examples, "data.csv"), os.path.join(folder, "data.csv"))
    print(f"Copied the Chicago Taxi trips to {folder}.\n{NOTICE}")
