# Copyright 2019 Google LLC. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     https://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Python source file includes MNIST utils for Keras model.

The utilities in this file are used to build a model with native Keras.
This module file will be used in Transform and generic Trainer.
"""

import tensorflow_transform as tft

from tfx.components.trainer.fn_args_utils import FnArgs
import mnist_utils_native_keras_base as base


# TFX Transform will call this function.
def preprocessing_fn(inputs):
  """tf.transform's callback function for preprocessing inputs.

  Args:
    inputs: map from feature keys to raw not-yet-transformed features.

  Returns:
    Map from string feature key to transformed feature operations.
  """
  return base.preprocessing_fn(inputs)


# DPTrainer will call this function.
def model_fn(fn_args: FnArgs):
  """Builds and compiles the model; called by DPTrainer.

  Args:
    fn_args: Holds args used to train the model as name/value pairs.

  Returns:
    A compiled Keras Model.
  """
  model = base.build_keras_model()
  return model


# DPTrainer will call this function.
def input_fn(file_pattern, fn_args: FnArgs):
  """Reads the examples once; called by DPTrainer.

  Args:
    file_pattern: List of paths or patterns of input tfrecord files.
    fn_args: Holds args used to train the model as name/value pairs.

  Returns:
    A dataset of one pass over the examples.
  """
  tf_transform_output = tft.TFTransformOutput(fn_args.transform_output)

  return base.input_fn(file_pattern, fn_args.data_accessor,
                       tf_transform_output, 40)
