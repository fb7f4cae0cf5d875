"""Bugs in signatures, keys and signed verdicts."""

from __future__ import annotations

from mutants.mutant import Mutant

SIGNING = [
    Mutant(
        "the signature chooses the algorithm", "signing:verify",
        "if signature.algorithm != key.algorithm: ...",
        """
        key = dataclasses.replace(key, algorithm=signature.algorithm)
        if False: ...
        """,
        "test_signing",
    ),
    Mutant(
        "the type is not signed", "pre_authentication_encoding",
        "(len(kind), kind, len(payload), payload)", '(0, b"", len(payload), payload)', "test_signing",
    ),
    Mutant(
        "type and payload without their lengths", "pre_authentication_encoding",
        'b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)', 'b"DSSEv1 %s %s" % (kind, payload)',
        "test_signing",
    ),
    Mutant(
        "any signature holds", "signing:verify",
        "key.holds(raw, pre_authentication_encoding(payload, payload_type)) is not True",
        "key.holds(raw, pre_authentication_encoding(payload, payload_type)) is None", "test_signing",
    ),
    Mutant(
        "the beginning of a MAC will do", "VerificationKey.holds",
        'hmac.compare_digest(hmac.digest(self.material, message, "sha256"), signature)',
        'hmac.digest(self.material, message, "sha256").startswith(signature)', "test_signing",
    ),
    Mutant(
        "a short secret", "_check_key",
        "not len(content) >= MIN_HMAC_BYTES", "not len(content) >= 16", "test_signing",
    ),
    Mutant(
        "a placeholder for a key", "signing:_parse",
        "len(set(content)) == 1", "len(set(content)) < 1", "test_signing",
    ),
    Mutant(
        "a signature of several texts", "_decode",
        "return raw if base64.b64encode(raw).decode() == text else None", "return raw", "test_signing",
    ),
    Mutant(
        "a key id twice", "VerificationKeys.__init__",
        "key.key_id in self._keys", 'key.key_id == ""', "test_signing",
    ),
    Mutant("one key under two ids", "VerificationKeys.__init__", "key.material in contents", "False", "test_signing"),
    Mutant(
        "a secret in a representation", "SigningKey",
        "secret: bytes = dataclasses.field(repr=False)", "secret: bytes", "test_signing",
    ),
    Mutant(
        "a secret in a message", "signing:_parse",
        'f"{where} is not of the form {_FORM}: it has {len(parts)} parts between colons. {_HOW}"',
        'f"{where} is not of the form {_FORM}: it has {parts} between colons. {_HOW}"', "test_signing",
    ),
    Mutant(
        "the verdict of another model", "VerdictRecord.refusal",
        "self.model_digest != model_digest", "self.model_digest is None", "test_signing",
    ),
    Mutant(
        "a verdict of any age", "VerdictRecord.refusal",
        "-CLOCK_SKEW <= age <= max_age", "-CLOCK_SKEW <= age", "test_signing",
    ),
    Mutant(
        "a verdict of the future", "VerdictRecord.refusal",
        "-CLOCK_SKEW <= age <= max_age", "age <= max_age", "test_signing",
    ),
    Mutant(
        "a refusing verdict", "VerdictRecord.refusal",
        "self.blessed is not True", "self.blessed is None", "test_signing",
    ),
]  # fmt: skip
