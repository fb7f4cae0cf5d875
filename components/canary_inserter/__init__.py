"""CanaryInserter: puts made-up records into the training split, so memorisation can be measured."""
