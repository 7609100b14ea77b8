"""A program with LangChain, as somebody writes it who has never heard of Keyward."""

import sys

from langchain_openai import ChatOpenAI

model, how = sys.argv[1:]
chat = ChatOpenAI(model=model)
if how == "stream":
    for piece in chat.stream("hello"):
        print(piece.content, end="")
else:
    print(chat.invoke("hello").content)
