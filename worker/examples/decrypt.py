"""Encrypted certifications in plain text, as JSON lines: decrypt.py IMP_UID, or decrypt.py --person UNIQUE_KEY
Needs pymongo and pymongocrypt; MONGODB_URI and IMPCERT_ENCRYPTION_KEY_FILE, and what else differs from impcert's defaults."""
import base64
import os
import sys
from pathlib import Path

from bson import Binary, json_util
from pymongo import MongoClient
from pymongo.encryption import Algorithm, ClientEncryption

ENCRYPTED = 6  # the subtype of binary data
database = os.environ.get("MONGODB_DATABASE", "impcert")
vault = os.environ.get("IMPCERT_ENCRYPTION_KEY_VAULT", f"{database}.__keyVault")
key = base64.b64decode(Path(os.environ["IMPCERT_ENCRYPTION_KEY_FILE"]).read_text())
client = MongoClient(os.environ["MONGODB_URI"], tz_aware=True)
certifications = client[database][os.environ.get("MONGODB_COLLECTION", "certifications")]
cipher = ClientEncryption({"local": {"key": key}}, vault, client, certifications.codec_options)


def plain(value):
    return cipher.decrypt(value) if isinstance(value, Binary) and value.subtype == ENCRYPTED else value


if sys.argv[1] == "--person":  # one person's key is always encrypted to the same bytes: the index on it serves
    algorithm = Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Deterministic
    wanted = {"unique_key": cipher.encrypt(sys.argv[2], algorithm, key_alt_name="impcert")}
else:
    wanted = {"_id": sys.argv[1]}
for document in certifications.find(wanted):
    print(json_util.dumps({name: plain(value) for name, value in document.items()}, ensure_ascii=False))
