"""The JSON records that components exchange: a strict base, digests and signatures."""
