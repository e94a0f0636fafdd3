"""A slow reference implementation of the scores, without NumPy arithmetic, a trie or ``fraudscan.features``."""

import json
import math
import pathlib

import numpy as np

import fraudscan
from fraudscan.characters import without_markup

RAMP_START, RAMP_END, WHOLE, WINDOW = 128, 192, 768, 40

DATA = pathlib.Path(__file__).resolve().parent.parent / "fraudscan" / "data"


def nothing(code):
    """Return whether a code point that the file does not list is dropped."""
    return 0xD800 <= code <= 0xF8FF or code >= 0x40000


def read(text, table):
    """Return the characters of a text that are read, by definition; ``table`` maps code points to normalized ones."""
    codes = ((c, table.get(ord(c), 0 if nothing(ord(c)) else ord(c))) for c in text)
    kept = [(c, code) for c, code in codes if code]

    def continues(place, period):
        """Return whether the character at ``place`` continues a repetition of four whole periods before it."""
        return place >= 4 * period and all(
            kept[i] == kept[i - period] and chr(kept[i][1]) != "0" for i in range(place - 3 * period, place + 1)
        )

    return "".join(chr(c) for i, (_, c) in enumerate(kept) if not any(continues(i, period) for period in (1, 2, 3, 4)))


class Reference:
    """Reads a model folder by itself and scores one text at a time."""

    def __init__(self, folder):
        with np.load(DATA / "normalization.npz", allow_pickle=False) as arrays:
            self.table = dict(zip(arrays["source"].tolist(), arrays["target"].tolist(), strict=True))
        array = {name: np.load(folder / f"{name}.npy").tolist() for name in ("alphabet", "steps", "weights")}
        self.scales = np.load(folder / "scales.npy").tolist()
        self.biases = np.load(folder / "biases.npy").tolist()
        self.hidden = np.load(folder / "hidden.npy").tolist()
        self.output = np.load(folder / "output.npy").tolist()
        self.quotes = np.load(folder / "quotes.npy").tolist()
        ngrams = ["", *map(chr, array["alphabet"])]
        width = len(ngrams)
        for step in array["steps"]:
            ngrams.append(ngrams[step // width] + ngrams[step % width])
        summed = dict(zip(ngrams, array["weights"], strict=True))
        # a row of weights includes those of its suffixes: subtract them to get its own
        self.own = {}
        for ngram in ngrams[1:]:
            suffix = next((ngram[i:] for i in range(1, len(ngram)) if ngram[i:] in summed), "")
            self.own[ngram] = [a - b for a, b in zip(summed[ngram], summed[suffix], strict=True)]
        self.longest = max(map(len, ngrams))
        self.taxonomy = json.loads((folder / "manifest.json").read_text("utf-8"))["taxonomy"]

    def normalize(self, text):
        """Return the characters that are read. Repairs and mark-up are read by the package, all the rest here."""
        normalized = fraudscan.normalize(text)
        marked = "\ufdd0" in text  # by whoever wrote it
        return read(normalized.text if normalized.repairs or marked else without_markup(text), self.table)

    def inputs(self, text, start, end):
        """Return the inputs of a part of a normalised text: the scaled sums over the n-grams that end in the part."""
        sums = [0] * len(self.scales)
        for stop in range(start + 1, end + 1):
            for begin in range(max(0, stop - self.longest), stop):
                for place, weight in enumerate(self.own.get(text[begin:stop], ())):
                    sums[place] += weight
        length = end - start + 40
        root = math.sqrt(min(length, 552)) * max(length / 552, 1)
        return [s * scale / root + b for s, scale, b in zip(sums, self.scales, self.biases, strict=True)]

    def heads(self, inputs, output=None):
        """Return the logits of the heads. Inputs and hidden units are rounded to multiples of 1/64."""
        if not self.hidden:
            return inputs
        inputs = [round(64 * max(-32, min(32, x))) / 64 for x in inputs]
        units = [bias + sum(w * x for w, x in zip(weights, inputs, strict=True)) for *weights, bias in self.hidden]
        units = [round(64 * max(0, min(64, unit))) / 64 for unit in units]
        return [
            bias + sum(w * u for w, u in zip(weights, units, strict=True)) for *weights, bias in output or self.output
        ]

    def quotes_no_fraud(self, text):
        """Return the probability that the text does not quote frauds; the logit of the quoting head counts twice."""
        quoting = self.heads(self.inputs(text, 0, len(text)), self.quotes)[0] if self.quotes else -math.inf
        return 1 / (1 + math.exp(2 * quoting))

    def logits(self, text):
        text = self.normalize(text)
        if not text:
            return [-20.0] * len(self.output)
        best = self.heads(self.inputs(text, 0, len(text)))
        best[0] -= math.log(max(len(text) / WHOLE, 1))
        if len(text) > RAMP_START:

            def logits_at(start):
                return self.heads(self.inputs(text, start, min(len(text), start + WINDOW)))

            windows = [logits_at(start) for start in range(0, len(text) - WINDOW // 2, WINDOW // 2)]
            window = max(windows, key=lambda logits: logits[0])
            window[0] = math.log(sum(math.exp(logits[0]) for logits in windows) / len(windows))
            window[0] += math.log(self.quotes_no_fraud(text))
            window[0] -= 4 * max((RAMP_END - len(text)) / (RAMP_END - RAMP_START), 0)
            best = max(best, window, key=lambda logits: logits[0])
        return best

    def probabilities(self, text):
        heads = [1 / (1 + math.exp(-max(-60, min(60, z)))) for z in self.logits(text)]
        fraud, *rest = heads
        rest = [p * fraud for p in rest]
        schemes = [(label["name"], scheme["name"]) for label in self.taxonomy["labels"] for scheme in label["schemes"]]
        out = {scheme: rest[i] for i, (_, scheme) in enumerate(schemes)}
        out |= {target["name"]: rest[len(schemes) + i] for i, target in enumerate(self.taxonomy["targets"])}
        for label in self.taxonomy["labels"]:
            own = [rest[i] for i, (name, _) in enumerate(schemes) if name == label["name"]]
            out[label["name"]] = max(own) if own else 1 - fraud
        return out
