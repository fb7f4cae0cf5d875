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
"""Python source file include IMDB pipeline functions and necessary utils.

The utilities in this file are used to build a model with native Keras.
This module file will be used in Transform and generic Trainer.
"""

import absl
import tensorflow as tf
from tensorflow import keras
import tensorflow_transform as tft

from tfx.components.trainer.fn_args_utils import FnArgs

_FEATURE_KEY = 'text'
_LABEL_KEY = 'label'

# There are 100 entries in the imdb_small dataset. ExampleGen splits the dataset
# with a 2:1 train-eval ratio. Batch_size is an empirically sound
# configuration.
# To train on the entire imdb dataset, please refer to imdb_dataset_utils.py
# and change the batch configuration accordingly.
_DROPOUT_RATE = 0.2
_EMBEDDING_UNITS = 64
_HIDDEN_UNITS = 64
_LEARNING_RATE = 1e-4
_LSTM_UNITS = 64
_VOCAB_SIZE = 8000
_MAX_LEN = 400


def _transformed_name(key, is_input=False):
  return key + ('_xf_input' if is_input else '_xf')


def _tokenize_review(review):
  """Tokenize the reviews by spliting the reviews.

  Map the words to _VOCAB_SIZE hashes, which takes no vocabulary from the data.

  Args:
    review: tensors containing the reviews. (batch_size/None, 1)

  Returns:
    Tokenized and padded review tensors. (batch_size/None, _MAX_LEN)
  """
  review_sparse = tf.strings.split(tf.reshape(review, [-1])).to_sparse()
  # In order to comply with convention and use mask_zero in keras.embedding
  # layer, set padding value to -1. Then add 1 to all the tokens.
  review_indices = tft.hash_strings(review_sparse, _VOCAB_SIZE)
  dense = tf.sparse.to_dense(review_indices, default_value=-1)
  # TFX transform expects the transform result to be FixedLenFeature.
  padding_config = [[0, 0], [0, _MAX_LEN]]
  dense = tf.pad(dense, padding_config, 'CONSTANT', -1)
  padded = tf.slice(dense, [0, 0], [-1, _MAX_LEN])
  padded += 1
  return padded


# TFX Transform will call this function.
def preprocessing_fn(inputs):
  """tf.transform's callback function for preprocessing inputs.

  Args:
    inputs: map from feature keys to raw not-yet-transformed features.

  Returns:
    Map from string feature key to transformed feature operations.
  """
  return {
      _transformed_name(_LABEL_KEY):
          inputs[_LABEL_KEY],
      _transformed_name(_FEATURE_KEY, True):
          _tokenize_review(inputs[_FEATURE_KEY])
  }


def _build_keras_model() -> keras.Model:
  """Creates a LSTM Keras model for classifying imdb data.

  Reference: https://www.tensorflow.org/tutorials/text/text_classification_rnn

  Returns:
    A Keras Model.
  """
  # Input layer explicitly defined to handle dictionary input
  input_layer = keras.layers.Input(
      shape=(_MAX_LEN,),
      dtype=tf.int64,
      name=_transformed_name(_FEATURE_KEY, True))

  embedding_layer = keras.layers.Embedding(
      _VOCAB_SIZE + 2,
      _EMBEDDING_UNITS,
      name=_transformed_name(_FEATURE_KEY)
  )(input_layer)

  # Note: With dropout=_DROPOUT_RATE,
  # TF 1.16 cannot save the model with tf.saved_model.save().
  # dropout=0 is a workaround currently, need to find a solution.
  lstm_layer = keras.layers.Bidirectional(
      keras.layers.LSTM(_LSTM_UNITS, dropout=0)
  )(embedding_layer)

  hidden_layer = keras.layers.Dense(_HIDDEN_UNITS, activation='relu')(lstm_layer)
  output_layer = keras.layers.Dense(1)(hidden_layer)

  # Create the model with the specified input and output
  model = keras.Model(
      inputs={_transformed_name(_FEATURE_KEY, True): input_layer},
      outputs=output_layer)

  model.compile(
      loss=keras.losses.BinaryCrossentropy(from_logits=True),
      optimizer=keras.optimizers.Adam(_LEARNING_RATE),
      metrics=['accuracy'])

  model.summary(print_fn=absl.logging.info)
  return model


def _get_serve_tf_examples_fn(model, tf_transform_output):
  """Returns a function that parses a serialized tf.Example."""
  model.tft_layer = tf_transform_output.transform_features_layer()

  @tf.function
  def serve_tf_examples_fn(serialized_tf_examples):
    """Returns the output to be used in the serving signature."""
    feature_spec = tf_transform_output.raw_feature_spec()
    feature_spec.pop(_LABEL_KEY)
    parsed_features = tf.io.parse_example(serialized_tf_examples, feature_spec)
    transformed_features = model.tft_layer(parsed_features)
    return model(transformed_features)

  return serve_tf_examples_fn


# DPTrainer will call this function.
def model_fn(fn_args: FnArgs):
  """Builds and compiles the model; called by DPTrainer.

  Args:
    fn_args: Holds args used to train the model as name/value pairs.

  Returns:
    A compiled Keras Model.
  """
  model = _build_keras_model()
  return model


# DPTrainer will call this function.
def signatures_fn(model, fn_args: FnArgs):
  """Returns the signatures to save the model with; called by DPTrainer.

  Args:
    model: The trained Keras Model.
    fn_args: Holds args used to train the model as name/value pairs.

  Returns:
    The signatures by name.
  """
  tf_transform_output = tft.TFTransformOutput(fn_args.transform_output)

  signatures = {
      'serving_default':
          _get_serve_tf_examples_fn(model,
                                    tf_transform_output).get_concrete_function(
                                        tf.TensorSpec(
                                            shape=[None],
                                            dtype=tf.string,
                                            name='examples')),
  }
  return signatures
