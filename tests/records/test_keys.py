import base64
import hmac
import pathlib
import sys
import traceback

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from key_pairs import (
    MATERIAL,
    P256,
    PUBLIC,
    SECRET,
    SEED,
    der,
    encoded,
    entry,
    environ_entry,
)

from tfx_privacy import cli
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import envelope, keys, remote_key, signing
from tfx_privacy.records.keys import SigningKey, VerificationKey

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
PAYLOAD = b'{"epsilon": 1.5}'

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


# RFC 6979, section A.2.5, with SHA-256: what is signed, r and s.
RFC_6979 = [
    (
        b"sample",
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    (
        b"test",
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
]


@pytest.mark.parametrize(("message", "r", "s"), RFC_6979)
def test_ecdsa_is_that_of_rfc_6979(message: bytes, r: int, s: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key = VerificationKey("ecdsa-p256", "key", MATERIAL["ecdsa-p256"][1])
    assert key.holds(encode_dss_signature(r, s), message)
    assert not key.holds(encode_dss_signature(r, s), message + b"\0")
    assert not key.holds(encode_dss_signature(r, s + 1), message)
    assert not key.holds(encode_dss_signature(0, 0), message)
    # The other form of a signature, r and s one after the other.
    assert not key.holds(r.to_bytes(32, "big") + s.to_bytes(32, "big"), message)


def _point(form: serialization.PublicFormat) -> bytes:
    return P256.public_key().public_bytes(serialization.Encoding.X962, form)


# What is no P-256 key, or one in another form: `contents` would not notice one key under two ids.
NO_P256 = {
    "empty": b"",
    "another curve": der(ec.derive_private_key(3, ec.SECP384R1()).public_key()),
    "an Ed25519 key": Ed25519PublicKey.from_public_bytes(PUBLIC).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ),
    "the bare point": _point(serialization.PublicFormat.UncompressedPoint),
    "the compressed point": bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    + _point(serialization.PublicFormat.CompressedPoint),
    "PEM": P256.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    "a byte more": MATERIAL["ecdsa-p256"][1] + b"\0",
    "a private key": P256.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ),
    "a point off the curve": MATERIAL["ecdsa-p256"][1][:-1] + b"\1",
}


@pytest.mark.parametrize("content", NO_P256.values(), ids=NO_P256.keys())
def test_only_one_form_of_a_p256_key_is_read(content: bytes) -> None:
    with pytest.raises(ParameterError, match="no public key of the curve P-256"):
        VerificationKey("ecdsa-p256", "key", content)


def test_an_ecdsa_key_does_not_sign_here() -> None:
    with pytest.raises(ParameterError, match="keys sign where they are kept. Give uri:"):
        signing.signing_key({signing.SIGNING_KEY_VARIABLE: environ_entry("ecdsa-p256")})
    with pytest.raises(ParameterError, match="unknown algorithm"):
        SigningKey("ecdsa-p256", "key", SECRET)  # type: ignore[arg-type]


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
    key, found = signing.signing_key(environ), signing.verification_keys(environ)
    assert key is not None
    made = signing.new_key("hmac-sha256", "trainer")
    contents = [SECRET, base64.b64decode(made.signing.rpartition(":")[2])]
    for shown in (
        repr(key),
        str(key),
        repr(found),
        str(found),
        repr(found.get("trainer")),
        repr(made),
        f"{key!r} {made}",
    ):
        assert not any(part in shown for content in contents for part in secret_texts(content))
    assert "trainer" in repr(key)
    assert found.ids == ("trainer",)


def test_keys_of_the_environment() -> None:
    assert signing.signing_key({}) is None
    assert not signing.verification_keys({})
    two = f"{entry('ed25519', 'a', PUBLIC)},\n {entry('hmac-sha256', 'b')}"
    found = signing.verification_keys({signing.VERIFICATION_KEYS_VARIABLE: two})
    assert found.ids == ("a", "b")
    for name, algorithm in (("a", "ed25519"), ("b", "hmac-sha256")):
        made = envelope.seal(PAYLOAD, SigningKey(algorithm, name, MATERIAL[algorithm][0]))  # type: ignore[arg-type]
        assert envelope.check(made.encode(), PAYLOAD, found) == name
    with pytest.raises(ParameterError, match="Key id 'a' is given twice"):
        signing.verification_keys(
            {signing.VERIFICATION_KEYS_VARIABLE: f"{entry('ed25519', 'a', PUBLIC)} {entry('hmac-sha256', 'a')}"}
        )


@pytest.mark.parametrize("algorithm", keys.SECRET_ALGORITHMS)
def test_the_command_prints_a_pair_that_fits(algorithm: keys.SecretAlgorithm) -> None:
    done = [
        CliRunner().invoke(cli.cli, ["keys", "new", "--algorithm", algorithm, "--key-id", "gate-1"]) for _ in range(2)
    ]
    assert [result.exit_code for result in done] == [0, 0]
    assert done[0].output != done[1].output
    environ = dict(line.split("=", 1) for line in done[0].output.splitlines())
    key = signing.signing_key(environ)
    assert isinstance(key, SigningKey)
    assert key.algorithm == algorithm
    trusted = signing.verification_keys(environ)
    assert envelope.check(envelope.seal(PAYLOAD, key).encode(), PAYLOAD, trusted) == "gate-1"
    same = environ[signing.SIGNING_KEY_VARIABLE] == environ[signing.VERIFICATION_KEYS_VARIABLE]
    assert same == (algorithm == "hmac-sha256")


def test_the_command_refuses_an_id_that_no_signature_could_have() -> None:
    done = CliRunner().invoke(cli.cli, ["keys", "new", "--key-id", "a:b"])
    assert isinstance(done.exception, ParameterError)


def test_a_key_of_the_wrong_length_cannot_be_made() -> None:
    for length in (0, 31):
        for algorithm in keys.SECRET_ALGORITHMS:
            with pytest.raises(ParameterError, match=f"{length} bytes"):
                SigningKey(algorithm, "key", b"\1" * length)


def test_one_key_under_two_names_is_refused() -> None:
    """Who knows a verifier's Ed25519 keys must not sign with them by naming the other algorithm."""
    both = f"{entry('ed25519', 'a', PUBLIC)} {entry('hmac-sha256', 'b', PUBLIC)}"
    with pytest.raises(ParameterError, match="under another id or algorithm"):
        signing.verification_keys({signing.VERIFICATION_KEYS_VARIABLE: both})
    mac = hmac.digest(PUBLIC, PAYLOAD, "sha256")
    assert not VerificationKey("ed25519", "a", PUBLIC).holds(mac, PAYLOAD)


@pytest.fixture(params=["ed25519", "ecdsa-p256"])
def remote(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> dict[str, str]:
    """The environment of a key that is kept in a file, with what securesystemslib needs to sign with it."""
    key = P256 if request.param == "ecdsa-p256" else Ed25519PrivateKey.from_private_bytes(SEED)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    return {
        signing.SIGNING_KEY_VARIABLE: f"uri:gate:file2:{tmp_path / 'key.pem'}",
        signing.VERIFICATION_KEYS_VARIABLE: environ_entry(request.param, "gate"),
    }


def test_a_key_that_is_kept_elsewhere_signs(remote: dict[str, str]) -> None:
    key = signing.signing_key(remote)
    assert isinstance(key, remote_key.RemoteKey)
    trusted = signing.verification_keys(remote)
    assert envelope.check(envelope.seal(PAYLOAD, key).encode(), PAYLOAD, trusted) == "gate"
    assert "key.pem" not in repr(key)


def test_a_key_elsewhere_needs_its_public_key(remote: dict[str, str]) -> None:
    for verification in (None, environ_entry("ed25519", "other"), environ_entry("hmac-sha256", "gate")):
        environ = {**remote, signing.VERIFICATION_KEYS_VARIABLE: verification or ""}
        if verification is None:
            del environ[signing.VERIFICATION_KEYS_VARIABLE]
        with pytest.raises(ParameterError, match="holds no public key of this id"):
            signing.signing_key(environ)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("uri:", "has an id"), ("uri:gate", "begins with none of"), ("uri:a b:file2:/key", "has an id"),
        ("uri:gate:https://example.com/key", "begins with none of"), ("uri:gate:file2", "cannot sign|No such file"),
    ],
)  # fmt: skip
def test_a_malformed_address_is_refused(remote: dict[str, str], value: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        _sign({**remote, signing.SIGNING_KEY_VARIABLE: value})


def _sign(environ: dict[str, str]) -> bytes:
    key = signing.signing_key(environ)
    assert key is not None
    return key.sign(PAYLOAD)


def test_a_key_elsewhere_that_cannot_be_used_is_an_error(remote: dict[str, str], tmp_path: pathlib.Path) -> None:
    key = signing.signing_key(remote)
    assert key is not None
    (tmp_path / "key.pem").unlink()
    with pytest.raises(ParameterError, match="Key 'gate' of TFX_PRIVACY_SIGNING_KEY cannot sign"):
        key.sign(PAYLOAD)


def test_a_key_elsewhere_that_is_not_the_one_named_is_an_error(remote: dict[str, str]) -> None:
    other = ec.derive_private_key(5, ec.SECP256R1()).public_key()
    environ = {**remote, signing.VERIFICATION_KEYS_VARIABLE: entry("ecdsa-p256", "gate", der(other))}
    with pytest.raises(ParameterError, match="cannot sign|does not hold against the public key"):
        _sign(environ)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64])
def test_what_a_key_elsewhere_signs_is_checked_at_once(
    remote: dict[str, str], monkeypatch: pytest.MonkeyPatch, signature: bytes
) -> None:
    from securesystemslib import signer

    made = signer.Signature("gate", signature.hex())  # type: ignore[attr-defined]
    monkeypatch.setattr("securesystemslib.signer.CryptoSigner.sign", lambda self, message: made)
    key = signing.signing_key(remote)
    assert key is not None
    with pytest.raises(ParameterError, match="does not hold against the public key of this id"):
        envelope.seal(PAYLOAD, key)


def test_without_the_extra_a_key_elsewhere_is_an_error(remote: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    monkeypatch.delattr("securesystemslib.signer", raising=False)
    with pytest.raises(ParameterError, match=r"Install `tfx-privacy\[kms\]`"):
        signing.signing_key(remote)
    assert signing.verification_keys(remote).ids == ("gate",)
