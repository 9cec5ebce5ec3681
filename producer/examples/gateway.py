"""gateway.py IMP_UID...: has impcert-gateway at GATEWAY_URL queue imp_uids. Exits with 0 only when all are queued."""
import http.client, json, os, sys, urllib.error, urllib.request

URL = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8080") + "/certifications"

def publish(imp_uid):
    """(status, answer): 202 is queued, 503 may be tried again."""
    body = json.dumps({"imp_uid": imp_uid}).encode()
    try:
        request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 503, f"not queued, try again: {error}\n"

answers = [publish(imp_uid) for imp_uid in sys.argv[1:]]
print(*(text for _, text in answers), sep="", end="")
sys.exit(any(status != 202 for status, _ in answers))
