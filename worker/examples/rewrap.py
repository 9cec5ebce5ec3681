"""A new master key: rewrap.py OLD_KEY_FILE NEW_KEY_FILE encrypts the data key anew; documents stay as they are.
Needs pymongo and pymongocrypt; MONGODB_URI, and what else differs from impcert's defaults."""
import base64
import os
import sys
from pathlib import Path

from pymongo import MongoClient, WriteConcern
from pymongo.encryption import ClientEncryption

old, new = (base64.b64decode(Path(path).read_text()) for path in sys.argv[1:3])
database = os.environ.get("MONGODB_DATABASE", "impcert")
client = MongoClient(os.environ["MONGODB_URI"])
place = os.environ.get("IMPCERT_ENCRYPTION_KEY_VAULT", f"{database}.__keyVault")
vault = client.get_database(place.partition(".")[0], write_concern=WriteConcern("majority"))[place.partition(".")[2]]
copy = vault.database[f"{vault.name}.rewrap"]  # so that the workers see one change, from one key to the other
key = vault.find_one({"keyAltNames": "impcert"}) or sys.exit(f"there is no data key impcert in {place}")
copy.replace_one({"_id": key["_id"]}, key, upsert=True)
try:
    cipher = ClientEncryption({"local": {"key": old}, "local:new": {"key": new}}, copy.full_name, client, client.codec_options)
    cipher.rewrap_many_data_key({"_id": key["_id"]}, provider="local:new")
    material = copy.find_one({"_id": key["_id"]})["keyMaterial"]
    change = {"$set": {"keyMaterial": material}, "$currentDate": {"updateDate": True}}
    changed = vault.update_one({"_id": key["_id"], "keyMaterial": key["keyMaterial"]}, change).modified_count
finally:
    copy.drop()
print("the data key is encrypted with the new master key") if changed else sys.exit("somebody else has changed the data key")
