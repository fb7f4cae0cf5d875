import base64
import dataclasses
import datetime
import hmac
import traceback
from typing import Any

import evidence
import pydantic
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_privacy import cli
from tfx_privacy.errors import EvidenceError, InternalError, ParameterError
from tfx_privacy.gate import verdict_file
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.records import signing, strict_json
from tfx_privacy.records.signing import (
    Algorithm,
    Signature,
    SigningKey,
    VerificationKey,
    VerificationKeys,
)

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SECRET = bytes(range(32))
MATERIAL = {"ed25519": (SEED, PUBLIC), "hmac-sha256": (SECRET, SECRET)}
PAYLOAD = b'{"epsilon": 1.5}'
TYPE = signing.GUARANTEE_TYPE
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def key_pair(algorithm: Any, key_id: str = "trainer") -> tuple[SigningKey, VerificationKeys]:
    secret, public = MATERIAL[algorithm]
    return SigningKey(algorithm, key_id, secret), VerificationKeys([VerificationKey(algorithm, key_id, public)])


def entry(algorithm: str = "hmac-sha256", key_id: str = "trainer", content: bytes = SECRET) -> str:
    return f"{algorithm}:{key_id}:{encoded(content)}"


# RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc).
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]

# RFC 4231, sections 4.7 and 4.8: the two whose key is long enough for this project.
RFC_4231 = [
    (
        "aa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First".hex(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        "aa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.".hex(),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_ed25519_is_that_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    data, expected = bytes.fromhex(message), bytes.fromhex(signature)
    assert SigningKey("ed25519", "key", bytes.fromhex(seed)).sign(data) == expected
    key = VerificationKey("ed25519", "key", bytes.fromhex(public))
    assert key.holds(expected, data)
    assert not key.holds(expected, data + b"\0")
    # RFC 8032, section 5.1.7: S below the group's order, or a signature would have a second form.
    scalar = int.from_bytes(expected[32:], "little") + ED25519_ORDER
    assert not key.holds(expected[:32] + scalar.to_bytes(32, "little"), data)


@pytest.mark.parametrize(("secret", "message", "mac"), RFC_4231)
def test_hmac_is_that_of_rfc_4231(secret: str, message: str, mac: str) -> None:
    data, expected = bytes.fromhex(message), bytes.fromhex(mac)
    assert SigningKey("hmac-sha256", "key", bytes.fromhex(secret)).sign(data) == expected
    assert VerificationKey("hmac-sha256", "key", bytes.fromhex(secret)).holds(expected, data)
    assert not VerificationKey("hmac-sha256", "key", bytes.fromhex(secret)).holds(expected[:16], data)


# From DSSE's protocol.md and testvectors/vectors.json (the same key as RFC 8032's first test).
DSSE = [
    (
        b'{"_type":"https://in-toto.io/Statement/v1"}', "application/vnd.in-toto+json",
        "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==",
    ),
    (
        b'{"_type":"https://in-toto.io/Statement/v1"}', "application/vnd.ex\u00e4mple+json",
        "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw==",
    ),
    (
        b"", "application/vnd.in-toto+json",
        "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg==",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "payload_type", "signature"), DSSE)
def test_what_is_signed_is_dsses_encoding(payload: bytes, payload_type: str, signature: str) -> None:
    key, keys = key_pair("ed25519", "A")
    made = signing.sign(payload, payload_type, key)
    assert made.signature == signature
    assert signing.verify(payload, payload_type, made, keys) == "A"


def test_the_encoding_of_dsses_protocol() -> None:
    assert (
        signing.pre_authentication_encoding(b"hello world", "http://example.com/HelloWorld")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=40), st.text(max_size=20), st.binary(max_size=40), st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_two_pairs_have_one_encoding(a: bytes, kind_a: str, b: bytes, kind_b: str) -> None:
    same = signing.pre_authentication_encoding(a, kind_a) == signing.pre_authentication_encoding(b, kind_b)
    assert same == ((a, kind_a) == (b, kind_b))


def flip(data: bytes, bit: int) -> bytes:
    position, shift = divmod(bit % (8 * len(data)), 8)
    return data[:position] + bytes([data[position] ^ 1 << shift]) + data[position + 1 :]


@pytest.mark.parametrize("algorithm", signing.ALGORITHMS)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_breaks_the_signature(algorithm: Algorithm, payload: bytes, bit: int) -> None:
    key, keys = key_pair(algorithm)
    made = signing.sign(payload, TYPE, key)
    assert signing.verify(payload, TYPE, Signature.from_json(made.to_json()), keys) == "trainer"
    raw = base64.b64decode(made.signature)
    text = made.to_json().encode()
    for changed_payload, changed_type, changed in (
        (flip(payload, bit), TYPE, lambda: made),
        (payload, flip(TYPE.encode(), bit).decode("latin-1"), lambda: made),
        (payload, TYPE, lambda: made.model_copy(update={"signature": encoded(flip(raw, bit))})),
        (payload, TYPE, lambda: made.model_copy(update={"signature": encoded(raw[: bit % len(raw)])})),
        (payload, TYPE, lambda: made.model_copy(update={"signature": encoded(raw + b"\0")})),
    ):
        with pytest.raises(EvidenceError):
            signing.verify(changed_payload, changed_type, changed(), keys)
    # No bit of the file's text is free, but for white space between its parts.
    try:
        read = Signature.from_json(flip(text, bit))
        assert read == made or not signing.verify(payload, TYPE, read, keys)
    except EvidenceError:
        pass


@pytest.mark.parametrize("algorithm", signing.ALGORITHMS)
def test_a_guarantees_signature_is_no_evaluations(algorithm: Algorithm) -> None:
    key, keys = key_pair(algorithm)
    made = signing.sign(PAYLOAD, TYPE, key)
    with pytest.raises(EvidenceError, match="is for 'application/vnd.tfx-privacy.guarantee"):
        signing.verify(PAYLOAD, signing.EVALUATION_TYPE, made, keys)
    relabelled = made.model_copy(update={"payload_type": signing.EVALUATION_TYPE})
    with pytest.raises(EvidenceError, match="does not hold"):
        signing.verify(PAYLOAD, signing.EVALUATION_TYPE, relabelled, keys)


def test_a_public_key_is_no_secret_of_hmac() -> None:
    """Who knows a verifier's Ed25519 keys must not sign with them by naming the other algorithm."""
    _, keys = key_pair("ed25519")
    mac = hmac.digest(PUBLIC, signing.pre_authentication_encoding(PAYLOAD, TYPE), "sha256")
    forged = Signature(algorithm="hmac-sha256", key_id="trainer", payload_type=TYPE, signature=encoded(mac))
    with pytest.raises(EvidenceError, match="says 'hmac-sha256', but key 'trainer' is for 'ed25519'"):
        signing.verify(PAYLOAD, TYPE, forged, keys)
    with pytest.raises(EvidenceError, match="does not hold"):
        signing.verify(PAYLOAD, TYPE, forged.model_copy(update={"algorithm": "ed25519"}), keys)
    with pytest.raises(ParameterError, match="under another id or algorithm"):
        signing.verification_keys(
            {signing.VERIFICATION_KEYS_VARIABLE: f"{entry('ed25519', 'a', PUBLIC)} {entry('hmac-sha256', 'b', PUBLIC)}"}
        )


def test_another_key_and_an_unknown_key_are_refused() -> None:
    key, _ = key_pair("ed25519")
    made = signing.sign(PAYLOAD, TYPE, key)
    others = VerificationKeys([VerificationKey("ed25519", "trainer", bytes.fromhex(RFC_8032[1][1]))])
    with pytest.raises(EvidenceError, match="does not hold"):
        signing.verify(PAYLOAD, TYPE, made, others)
    with pytest.raises(EvidenceError, match=r"'trainer', which is not in TFX_PRIVACY_VERIFICATION_KEYS: it is not set"):
        signing.verify(PAYLOAD, TYPE, made, VerificationKeys())
    _, renamed = key_pair("ed25519", "gate")
    with pytest.raises(EvidenceError, match="it holds gate"):
        signing.verify(PAYLOAD, TYPE, made, renamed)


def test_the_record_of_a_signature_is_strict() -> None:
    made = signing.sign(PAYLOAD, TYPE, key_pair("hmac-sha256")[0]).model_dump()
    for text in (
        strict_json.dumps({**made, "note": "trust me"}),
        strict_json.dumps({**made, "algorithm": "none"}),
        strict_json.dumps({**made, "algorithm": "HMAC-SHA256"}),
        strict_json.dumps({**made, "schema_version": 2}),
        strict_json.dumps({**made, "key_id": "trainer\n"}),
        strict_json.dumps({name: value for name, value in made.items() if name != "payload_type"}),
        strict_json.dumps(made).replace("{", '{"key_id": "gate",', 1),
        "[]",
    ):
        with pytest.raises(EvidenceError):
            Signature.from_json(text)
    with pytest.raises(pydantic.ValidationError):
        Signature.model_validate({**made, "payload_type": ""})


@pytest.mark.parametrize(
    "change", [lambda s: s.rstrip("="), lambda s: s + "\n", lambda s: s[:-2] + "J=", lambda s: "-" + s[1:]]
)
def test_a_signature_has_one_text(change: Any) -> None:
    """Base64 takes several texts for the same bytes."""
    key, keys = key_pair("hmac-sha256")
    made = signing.sign(PAYLOAD, TYPE, key)
    changed = change(made.signature)
    assert changed != made.signature
    with pytest.raises(EvidenceError):
        signing.verify(PAYLOAD, TYPE, made.model_copy(update={"signature": changed}), keys)


MALFORMED = {
    "empty": "",
    "blank": "  ",
    "no colons": encoded(SECRET),
    "no id": f"hmac-sha256:{encoded(SECRET)}",
    "four parts": f"{entry()}:more",
    "unknown algorithm": entry("hmac-sha512"),
    "upper case": entry("HMAC-SHA256"),
    "no algorithm": entry(""),
    "empty id": entry(key_id=""),
    "id with a space": entry(key_id="a b"),
    "long id": entry(key_id="a" * 65),
    "id that ends in a dot": entry(key_id="a."),
    "no base64": "hmac-sha256:trainer:" + "*" * 44,
    "no padding": entry().rstrip("="),
    "bits beyond the end": f"hmac-sha256:trainer:{encoded(SECRET)[:-2]}9=",
    "url-safe base64": "hmac-sha256:trainer:" + base64.urlsafe_b64encode(b"\xfb" * 31 + b"\xff").decode(),
    "hexadecimal": f"hmac-sha256:trainer:{SECRET.hex()}x",
    "short secret": entry(content=SECRET[:31]),
    "short seed": entry("ed25519", content=SEED[:31]),
    "expanded seed": entry("ed25519", content=SEED + PUBLIC),
    "placeholder": entry(content=b"\0" * 32),
    "id and secret swapped": f"hmac-sha256:{encoded(SECRET).rstrip('=')}:trainer",
    "secret first": f"{encoded(SECRET)}:trainer:hmac-sha256",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_key_is_refused_and_not_shown(text: str) -> None:
    for name, read in (
        (signing.SIGNING_KEY_VARIABLE, signing.signing_key),
        (signing.VERIFICATION_KEYS_VARIABLE, signing.verification_keys),
    ):
        if name == signing.VERIFICATION_KEYS_VARIABLE and " " in text.strip():
            continue  # two malformed keys there
        with pytest.raises(ParameterError, match=name) as refused:
            read({name: text})
        shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.args)
        for content in (SECRET, SEED):
            assert not any(part in shown for part in secret_texts(content))


def secret_texts(content: bytes) -> list[str]:
    return [encoded(content).rstrip("="), encoded(content[:31])[:38], content.hex(), repr(content), repr(content[:31])]


def test_no_representation_shows_a_secret() -> None:
    environ = {signing.SIGNING_KEY_VARIABLE: entry() + "\n", signing.VERIFICATION_KEYS_VARIABLE: entry()}
    key, keys = signing.signing_key(environ), signing.verification_keys(environ)
    assert key is not None
    made = signing.new_key("hmac-sha256", "trainer")
    contents = [SECRET, base64.b64decode(made.signing.rpartition(":")[2])]
    for shown in (repr(key), str(key), repr(keys), str(keys), repr(keys.get("trainer")), repr(made), f"{key!r} {made}"):
        assert not any(part in shown for content in contents for part in secret_texts(content))
    assert "trainer" in repr(key)
    assert keys.ids == ("trainer",)


def test_keys_of_the_environment() -> None:
    assert signing.signing_key({}) is None
    assert not signing.verification_keys({})
    two = f"{entry('ed25519', 'a', PUBLIC)},\n {entry('hmac-sha256', 'b')}"
    keys = signing.verification_keys({signing.VERIFICATION_KEYS_VARIABLE: two})
    assert keys.ids == ("a", "b")
    for name, algorithm in (("a", "ed25519"), ("b", "hmac-sha256")):
        made = signing.sign(PAYLOAD, TYPE, SigningKey(algorithm, name, MATERIAL[algorithm][0]))  # type: ignore[arg-type]
        assert signing.verify(PAYLOAD, TYPE, made, keys) == name
    with pytest.raises(ParameterError, match="Key id 'a' is given twice"):
        signing.verification_keys(
            {signing.VERIFICATION_KEYS_VARIABLE: f"{entry('ed25519', 'a', PUBLIC)} {entry('hmac-sha256', 'a')}"}
        )


@pytest.mark.parametrize("algorithm", signing.ALGORITHMS)
def test_the_command_prints_a_pair_that_fits(algorithm: Algorithm) -> None:
    done = [
        CliRunner().invoke(cli.cli, ["keys", "new", "--algorithm", algorithm, "--key-id", "gate-1"]) for _ in range(2)
    ]
    assert [result.exit_code for result in done] == [0, 0]
    assert done[0].output != done[1].output
    environ = dict(line.split("=", 1) for line in done[0].output.splitlines())
    key = signing.signing_key(environ)
    assert key is not None
    assert key.algorithm == algorithm
    keys = signing.verification_keys(environ)
    assert signing.verify(PAYLOAD, TYPE, signing.sign(PAYLOAD, TYPE, key), keys) == "gate-1"
    same = environ[signing.SIGNING_KEY_VARIABLE] == environ[signing.VERIFICATION_KEYS_VARIABLE]
    assert same == (algorithm == "hmac-sha256")


def test_the_command_refuses_an_id_that_no_signature_could_have() -> None:
    done = CliRunner().invoke(cli.cli, ["keys", "new", "--key-id", "a:b"])
    assert isinstance(done.exception, ParameterError)


def verdict(**changes: Any) -> Verdict:
    return decide(evidence.make_evidence(**changes), evidence.POLICY, now=evidence.NOW)


def record(**changes: Any) -> verdict_file.VerdictRecord:
    found = verdict_file.VerdictRecord.from_json(verdict_file.to_json(verdict()))
    return found.model_copy(update=changes)


def refusal(found: verdict_file.VerdictRecord, hours: float = 1.0, digest: str = evidence.DIGEST) -> str | None:
    now = evidence.NOW + datetime.timedelta(hours=hours)
    return found.refusal(model_digest=digest, now=now, max_age=datetime.timedelta(hours=24))


def test_a_fresh_verdict_of_this_model_lets_it_pass() -> None:
    assert refusal(record()) is None
    assert refusal(record(), hours=24.0) is None
    assert refusal(record(), hours=-0.08) is None


def test_an_old_verdict_and_one_of_the_future_are_refused() -> None:
    assert "older than 1 day" in (refusal(record(), hours=24.001) or "")
    assert "in the future" in (refusal(record(), hours=-0.09) or "")
    with pytest.raises(EvidenceError, match="no time zone"):
        refusal(record(decided_at="2026-01-02T12:00:00"))


def test_a_verdict_that_is_not_about_this_model_is_false_evidence() -> None:
    with pytest.raises(EvidenceError, match="another one"):
        refusal(record(), digest=evidence.OTHER_DIGEST)
    with pytest.raises(EvidenceError, match="another one"):
        refusal(record(model_digest=None))
    with pytest.raises(EvidenceError, match="says yes, but its verdict.json does not"):
        refusal(record(blessed=False))


def test_the_verdicts_file_names_its_model() -> None:
    found = record()
    assert found.blessed is True
    assert found.model_digest == evidence.DIGEST
    unreadable = EvidenceError("There is no file to take a digest of.")
    refused = verdict_file.to_json(verdict(model_digest=unreadable))
    assert verdict_file.VerdictRecord.from_json(refused).model_digest is None
    with pytest.raises(InternalError, match="without a digest"):
        verdict_file.to_json(dataclasses.replace(verdict(), model_digest=None))


@pytest.mark.parametrize(
    "changes",
    [{"blessed": 1}, {"blessed": "true"}, {"schema_version": 1}, {"model_digest": "sha256:"}, {"decided_at": None}],
)
def test_a_verdict_is_read_strictly(changes: dict[str, Any]) -> None:
    content = strict_json.loads(verdict_file.to_json(verdict()))
    with pytest.raises(EvidenceError):
        verdict_file.VerdictRecord.from_json(strict_json.dumps({**content, **changes}))
    del content[next(iter(changes))]
    with pytest.raises(EvidenceError):
        verdict_file.VerdictRecord.from_json(strict_json.dumps(content))


def test_a_key_of_the_wrong_length_cannot_be_made() -> None:
    for length in (0, 31):
        for algorithm in signing.ALGORITHMS:
            with pytest.raises(ParameterError, match=f"{length} bytes"):
                SigningKey(algorithm, "key", b"\1" * length)
