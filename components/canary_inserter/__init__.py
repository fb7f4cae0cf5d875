"""CanaryInserter: puts made-up records into the training split, so that memorisation can be measured."""
