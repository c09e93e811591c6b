"""From what is published to events: which codes there are, which books they have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from ..calendars import KEYS
from ..model import (
    EXACT,
    QUANTA,
    Book,
    Catalogue,
    Correction,
    Event,
    Family,
    Instrument,
    Market,
    Reach,
    Trade,
)
from ..wire import (
    BookLine,
    CancelLine,
    CorrectLine,
    DeltaLine,
    InstrumentLine,
    Priced,
    QuoteLine,
    TradeLine,
    Unfit,
    book_after,
    published_book,
    published_correction,
    published_instrument,
    published_trade,
    quote_book,
)
from .correctable import Correctable
from .publishers import Publisher
from .replay import QuoteTrades

MOST_INSTRUMENTS = 50_000
"""Instruments that a catalogue may grow to."""
QUOTED = frozenset({Market.FOREX, Market.METALS, Market.ENERGY, Market.CFD_INDEX})
"""Markets that trade by quotes: there a quote is a trade as well."""


class PublishedLines:
    """Makes events of lines. Keeps the last book of each code, which deltas go on from."""

    def __init__(self, catalogue: Catalogue, quote_trades: QuoteTrades, correctable: Correctable) -> None:
        self._catalogue = catalogue
        self._quote_trades = quote_trades
        self._books: dict[str, Book] = {}
        self._correctable = correctable

    def restore_books(self, books: Iterable[Book]) -> None:
        """Deltas go on from these."""
        self._books.update((book.code, book) for book in books)

    def events(self, line: Priced, now: int, reach: Reach | None = None) -> tuple[Event, ...]:
        """The events of a line, the one that counts in bars last.

        `now` is the wall clock in milliseconds; `reach` is what may be published (None: all). Raises Unfit. A
        delta that is refused ends the book that it was for.
        """
        instrument = self._instrument(line, reach)
        if isinstance(line, TradeLine):
            return (published_trade(line, instrument, now),)
        try:
            if isinstance(line, QuoteLine):
                return self._quote(line, instrument, now)
            return (self._book(line, instrument, now),)
        except Unfit:
            if isinstance(line, DeltaLine):
                self._books.pop(line.code, None)
            raise

    def correction(
        self,
        line: CorrectLine | CancelLine,
        publisher: Publisher,
        now: int,
        keeps: Callable[[Trade], bool],
        reach: Reach | None = None,
    ) -> Correction:
        """What a line corrects, where `keeps` says whether the trades are still known that were in the same
        minute as one. Raises Unfit."""
        instrument = self._instrument(line, reach)
        name = publisher.name
        if line.seq and (made := self._correctable.made(name, line.seq)) is not None:
            return made  # which comes again after a kill
        was = self._correctable.find(name, line.code, line.trade, publisher.taken)
        if not keeps(was):
            raise Unfit(f"trade {line.trade} is too old")
        found = published_correction(line, was, instrument, now)
        self._correctable.correct(name, found)
        return found

    def _instrument(self, line: Priced | CorrectLine | CancelLine, reach: Reach | None) -> Instrument:
        try:
            instrument = self._catalogue[line.code]
        except KeyError:
            raise Unfit(f"code {line.code[:32]!a} is unknown") from None
        if reach is not None and not reach.covers(instrument):
            raise Unfit(f"the token may not publish {line.code}")
        return instrument

    def definition(self, line: InstrumentLine, reach: Reach | None = None) -> Instrument | None:
        """The instrument of a line if it is a new one, None if it is known and the same. Raises Unfit."""
        instrument = published_instrument(line)
        code = instrument.code
        if reach is not None and not reach.covers(instrument):
            raise Unfit(f"the token may not publish {code}")
        if code in self._catalogue:
            if self._catalogue[code] != instrument:
                raise Unfit(f"{code} is defined otherwise, and stays so while the server runs")
            return None
        if any(self._catalogue.find(family, code) for family in Family):
            raise Unfit(f"{code} is another name of an instrument")
        if instrument.calendar and instrument.calendar not in KEYS:
            raise Unfit(f"calendar is none of {', '.join(KEYS)}")
        if len(self._catalogue) >= MOST_INSTRUMENTS:
            raise Unfit(f"there are {MOST_INSTRUMENTS} instruments already")
        return instrument

    def _book(self, line: BookLine, instrument: Instrument, now: int) -> Book:
        if not instrument.levels:
            raise Unfit(f"{line.code} has no book")
        if isinstance(line, DeltaLine):
            if (before := self._books.get(line.code)) is None:
                raise Unfit(f"a delta of {line.code} needs a whole book before it")
            book = book_after(before, line, instrument, now)
        else:
            book = published_book(line, instrument, now)
        self._books[line.code] = book
        return book

    def _quote(self, line: QuoteLine, instrument: Instrument, now: int) -> tuple[Event, ...]:
        """The book of a quote, and in markets that trade by quotes the trade that stands for it: its volume
        is zero (section 2 of the protocol, "Push")."""
        quoted = instrument.market in QUOTED
        if not instrument.levels and not quoted:
            raise Unfit(f"{line.code} has no book")
        book = quote_book(line, instrument, now)
        events: list[Event] = []
        if instrument.levels:
            self._books[line.code] = book
            events.append(book)
        if quoted and (price := self._price(book, instrument)) is not None:
            events.append(Trade(line.code, line.time, price, Decimal(0), source_seq=line.seq))
        return tuple(events)

    def _price(self, book: Book, instrument: Instrument) -> Decimal | None:
        """The price of the trade that stands for a quote; half way between is rounded half up."""
        price = self._quote_trades.price(book)
        if price is None or self._quote_trades is not QuoteTrades.MID:
            return price
        return EXACT.quantize(price, QUANTA[instrument.price_decimals])
