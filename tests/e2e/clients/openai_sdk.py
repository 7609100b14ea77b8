"""A program with OpenAI's SDK, as somebody writes it who has never heard of Keyward."""

import sys

from openai import OpenAI

model, how = sys.argv[1:]
hello = [{"role": "user", "content": "hello"}]
client = OpenAI()
if how == "stream":
    for chunk in client.chat.completions.create(model=model, messages=hello, stream=True):
        print(chunk.choices[0].delta.content, end="")
else:
    print(client.chat.completions.create(model=model, messages=hello).choices[0].message.content)
