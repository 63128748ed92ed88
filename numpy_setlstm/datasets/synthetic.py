"""Synthetic reviews from a small grammar, in which the order of the words matters.

Word counts are of little use for these reviews: "awful" occurs in "the soup was awful", in "nobody could call the soup
awful", in "the soup was awful, but the waiter was charming", and in "my aunt swore that the soup was awful. She was
wrong." Only the first of the four is negative. Four rules, applied from left to right, classify all reviews correctly:

- "not", "never", "hardly", "nobody", "far from" negate the next adjective;
- a clause after "although" or "even though" does not count;
- of the other clauses the last one counts, so what follows "but" overrules what precedes it;
- "... was wrong" reverses the opinion, no matter how long ago it was; "... was right" confirms it.

All other sentences have no opinion.
"""

import numbers

import numpy as np

from numpy_setlstm.datasets.reviews import NEGATIVE, POSITIVE, shown

ADJECTIVES = {
    POSITIVE: (
        "brilliant charming delightful enchanting excellent fantastic flawless glorious "
        "gorgeous great lovely magnificent splendid superb wonderful"
    ).split(),
    NEGATIVE: (
        "abysmal awful boring disappointing dismal dreadful dull ghastly "
        "hideous horrible lousy pathetic tedious terrible wretched"
    ).split(),
}

THINGS = (
    "the soup|the waiter|the plot|the ending|the sequel|the toaster|the bathtub|the gift shop|the puppet show|"
    "the llama ride|the second act|the lead singer|the butler|the breakfast|the mattress|the choir|the dragon|"
    "the car chase|the love story|the stuffed owl|the orchestra|the dentist|the wallpaper|the submarine|the wig|"
    "the accordion|the cheese|the lighthouse|the magician|the elevator music|the haunted kitchen|the villain|"
    "the popcorn|the parking lot|the moustache|the robot|the theme song|the trapeze act|the pudding|the vampire|"
    "the violin solo|the minibar|the wedding cake|the narrator|the fog machine|the spaceship|the gravy|"
    "the chandelier|the werewolf|the horse|the hat|the caravan|the ice rink|the flute|the sauna"
).split("|")

AFFIRMATIONS = (
    "{thing} was {adjective}",
    "{thing} was simply {adjective}",
    "{thing} turned out to be {adjective}",
    "I found {thing} {adjective}",
    "{thing} struck me as {adjective}",
    "even the cat thought {thing} was {adjective}",
)

NEGATIONS = (
    "{thing} was not {adjective} at all",
    "{thing} wasn't {adjective}",
    "{thing} was never {adjective}",
    "{thing} was hardly {adjective}",
    "{thing} was far from {adjective}",
    "nobody could call {thing} {adjective}",
)

CONTRASTS = (
    "{loser}, but {winner}",
    "{loser}, but all in all {winner}",
    "{loser}, but in the end {winner}",
    "at first {loser}, but then {winner}",
)

CONCESSIONS = (
    "although {loser}, {winner}",
    "even though {loser}, {winner}",
    "{winner}, although {loser}",
    "{winner}, even though {loser}",
)

WITNESSES = (  # who has an opinion, and the pronoun
    ("my aunt", "she"),
    ("my grandfather", "he"),
    ("the mayor", "she"),
    ("my plumber", "he"),
    ("a famous critic", "she"),
    ("the man at the door", "he"),
    ("my horoscope", "it"),
    ("the brochure", "it"),
)

CLAIMS = (  # follow the witness
    "swore that {thing} was {adjective}",
    "promised me that {thing} was {adjective}",
    "told everyone that {thing} was {adjective}",
)

VERDICTS = (  # each with "right" or "wrong"
    "{pronoun} was {verdict}",
    "it turns out that {pronoun} was {verdict}",
    "I must admit that {pronoun} was {verdict}",
)

WHO = (
    "my uncle|our neighbour|a retired admiral|a man with a tuba|the boy in row seven|my landlady|a tall stranger|"
    "the accountant|a very small dog|the bride|my former boss|a lady in green|the ticket inspector|somebody|"
    "an elderly pirate|my chess teacher|the night porter|a bearded nun|the weather girl|a polite burglar|"
    "the beekeeper|my twin"
).split("|")

DID_WHAT = (
    "parked a tractor|ate a sandwich|looked for an umbrella|counted the lamps|sang a sea shanty|fell asleep|"
    "knitted a scarf|fed the ducks|read a newspaper|waited for a taxi|lost a key|painted a fence|ordered tea|"
    "juggled three lemons|talked about potatoes|recited a poem|repaired a bicycle|wrote a postcard|"
    "practised yoga|sold raffle tickets|tuned the harp|peeled an onion|hid a suitcase|watered the cactus|"
    "chased a balloon|sharpened some pencils|ironed a flag"
).split("|")

WHERE = (
    "behind the theatre|in the lobby|next to the piano|under table nine|on the stairs|near the fountain|"
    "for two hours|before noon|until midnight|on a Tuesday|during the interval|in the rain|without a word|"
    "in front of everybody|as usual|with both eyes closed|by candlelight|instead of clapping|"
    "beside a frozen lake|between two trains|inside a cupboard|after the parade"
).split("|")

MIX = {"plain": 4, "negation": 2, "contrast": 2, "concession": 1, "verdict": 1}


def make_reviews(n, rng, *, mix=None, max_fillers=2):
    r"""Generate synthetic reviews.

    Parameters
    ----------
    n : int
        Number of reviews.
    rng : numpy.random.Generator
        The same state gives the same reviews.
    mix : dict of str to float, optional
        Relative frequency of each kind of review: "plain", "negation", "contrast", "concession" and "verdict". Default:
        4, 2, 2, 1, 1.
    max_fillers : int
        Largest number of sentences without an opinion per review, at least 1. The first follows the review's first
        opinion, the others are anywhere.

    Returns
    -------
    texts : list of str
    labels : ndarray of shape (n,), int64
        0 negative, 1 positive; equally frequent up to one. They are exact, since each text is written for its label.

    Raises
    ------
    ValueError
        If `mix` is empty, holds an unknown kind or a frequency that is negative or not finite, or has the sum 0; if `n`
        is no whole number of at least 0, or `max_fillers` none of at least 1.
    TypeError
        If `rng` is not a Generator.

    Notes
    -----
    The grammar is our own. Reviews have about 10 to 40 words, from a vocabulary of about 300. Trained on 4,000 of them,
    a logistic regression classifies about 56 % of others correctly from word counts, about 79 % from counts of word
    pairs; the four rules above classify all of them correctly.

    Examples
    --------
    >>> texts, labels = make_reviews(2, np.random.default_rng(4), max_fillers=1)
    >>> for text, label in zip(texts, labels, strict=True):
    ...     print(label, text.replace(". ", ".\n  "))
    1 Nobody could call the caravan awful.
      The bride repaired a bicycle for two hours.
    0 My plumber swore that the villain was lovely.
      The boy in row seven talked about potatoes before noon.
      I must admit that he was wrong.
    """
    mix = MIX if mix is None else mix
    _check_mix(mix)
    for name, value, least in (("n", n, 0), ("max_fillers", max_fillers, 1)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} is {shown(value)}; expected a whole number of at least {least}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {shown(rng)}; expected a Generator, such as numpy.random.default_rng(0)")
    labels = rng.permutation(np.arange(n) % 2)
    kinds = list(mix)
    weights = np.array(list(mix.values()), dtype=float)
    drawn = rng.choice(len(kinds), size=n, p=weights / weights.sum())
    texts = []
    for label, k in zip(labels, drawn, strict=True):
        sentences = _WRITERS[kinds[k]](int(label), rng)
        sentences.insert(1, _filler(rng))  # between a claim and its verdict, for example
        for _ in range(rng.integers(max_fillers)):
            sentences.insert(rng.integers(len(sentences) + 1), _filler(rng))
        texts.append(" ".join(sentence[0].upper() + sentence[1:] + "." for sentence in sentences))
    return texts, labels


def _check_mix(mix):
    if not isinstance(mix, dict) or not mix or not set(mix) <= set(_WRITERS):
        raise ValueError(f"mix is {shown(mix)}; expected a dict with some of the keys {', '.join(_WRITERS)}")
    for kind, weight in mix.items():
        is_number = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight < float("inf"):
            raise ValueError(f"mix[{kind!r}] is {shown(weight)}; expected a finite number of at least 0")
    if not 0 < sum(mix.values()) < float("inf"):
        raise ValueError(f"the frequencies of mix have the sum {sum(mix.values())}; expected a finite one above 0")


def _pick(options, rng):
    return options[rng.integers(len(options))]


def _opinion(templates, polarity, rng, thing=None):
    """Return an opinion with an adjective of a polarity, such as "the soup was awful"."""
    thing = thing or _pick(THINGS, rng)
    return _pick(templates, rng).format(thing=thing, adjective=_pick(ADJECTIVES[polarity], rng))


def _plain(label, rng):
    return [_opinion(AFFIRMATIONS, label, rng)]


def _negation(label, rng):
    return [_opinion(NEGATIONS, 1 - label, rng)]


def _two_clauses(templates, label, rng):
    """Return a sentence in which a clause is overruled by one of the opposite polarity."""
    first, second = rng.choice(THINGS, size=2, replace=False)
    loser = _opinion(AFFIRMATIONS, 1 - label, rng, first)
    winner = _opinion(AFFIRMATIONS, label, rng, second)
    return [_pick(templates, rng).format(loser=loser, winner=winner)]


def _contrast(label, rng):
    return _two_clauses(CONTRASTS, label, rng)


def _concession(label, rng):
    return _two_clauses(CONCESSIONS, label, rng)


def _verdict(label, rng):
    """Return two sentences: somebody's opinion, and whether it was right."""
    witness, pronoun = _pick(WITNESSES, rng)
    is_right = rng.random() < 0.5
    claim = witness + " " + _opinion(CLAIMS, label if is_right else 1 - label, rng)
    verdict = _pick(VERDICTS, rng).format(pronoun=pronoun, verdict="right" if is_right else "wrong")
    return [claim, verdict]


def _filler(rng):
    return f"{_pick(WHO, rng)} {_pick(DID_WHAT, rng)} {_pick(WHERE, rng)}"


_WRITERS = {
    "plain": _plain,
    "negation": _negation,
    "contrast": _contrast,
    "concession": _concession,
    "verdict": _verdict,
}
