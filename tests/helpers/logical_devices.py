"""Two logical devices for a strategy to be tested on; imported where tests are collected, before TensorFlow runs anything."""

import tensorflow as tf

NAMES = ["CPU:0", "CPU:1"]
"""Everything without a strategy runs on the first."""

(_CPU,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * len(NAMES))
