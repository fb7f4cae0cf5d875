"""Bugs in keys, signatures and statements, and in what a signed verdict is held against."""

from __future__ import annotations

from mutants.mutant import Mutant

SIGNING = [
    Mutant(
        "whoever knows a public key can sign", "VerificationKey.public",
        'self.algorithm == "hmac-sha256"', 'self.algorithm in ("hmac-sha256", "ed25519")', "test_keys test_envelope",
    ),
    Mutant(
        "the type is not signed", "pre_authentication_encoding",
        "(len(kind), kind, len(payload), payload)", '(0, b"", len(payload), payload)', "test_envelope",
    ),
    Mutant(
        "type and payload without their lengths", "pre_authentication_encoding",
        'b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)', 'b"DSSEv1 %s %s" % (kind, payload)',
        "test_envelope",
    ),
    Mutant(
        "any signature holds", "envelope:_check_signature",
        "key.holds(raw, message) is not True", "key.holds(raw, message) is None",
        "test_envelope::test_any_flipped_bit_breaks_the_signature",
    ),
    Mutant(
        "the envelope is not compared with the file", "envelope:check",
        "signed != payload", "signed is None", "test_envelope",
    ),
    Mutant(
        "what the envelope holds is checked, not the file", "envelope:check",
        """
        if signed != payload: ...
        message = pre_authentication_encoding(payload, PAYLOAD_TYPE)
        """,
        "message = pre_authentication_encoding(signed, PAYLOAD_TYPE)", "test_envelope",
    ),
    Mutant(
        "any type of payload", "envelope:check",
        "envelope.payload_type != PAYLOAD_TYPE", "not envelope.payload_type", "test_envelope",
    ),
    Mutant(
        "no trusted key signed", "envelope:check",
        "if not known: ...\nreturn known[0][0].key_id", "return envelope.signatures[0].keyid", "test_envelope",
    ),
    Mutant(
        "one bad signature of a trusted key is ignored", "envelope:check",
        "for key, signature in known: ...",
        """
        for key, signature in known[:1]:
            _check_signature(signature, message, key)
        """,
        "test_envelope",
    ),
    Mutant(
        "several lines in an envelope", "envelope:_read",
        "any(lines[1:]) or len(lines) > 2", "False", "test_envelope",
    ),
    Mutant("one key signs twice", "_Envelope._each_key_once", "ids.count(key_id) > 1", "False", "test_envelope"),
    Mutant(
        "any number of signatures", "_Envelope",
        "pydantic.Field(min_length=1, max_length=MAX_SIGNATURES)", "pydantic.Field(min_length=1)", "test_envelope",
    ),
    Mutant(
        "a key elsewhere signs for another", "RemoteKey.sign",
        "self.verification_key.holds(signature, message) is not True", "False", "test_keys",
    ),
    Mutant(
        "a key elsewhere without its public key", "remote_key:remote_key",
        "key is None or key.algorithm not in PUBLIC_ALGORITHMS", "key is None", "test_keys",
    ),
    Mutant(
        "a key of any curve", "keys:_p256",
        "not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1)",
        "not isinstance(key, ec.EllipticCurvePublicKey)", "test_keys",
    ),
    Mutant(
        "a public key of several forms", "keys:_p256",
        "key.public_bytes(*form) == material", "True", "test_keys",
    ),
    Mutant(
        "the beginning of a MAC will do", "VerificationKey.holds",
        'hmac.compare_digest(hmac.digest(self.material, message, "sha256"), signature)',
        'hmac.digest(self.material, message, "sha256").startswith(signature)', "test_keys",
    ),
    Mutant(
        "a short secret", "_check_key",
        "not len(content) >= MIN_HMAC_BYTES", "not len(content) >= 16", "test_keys",
    ),
    Mutant("a placeholder for a key", "keys:_parse", "len(set(content)) == 1", "len(set(content)) < 1", "test_keys"),
    Mutant(
        "a signature of several texts", "decode_base64",
        "base64.b64encode(raw, alphabet).decode() == text", "True", "test_envelope",
    ),
    Mutant("a key id twice", "VerificationKeys.__init__", "key.key_id in self._keys", 'key.key_id == ""', "test_keys"),
    Mutant("one key under two ids", "VerificationKeys.__init__", "key.material in contents", "False", "test_keys"),
    Mutant(
        "a secret in a representation", "SigningKey",
        "secret: bytes = dataclasses.field(repr=False)", "secret: bytes", "test_keys",
    ),
    Mutant(
        "a secret in a message", "keys:_parse",
        'f"{where} is not of the form {_FORM}: it has {len(parts)} parts between colons. {HOW}"',
        'f"{where} is not of the form {_FORM}: it has {parts} between colons. {HOW}"', "test_keys",
    ),
    Mutant(
        "the predicate's type is not checked", "statement:from_json",
        "found.predicate_type != kind.predicate_type", "not found.predicate_type", "test_statement",
    ),
    Mutant(
        "the subject's digest is not checked", "statement:from_json",
        "subjects != _subjects(record)", "len(subjects) != len(_subjects(record))", "test_statement",
    ),
    Mutant(
        "a second subject", "statement:from_json",
        "subjects != _subjects(record)", "subjects[:1] != _subjects(record)", "test_statement",
    ),
    Mutant(
        "a refusal of no model names one", "statement:_subjects",
        "if record.subject_digest is None: ...", 'if record.model_digest is None:\n    return [{"name": SUBJECT_NAME}]',
        "test_statement",
    ),
    Mutant(
        "a record that says no version", "VersionedRecord._says_its_version",
        'info.mode == "json" and "schema_version" not in self.model_fields_set', "False", "test_statement",
    ),
    Mutant(
        "true is version 1", "base:_whole_number", "type(value) is not int", "not isinstance(value, int)",
        "test_statement",
    ),
    Mutant(
        "canonical JSON as Python writes it", "strict_json:canonical",
        "rfc8785.dumps(value).decode()",
        'json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))', "test_canonical_json",
    ),
    Mutant(
        "blessed is not held against the rules", "_Concluding._read",
        "strict_json.canonical(value[name]) != strict_json.canonical(conclusion)",
        'name != "blessed" and strict_json.canonical(value[name]) != strict_json.canonical(conclusion)', "test_verdict",
    ),
    Mutant(
        "no rule is a blessing", "Verdict.blessed",
        "not self.missing and all(rule.holds is True for rule in self.rules)",
        "all(rule.holds is True for rule in self.rules)", "test_verdict",
    ),
    Mutant(
        "a rule that could not be checked is excused", "RuleResult.holds",
        'self.status == "failed" and self.exception is not None', "self.exception is not None", "test_verdict",
    ),
    Mutant(
        "an exception of nobody's policy", "Verdict._check_excused",
        "exception not in self.policy.exceptions", "False", "test_verdict",
    ),
    Mutant(
        "a model without a digest is blessed", "Verdict._consistent",
        "self.blessed and self.model_digest is None", "False", "test_verdict",
    ),
    Mutant("a rule twice", "Verdict._consistent", "len(set(names)) != len(names)", "False", "test_verdict"),
    Mutant(
        "the verdict of another model", "verdict_file:refusal",
        "verdict.model_digest != model_digest", "verdict.model_digest is None", "test_verdict",
    ),
    Mutant(
        "a verdict of any age", "verdict_file:refusal",
        "-CLOCK_SKEW <= age <= max_age", "-CLOCK_SKEW <= age", "test_verdict",
    ),
    Mutant(
        "a verdict of the future", "verdict_file:refusal",
        "-CLOCK_SKEW <= age <= max_age", "age <= max_age", "test_verdict",
    ),
    Mutant(
        "a refusing verdict", "verdict_file:refusal",
        "verdict.blessed is not True", "verdict.blessed is None", "test_verdict",
    ),
]  # fmt: skip
