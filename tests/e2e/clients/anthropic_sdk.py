"""A program with Anthropic's SDK, as somebody writes it who has never heard of Keyward."""

import sys

from anthropic import Anthropic

model, how = sys.argv[1:]
hello = {"model": model, "max_tokens": 256, "messages": [{"role": "user", "content": "hello"}]}
client = Anthropic()
if how == "stream":
    with client.messages.stream(**hello) as stream:
        for text in stream.text_stream:
            print(text, end="")
else:
    print(client.messages.create(**hello).content[0].text)
