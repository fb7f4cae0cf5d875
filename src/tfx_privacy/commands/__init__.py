"""Groups of commands of `tfx-privacy`, one module each; imports of TensorFlow, TFX and SQLAlchemy stay inside the commands."""
