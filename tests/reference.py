"""The scores by their definition, slowly: no NumPy arithmetic, no trie, nothing of ``fraudscan.features``."""

import json
import math
import pathlib

import numpy as np

import fraudscan

RAMP_START, RAMP_END, WHOLE, WINDOW = 128, 192, 768, 40

DATA = pathlib.Path(__file__).resolve().parent.parent / "fraudscan" / "data"


def read(text, table):
    """The characters of a text that are read, by their definition; ``table`` says what each code point is read as."""
    kept = [(c, table.get(ord(c), ord(c))) for c in text if table.get(ord(c), ord(c))]

    def again(place, period):
        """Whether four whole periods stand before a character, which goes on with them."""
        return place >= 4 * period and all(
            kept[i] == kept[i - period] and chr(kept[i][1]) != "0" for i in range(place - 3 * period, place + 1)
        )

    return "".join(chr(c) for i, (_, c) in enumerate(kept) if not any(again(i, period) for period in (1, 2, 3, 4)))


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
        # a row holds its own weight and those of its suffixes: take them apart again
        self.own = {}
        for ngram in ngrams[1:]:
            suffix = next((ngram[i:] for i in range(1, len(ngram)) if ngram[i:] in summed), "")
            self.own[ngram] = [a - b for a, b in zip(summed[ngram], summed[suffix], strict=True)]
        self.longest = max(map(len, ngrams))
        self.taxonomy = json.loads((folder / "manifest.json").read_text("utf-8"))["taxonomy"]

    def normalize(self, text):
        """What was disguised is taken as `fraudscan.normalize` reads it; all the rest is done here."""
        found = fraudscan.normalize(text)
        return read(found.text if found.repairs else text, self.table)

    def inputs(self, text, start, end):
        """What the n-grams of a normalised text that end in a part of it come to."""
        sums = [0] * len(self.scales)
        for stop in range(start + 1, end + 1):
            for begin in range(max(0, stop - self.longest), stop):
                for place, weight in enumerate(self.own.get(text[begin:stop], ())):
                    sums[place] += weight
        length = end - start + 40
        root = math.sqrt(min(length, 552)) * max(length / 552, 1)
        return [s * scale / root + b for s, scale, b in zip(sums, self.scales, self.biases, strict=True)]

    def heads(self, inputs, output=None):
        """The logits of heads on a hidden layer, whose inputs and units have steps of 1/64."""
        if not self.hidden:
            return inputs
        inputs = [round(64 * max(-32, min(32, x))) / 64 for x in inputs]
        units = [bias + sum(w * x for w, x in zip(weights, inputs, strict=True)) for *weights, bias in self.hidden]
        units = [round(64 * max(0, min(64, unit))) / 64 for unit in units]
        return [
            bias + sum(w * u for w, u in zip(weights, units, strict=True)) for *weights, bias in output or self.output
        ]

    def quotes_no_fraud(self, text):
        """The probability that nothing is quoted: that the text does not speak of frauds, whose logit counts twice."""
        speaks = self.heads(self.inputs(text, 0, len(text)), self.quotes)[0] if self.quotes else -math.inf
        return 1 / (1 + math.exp(2 * speaks))

    def logits(self, text):
        text = self.normalize(text)
        if not text:
            return [-20.0] * len(self.output)
        best = self.heads(self.inputs(text, 0, len(text)))
        best[0] -= math.log(max(len(text) / WHOLE, 1))
        if len(text) > RAMP_START:

            def at(start):
                return self.heads(self.inputs(text, start, min(len(text), start + WINDOW)))

            windows = [at(start) for start in range(0, len(text) - WINDOW // 2, WINDOW // 2)]
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
