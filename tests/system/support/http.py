"""The few HTTP calls of tests."""

import json
import urllib.error
import urllib.request


def fetch(url, method="GET", body=None, deadline=10, context=None):
    """(status, text). Statuses of 400 and more are answers too; no connection is an OSError. context: for https."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=deadline, context=context) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
