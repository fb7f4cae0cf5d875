"""DPTrainer: trains a Keras model with differential privacy and states the guarantee."""
