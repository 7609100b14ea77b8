"""A program with requests, which sends again only when it is told to: on 409, after as long as the answer says."""

import os
import sys

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

url, token, model = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"], sys.argv[1]
waiting = Retry(total=20, status_forcelist=[409], allowed_methods=None)
session = requests.Session()
session.mount(url, HTTPAdapter(max_retries=waiting))
answer = session.post(
    f"{url}/chat/completions",
    headers={"authorization": f"Bearer {token}"},
    json={"model": model, "messages": [{"role": "user", "content": "hello"}]},
)
if not answer.ok:
    sys.exit(f"{answer.status_code} {answer.json()['error']['message']}")
print(answer.json()["choices"][0]["message"]["content"])
