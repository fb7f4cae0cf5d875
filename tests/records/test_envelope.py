import base64
import copy
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from key_pairs import P256, PUBLIC, SEED, EllipticKey, encoded, key_pair, signer
from securesystemslib import dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from tfx_privacy.errors import EvidenceError
from tfx_privacy.records import envelope, keys, strict_json
from tfx_privacy.records.keys import SigningKey, VerificationKey, VerificationKeys

PAYLOAD = b'{"epsilon": 1.5}'
Document = dict[str, Any]

# From DSSE's protocol.md and testvectors/vectors.json (the key of RFC 8032's first test).
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
    key, trusted = key_pair("ed25519", "A")
    message = envelope.pre_authentication_encoding(payload, payload_type)
    assert encoded(key.sign(message)) == signature
    if payload_type == envelope.PAYLOAD_TYPE:
        assert sealed(key, payload)["signatures"] == [{"keyid": "A", "sig": signature}]
        assert checked(sealed(key, payload), trusted, payload) == "A"


def test_the_encoding_of_dsses_protocol() -> None:
    assert (
        envelope.pre_authentication_encoding(b"hello world", "http://example.com/HelloWorld")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=40), st.text(max_size=20), st.binary(max_size=40), st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_two_pairs_have_one_encoding(a: bytes, kind_a: str, b: bytes, kind_b: str) -> None:
    same = envelope.pre_authentication_encoding(a, kind_a) == envelope.pre_authentication_encoding(b, kind_b)
    assert same == ((a, kind_a) == (b, kind_b))


def sealed(key: keys.Signer, payload: bytes = PAYLOAD) -> Document:
    text = envelope.seal(payload, key)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    found: Document = json.loads(text)
    return found


def checked(document: Any, trusted: VerificationKeys, payload: bytes = PAYLOAD) -> str:
    return envelope.check(json.dumps(document).encode(), payload, trusted)


def flip(data: bytes, bit: int) -> bytes:
    position, shift = divmod(bit % (8 * len(data)), 8)
    return data[:position] + bytes([data[position] ^ 1 << shift]) + data[position + 1 :]


def with_signature(document: Document, raw: bytes) -> Document:
    (signature,) = document["signatures"]
    return {**document, "signatures": [{**signature, "sig": encoded(raw)}]}


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_breaks_the_signature(algorithm: keys.Algorithm, payload: bytes, bit: int) -> None:
    key, trusted = key_pair(algorithm)
    made = sealed(key, payload)
    assert checked(made, trusted, payload) == "trainer"
    raw = base64.b64decode(made["signatures"][0]["sig"])
    both = {**made, "payload": encoded(flip(payload, bit))}
    for changed_payload, changed in (
        (flip(payload, bit), made),
        (payload, both),
        (flip(payload, bit), both),
        (payload, with_signature(made, flip(raw, bit))),
        (payload, with_signature(made, raw[: bit % len(raw)])),
        (payload, with_signature(made, raw + b"\0")),
    ):
        with pytest.raises(EvidenceError):
            checked(changed, trusted, changed_payload)


@given(st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_no_bit_of_the_envelope_is_free(bit: int) -> None:
    """But white space, and DSSE's other base64 alphabet: they say the same."""
    key, trusted = key_pair("ed25519")
    text = envelope.seal(PAYLOAD, key).encode()
    changed = flip(text, bit)
    try:
        envelope.check(changed, PAYLOAD, trusted)
    except EvidenceError:
        return
    same = changed.decode().translate(str.maketrans("-_", "+/"))
    assert json.loads(same) == json.loads(text)


def test_an_envelope_is_of_the_file_next_to_it() -> None:
    """Both are honest and signed, but not of one another."""
    key, trusted = key_pair("ed25519")
    with pytest.raises(EvidenceError, match="What the envelope holds is not the file next to it"):
        checked(sealed(key, b"{}"), trusted)


def test_a_signature_of_another_type_does_not_hold() -> None:
    key, trusted = key_pair("ed25519")
    other = "application/vnd.docker.distribution.manifest+json"
    message = envelope.pre_authentication_encoding(PAYLOAD, other)
    made = with_signature(sealed(key), key.sign(message))
    with pytest.raises(EvidenceError, match="does not hold"):
        checked(made, trusted)
    with pytest.raises(EvidenceError, match=f"payloadType='{other}'".replace("+", r"\+")):
        checked({**made, "payloadType": other}, trusted)


def test_a_public_key_is_no_secret_of_hmac() -> None:
    """The algorithm is the key's: no field of the envelope has a say, whatever its name."""
    key, trusted = key_pair("ed25519")
    mac = hmac.digest(PUBLIC, envelope.pre_authentication_encoding(PAYLOAD, envelope.PAYLOAD_TYPE), "sha256")
    forged = with_signature(sealed(key), mac)
    for name in ("algorithm", "alg", "scheme"):
        (signature,) = forged["signatures"]
        with pytest.raises(EvidenceError, match="does not hold"):
            checked({**forged, name: "hmac-sha256", "signatures": [{**signature, name: "hmac-sha256"}]}, trusted)


def test_another_key_and_an_unknown_key_are_refused() -> None:
    made = sealed(key_pair("ed25519")[0])
    other = Ed25519PrivateKey.from_private_bytes(b"\1" * 31 + b"\2").public_key().public_bytes_raw()
    with pytest.raises(EvidenceError, match="The signature of key 'trainer' does not hold"):
        checked(made, VerificationKeys([VerificationKey("ed25519", "trainer", other)]))
    with pytest.raises(EvidenceError, match=r"'trainer', which is not in TFX_PRIVACY_VERIFICATION_KEYS: it is not set"):
        checked(made, VerificationKeys())
    with pytest.raises(EvidenceError, match="it holds gate"):
        checked(made, key_pair("ed25519", "gate")[1])


def several() -> tuple[Document, VerificationKeys]:
    """Signed by three, of whom two are trusted."""
    made = sealed(signer("ed25519", "stranger"))
    made["signatures"][0]["sig"] = encoded(b"of a kind that is not known here")
    trusted = []
    for algorithm, name in (("hmac-sha256", "team"), ("ecdsa-p256", "cloud")):
        key, known = key_pair(algorithm, name)
        made["signatures"] += sealed(key)["signatures"]
        found = known.get(name)
        assert found is not None
        trusted.append(found)
    return made, VerificationKeys(trusted)


def test_of_several_signatures_strangers_are_ignored() -> None:
    made, trusted = several()
    assert checked(made, trusted) == "team"
    made["signatures"].reverse()
    assert checked(made, trusted) == "cloud"
    del made["signatures"][2]["keyid"]
    assert checked(made, trusted) == "cloud"
    with pytest.raises(EvidenceError, match="none of which is in TFX_PRIVACY_VERIFICATION_KEYS: it holds gate"):
        checked(made, key_pair("ed25519", "gate")[1])


@pytest.mark.parametrize("position", [1, 2])
def test_one_trusted_signature_that_does_not_hold_is_a_refusal(position: int) -> None:
    made, trusted = several()
    made["signatures"][position]["sig"] = encoded(b"\1" * 64)
    with pytest.raises(EvidenceError, match="does not hold"):
        checked(made, trusted)
    made["signatures"][position]["sig"] = "*"
    with pytest.raises(EvidenceError, match="not in base64"):
        checked(made, trusted)


def _set(*path: Any, to: Any) -> Callable[[Document], object]:
    def change(document: Document) -> None:
        at: Any = document
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = to

    return change


def _more(number: int) -> Callable[[Document], object]:
    return lambda d: d["signatures"].extend({"keyid": f"k{index}", "sig": ""} for index in range(number))


MALFORMED: dict[str, tuple[Callable[[Document], object], str]] = {
    "no signature": (_set("signatures", to=[]), "at least 1 item"),
    "no list of signatures": (_set("signatures", to={}), "valid array"),
    "17 signatures": (_more(16), "at most 16 items"),
    "one keyid twice": (lambda d: d["signatures"].append(d["signatures"][0]), "two signatures have the keyid"),
    "an empty keyid twice": (
        lambda d: d["signatures"].extend([{"sig": ""}, {"keyid": "", "sig": ""}]), "two signatures have the keyid ''",
    ),
    "no payload": (lambda d: d.pop("payload"), "payload"),
    "no payloadType": (lambda d: d.pop("payloadType"), "payloadType"),
    "payloadType in upper case": (_set("payloadType", to="application/vnd.In-Toto+json"), "is of payloadType"),
    "payload_type": (lambda d: d.update(payload_type=d.pop("payloadType")), "payloadType"),
    "no sig": (_set("signatures", 0, to={"keyid": "trainer"}), "sig"),
    "keyid is a number": (_set("signatures", 0, "keyid", to=1), "keyid"),
    "keyid is null": (_set("signatures", 0, "keyid", to=None), "keyid"),
    "payload in hexadecimal": (_set("payload", to=PAYLOAD.hex() + "x"), "not in base64"),
    "payload without padding": (_set("payload", to=encoded(b"ab").rstrip("=")), "not in base64"),
    "payload in plain text": (_set("payload", to=PAYLOAD.decode()), "not in base64"),
    "empty payload": (_set("payload", to=""), "not the file next to it"),
    "an object": (_set("payload", to={}), "payload"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_envelope_is_refused(change: Callable[[Document], object], message: str) -> None:
    key, trusted = key_pair("ed25519")
    made = copy.deepcopy(sealed(key))
    change(made)
    with pytest.raises(EvidenceError, match=message):
        checked(made, trusted)


def test_sixteen_signatures_are_read() -> None:
    key, trusted = key_pair("ed25519")
    made = sealed(key)
    _more(15)(made)
    assert checked(made, trusted) == "trainer"


def test_an_envelope_is_one_line_of_strict_json() -> None:
    key, trusted = key_pair("ed25519")
    line = envelope.seal(PAYLOAD, key).encode()
    assert envelope.check(line.rstrip(b"\n"), PAYLOAD, trusted) == "trainer"
    for text, message in (
        (line + line, "one line"),
        (b"\n" + line, "one line"),
        (line + b"\n", "one line"),
        (line[:-2] + b"\n}\n", "one line"),
        (b"", "strict JSON"),
        (b"[]", "Envelope"),
        (b"\xff", "strict JSON"),
        (line.replace(b"{", b'{"payload":"",', 1), "duplicate key"),
        (line.replace(b'"sig"', b'"keyid":"gate","sig"'), "duplicate key"),
        (line.replace(b"{", b'{"more":NaN,', 1), "NaN"),
        (b" " * envelope.MAX_BYTES + line, "larger than the limit"),
        (b"[" * 100 + b"]" * 100, "deep"),
    ):
        with pytest.raises(EvidenceError, match=message):
            envelope.check(text, PAYLOAD, trusted)


@pytest.mark.parametrize(
    "change",
    [lambda s: s.rstrip("="), lambda s: s + " ", lambda s: s[:-3] + chr(ord(s[-3]) + 1) + "==", lambda s: "*" + s],
)
def test_a_signature_has_one_text(change: Callable[[str], str]) -> None:
    """Base64 takes several texts for the same bytes."""
    key, trusted = key_pair("ed25519")
    made = sealed(key)
    (signature,) = made["signatures"]
    changed = change(signature["sig"])
    assert changed != signature["sig"]
    with pytest.raises(EvidenceError, match="not in base64"):
        checked({**made, "signatures": [{**signature, "sig": changed}]}, trusted)


def test_url_safe_base64_is_read() -> None:
    """DSSE: verifiers must take both alphabets."""
    key, trusted = key_pair("ed25519")
    payload = b'{"a":"\xc3\xbf\xc3\xbf\xc3\xbe???"}'
    made = sealed(key, payload)
    (signature,) = made["signatures"]
    safe = {
        **made,
        "payload": base64.urlsafe_b64encode(payload).decode(),
        "signatures": [{**signature, "sig": signature["sig"].translate(str.maketrans("+/", "-_"))}],
    }
    assert safe["payload"] != made["payload"]
    assert checked(safe, trusted, payload) == "trainer"


def _sslib_key(algorithm: str, key_id: str = "trainer") -> SSlibKey:
    found = key_pair(algorithm, key_id)[1].get(key_id)
    assert found is not None
    assert found.public is not None
    return SSlibKey.from_crypto(found.public, keyid=key_id)


@pytest.mark.parametrize("algorithm", keys.PUBLIC_ALGORITHMS)
def test_securesystemslib_verifies_our_envelopes(algorithm: keys.Algorithm) -> None:
    line = envelope.seal(PAYLOAD, signer(algorithm))
    theirs = dsse.Envelope.from_dict(json.loads(line))
    assert theirs.payload == PAYLOAD
    assert theirs.payload_type == envelope.PAYLOAD_TYPE
    assert list(theirs.verify([_sslib_key(algorithm)], 1)) == ["trainer"]
    theirs.payload += b" "
    with pytest.raises(VerificationError):
        theirs.verify([_sslib_key(algorithm)], 1)


@pytest.mark.parametrize("algorithm", keys.PUBLIC_ALGORITHMS)
def test_we_verify_securesystemslibs_envelopes(algorithm: keys.Algorithm) -> None:
    private: Any = P256 if algorithm == "ecdsa-p256" else Ed25519PrivateKey.from_private_bytes(SEED)
    theirs = dsse.Envelope(PAYLOAD, envelope.PAYLOAD_TYPE, {})
    theirs.sign(CryptoSigner(private, _sslib_key(algorithm)))
    assert checked(theirs.to_dict(), key_pair(algorithm)[1]) == "trainer"


def test_another_ecdsa_key_does_not_hold() -> None:
    made = sealed(EllipticKey("trainer", ec.derive_private_key(5, ec.SECP256R1())))
    with pytest.raises(EvidenceError, match="does not hold"):
        checked(made, key_pair("ecdsa-p256")[1])


def test_the_line_is_canonical() -> None:
    line = envelope.seal(PAYLOAD, SigningKey("ed25519", "trainer", SEED))
    assert line == strict_json.canonical(json.loads(line)) + "\n"
