"""What flite's statistical voices (Clustergen, Black 2006) predict of a text, before it becomes sound: fundamental frequency,
mel-cepstra, strength of the voice in five bands, and which word each moment belongs to. Calls libflite itself."""

from __future__ import annotations

import ctypes as c
from dataclasses import dataclass

import numpy as np

STEP_S = 0.005
ORDER = 24  # of the mel-cepstra


class _Track(c.Structure):
    _fields_ = [("type", c.c_char_p), ("frames", c.c_int), ("channels", c.c_int), ("times", c.POINTER(c.c_float)), ("rows", c.POINTER(c.POINTER(c.c_float)))]


class _Wave(c.Structure):
    _fields_ = [("type", c.c_char_p), ("rate", c.c_int), ("samples", c.c_int), ("channels", c.c_int), ("data", c.POINTER(c.c_short))]


class _Utterance(c.Structure):
    _fields_ = [(name, c.c_void_p) for name in ("features", "functions", "relations", "context")]


_Listener = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int, c.c_int, c.c_int, c.c_void_p)
_STOP = _Listener(lambda *_: -1)


class _Stream(c.Structure):
    """Who is told when another `least` samples are there; flite goes on while it answers 0."""

    _fields_ = [("least", c.c_int), ("listener", _Listener), ("utterance", c.c_void_p), ("item", c.c_void_p), ("data", c.c_void_p)]


class _Voice(c.Structure):
    _fields_ = [("name", c.c_char_p), ("features", c.c_void_p)]


def _database_fields():
    p, i, f = c.c_void_p, c.c_int, c.c_float
    layout = (
        "name:p types:p types_n:i rate:i f0_mean:f f0_stddev:f f0_models:i f0_trees:p models:i trees:p accent_tree:p phrase_tree:p channels:p "
        "frames:p vectors:p accent_channels:i accent_frames:i accent_vectors:p minimum:p range:p table:p shape:i advance:f duration_models:i "
        "duration_stats:p duration_cart:p states:p mlpg:i window:p window_n:i alpha:f beta:f multi:i mixed:i filters_n:i filter_order:i filters:p "
        "spam:i gain:f"
    )  # struct cst_cg_db_struct of cst_cg.h
    return [(name, {"p": p, "i": i, "f": f}[kind]) for name, kind in (part.split(":") for part in layout.split())]


class _Database(c.Structure):
    _fields_ = _database_fields()


@dataclass
class Prediction:
    """Rows every 5 ms. `words` holds (first character, end, start in seconds, end) of the words that are said, in order."""

    f0: np.ndarray  # [T] Hz; 0 where unvoiced
    cepstra: np.ndarray  # [T, ORDER + 1] mel-cepstra of 16 kHz
    strengths: np.ndarray  # [T, 5] 0..1
    words: list[tuple[int, int, float, float]]
    wave: np.ndarray  # [N] int16 at 16 kHz, as flite itself says it; nothing unless `full`


class Flite:
    """One of its voices, `voice` as in libflite_cmu_us_VOICE. Raises OSError when the package flite is missing."""

    def __init__(self, voice: str):
        self.lib = lib = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
        for part in ("usenglish", "cmulex"):
            c.CDLL(f"libflite_{part}.so.1", mode=c.RTLD_GLOBAL)
        library = c.CDLL(f"libflite_cmu_us_{voice}.so.1", mode=c.RTLD_GLOBAL)
        for name, result, arguments in (
            ("flite_synth_text", c.c_void_p, [c.c_char_p, c.c_void_p]),
            ("feat_val", c.c_void_p, [c.c_void_p, c.c_char_p]),
            ("val_track", c.c_void_p, [c.c_void_p]),
            ("mlpg", c.c_void_p, [c.c_void_p, c.c_void_p]),
            ("utt_wave", c.c_void_p, [c.c_void_p]),
            ("utt_relation", c.c_void_p, [c.c_void_p, c.c_char_p]),
            ("relation_head", c.c_void_p, [c.c_void_p]),
            ("item_next", c.c_void_p, [c.c_void_p]),
            ("item_parent", c.c_void_p, [c.c_void_p]),
            ("item_as", c.c_void_p, [c.c_void_p, c.c_char_p]),
            ("item_feat_string", c.c_char_p, [c.c_void_p, c.c_char_p]),
            ("item_feat_float", c.c_float, [c.c_void_p, c.c_char_p]),
            ("delete_utterance", None, [c.c_void_p]),
            ("delete_track", None, [c.c_void_p]),
            ("flite_feat_set_int", None, [c.c_void_p, c.c_char_p, c.c_int]),
            ("new_audio_streaming_info", c.c_void_p, []),
            ("audio_streaming_info_val", c.c_void_p, [c.c_void_p]),
            ("feat_set", None, [c.c_void_p, c.c_char_p, c.c_void_p]),
        ):
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        lib.flite_init()
        register = getattr(library, f"register_cmu_us_{voice}")
        register.restype, register.argtypes = c.c_void_p, [c.c_void_p]
        self.voice = register(None)
        features = c.cast(self.voice, c.POINTER(_Voice)).contents.features
        lib.flite_feat_set_int(features, b"mlsa_speed_param", 0)
        stream = lib.new_audio_streaming_info()
        lib.feat_set(features, b"streaming_info", lib.audio_streaming_info_val(stream))
        self.stream = c.cast(stream, c.POINTER(_Stream)).contents
        self.stream.listener = _STOP
        self.database = _Database.in_dll(library, f"cmu_us_{voice}_cg_db")
        d = self.database
        filters = c.cast(d.filters, c.POINTER(c.POINTER(c.c_double)))
        self.alpha, self.beta, self.gain = d.alpha, d.beta, d.gain or 1.0
        self.filters = np.array([[filters[band][k] for k in range(d.filter_order)] for band in range(d.filters_n)])  # [5, taps]

    def _rows(self, track: int) -> np.ndarray:
        t = c.cast(track, c.POINTER(_Track)).contents
        rows = c.cast(t.rows, c.POINTER(c.c_void_p))
        return np.frombuffer(b"".join(c.string_at(rows[i], 4 * t.channels) for i in range(t.frames)), np.float32).reshape(t.frames, -1).astype(np.float64)

    def _items(self, utterance: int, relation: str):
        item = self.lib.relation_head(self.lib.utt_relation(utterance, relation.encode()))
        while item:
            yield item
            item = self.lib.item_next(item)

    def predict(self, text: str, full: bool = False) -> Prediction:
        """What flite would say; `full` also makes its own sound, which takes longer. Raises ValueError when it says nothing."""
        lib = self.lib
        self.stream.least = 1 << 30 if full else 0
        utterance = lib.flite_synth_text(text.encode(), self.voice)
        if not utterance:
            raise ValueError(f"flite says nothing for {text!r}")
        try:
            features = c.cast(utterance, c.POINTER(_Utterance)).contents.features
            value = lambda name: lib.val_track(lib.feat_val(features, name))
            if not lib.feat_val(features, b"param_track"):
                raise ValueError(f"flite says nothing for {text!r}")
            smooth = lib.mlpg(value(b"param_track"), c.addressof(self.database))
            rows, strengths = self._rows(smooth), self._rows(value(b"str_track"))
            lib.delete_track(smooth)
            f0, cepstra = rows[:, 0], rows[:, 1 : ORDER + 2]
            if not (np.isfinite(rows).all() and np.isfinite(strengths).all() and 0 <= f0.min() and f0.max() < 400 and np.abs(cepstra).max() < 50):
                raise ValueError(f"flite says {text!r} in no voice of this world")
            w = c.cast(lib.utt_wave(utterance), c.POINTER(_Wave)).contents
            wave = np.ctypeslib.as_array(w.data, (w.samples,)).copy() if full else np.zeros(0, np.int16)
            return Prediction(f0, cepstra, strengths.clip(0, 1), self._words(utterance, text), wave)
        finally:
            lib.delete_utterance(utterance)

    def _words(self, utterance: int, text: str) -> list[tuple[int, int, float, float]]:
        """What Prediction.words holds: words parted by spaces; the Token relation is what is written, its daughters what is said."""
        lib = self.lib
        tokens, at = {}, 0
        for item in self._items(utterance, "Token"):
            name = lib.item_feat_string(item, b"name").decode()
            at = text.find(name, at)
            if at < 0:
                raise ValueError(f"flite reads {text!r} otherwise than it is written")
            begin = at
            while begin > 0 and not text[begin - 1].isspace():
                begin -= 1
            while at < len(text) and not text[at].isspace():
                at += 1
            tokens[item] = (begin, at)
        words: list[tuple[int, int, float, float]] = []
        before = 0.0
        for segment in self._items(utterance, "Segment"):
            end = lib.item_feat_float(segment, b"end")
            if lib.item_feat_string(segment, b"name") != b"pau":
                word = lib.item_parent(lib.item_parent(lib.item_as(segment, b"SylStructure")))
                token = lib.item_parent(lib.item_as(word, b"Token"))
                span = tokens.get(token)
                if not span:
                    raise ValueError(f"flite says a word that is not written in {text!r}")
                if words and words[-1][:2] == span:
                    words[-1] = (*span, words[-1][2], end)
                else:
                    words.append((*span, before, end))
            before = end
        if not words:
            raise ValueError(f"flite says nothing for {text!r}")
        return words
