#!/usr/bin/env python3
"""Helm's verbs on the command line, done by the genuine Helm 4 that the wheel `helm-sdkpy` carries as a Go library.

    helm.py LIBRARY KUBECONFIG NAMESPACE VERB [ARGUMENT...] [--set KEY=JSON] [OPTION=JSON]

Prints what Helm answers as JSON. Ends with 1 and Helm's message when Helm refuses.
"""

import ctypes
import json
import sys

TEXT = ctypes.c_char_p


class Helm:
    """The library with one configuration."""

    def __init__(self, library, kubeconfig, namespace):
        self.library = ctypes.CDLL(library)
        self.library.helm_sdkpy_last_error.restype = TEXT
        self.handle = ctypes.c_ulonglong()
        self.call(
            self.library.helm_sdkpy_config_create,
            text(namespace), text(kubeconfig), None, text("{}"), ctypes.byref(self.handle),
        )

    def call(self, function, *arguments):
        """Calls a function; what it refuses becomes this program's end."""
        if function(*arguments) != 0:
            sys.exit((self.library.helm_sdkpy_last_error() or b"no message").decode())

    def ask(self, verb, *arguments):
        """Calls a function that answers with JSON."""
        answer = TEXT()
        function = getattr(self.library, "helm_sdkpy_" + verb)
        self.call(function, self.handle, *arguments, ctypes.byref(answer))
        return json.loads(answer.value) if answer.value else None


def text(value):
    return value.encode()


def options(words):
    """Splits a command's words into arguments, values and options."""
    arguments, values, chosen = [], {}, {}
    rest = iter(words)
    for word in rest:
        if word == "--set":
            key, _, value = next(rest).partition("=")
            values[key] = json.loads(value)
        elif word.startswith("--"):
            key, _, value = word[2:].partition("=")
            chosen[key.replace("-", "_")] = json.loads(value or "true")
        else:
            arguments.append(word)
    return arguments, values, chosen


def main():
    library, kubeconfig, namespace, verb, *words = sys.argv[1:]
    arguments, values, chosen = options(words)
    helm = Helm(library, kubeconfig, namespace)
    if verb in ("install", "upgrade"):
        chosen = {"timeout_seconds": 60, "server_side_apply": "auto", **chosen}
        name, chart = arguments
        values = text(json.dumps(values) if values else "")
        answer = helm.ask(verb, text(name), text(chart), values, text(""), text(json.dumps(chosen)))
    elif verb == "uninstall":
        answer = helm.ask(verb, text(arguments[0]), 1, 60)
    elif verb == "rollback":
        answer = helm.ask(verb, text(arguments[0]), int(arguments[1]))
    elif verb == "list":
        answer = helm.ask(verb, 1)
    elif verb == "values":
        answer = helm.ask("get_values", text(arguments[0]), 0)
    else:
        answer = helm.ask(verb, *map(text, arguments))
    print(json.dumps(answer, indent=1))


main()
