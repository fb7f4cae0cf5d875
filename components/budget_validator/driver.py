"""The driver that keeps a verdict from being replayed."""

from __future__ import annotations

import uuid

from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

NONCE_KEY = "nonce"


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Gives every launch an execution property that no earlier one had.

    TFX's cache key sees inputs and properties, but neither the clock nor a budget that others
    spend. It has no switch per component, so the key itself must differ each time. (Components
    declare a driver of the first base class; the launcher runs it as one of the second.)
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns a fresh nonce."""
        output = driver_output_pb2.DriverOutput()
        output.exec_properties[NONCE_KEY].string_value = uuid.uuid4().hex
        return output
