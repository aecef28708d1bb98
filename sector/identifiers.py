"""Identifier types of the sector: checked when made, never shown whole.

An identifier is a value: equal, hashable and ordered within its own type, immutable, and masked
wherever it could be printed (`repr`, `str`, format, a log line, a serialised model). Who really
needs the text asks for it with `reveal()`.

`check` is the fast way in for mappings: text in, normalised text out, no object made.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, ClassVar, NoReturn, Self, final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

MASK = "•••••"

_NINE_DIGITS = re.compile(r"[0-9]{9}").fullmatch
_ECK_ID = re.compile(r"https://ketenid\.nl/(?:pilot|[0-9]{6})/[0-9a-f]{128}").fullmatch
_STAMPSEUDONIEM = re.compile(r"https://ketenid\.nl/sp(?:pilot|[0-9]{6})/[0-9a-f]{128}").fullmatch
_BRIN = re.compile(r"[0-9]{2}[A-Z]{2}").fullmatch
_VESTIGINGSNUMMER = re.compile(r"[0-9]{2}[A-Z]{2}[0-9]{2}").fullmatch
_LEERLINGNUMMER = re.compile(r"0*([1-9][0-9]{0,17})").fullmatch
_OIN = re.compile(r"[0-9]{20}").fullmatch
_SCHOOL_OIN = re.compile(r"00000007000[0-9]{2}[A-Z]{2}[0-9]{5}").fullmatch
_POSTCODE = re.compile(r"([1-9][0-9]{3}) ?([A-Z]{2})").fullmatch
_UNUSED_LETTERS = frozenset({"SA", "SD", "SS"})
_EMAILADRES = re.compile(
    r"([^\s@<>()\[\],;:\"\\\x00-\x1f\x7f]{1,64})@([^\W_](?:[\w-]{0,61}[^\W_])?"
    r"(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)+)"
).fullmatch
_PHONE_SEPARATORS = re.compile(r"\(0\)|[\s().\-/]")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_DUTCH_PHONE = re.compile(r"\+31[1-9][0-9]{8}").fullmatch
_SCHOOLJAAR = re.compile(r"([12][0-9]{3})[/-]([12][0-9]{3})").fullmatch


class InvalidIdentifierError(ValueError):
    """A text is not a valid identifier.

    Args:
        name: the kind of identifier (`BSN`).
        rule: the rule that it breaks, in words, never with the text itself.
    """

    advice = "Laat de school dit nummer of adres in het bronsysteem verbeteren."

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name}: {rule}")
        self.name = name
        self.rule = rule

    def __reduce__(self) -> tuple[type[InvalidIdentifierError], tuple[str, str]]:
        return type(self), (self.name, self.rule)


def elfproef(digits: str) -> int:
    """The weighted sum modulo 11 of nine digits: 0 for a BSN, 5 for an onderwijsnummer.

    Units: weights 9, 8, 7, 6, 5, 4, 3, 2 and -1, from left to right. `digits` are nine ASCII
    digits; the caller has checked that.
    Spec: rod.md, section 2 (CONFIRMED-HIST); oso.md, PGN checks (CONFIRMED, the same sum).
    """
    a, b, c, d, e, f, g, h, i = digits.encode("ascii")
    # 48 is the code of "0"; it counts 43 times, and 48 * 43 = 2064
    return (9 * a + 8 * b + 7 * c + 6 * d + 5 * e + 4 * f + 3 * g + 2 * h - i - 2064) % 11


class Identifier:
    """One identifier as a value.

    Args:
        text: the identifier as the source spells it.

    Raises: InvalidIdentifierError if the text breaks a rule of the type.
    """

    __slots__ = ("_value",)
    _value: str
    name: ClassVar[str] = "identifier"
    public: ClassVar[bool] = False
    """Names an organisation or a period, not a person: shows its last two characters."""

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_value", self.check(text))

    @classmethod
    def check(cls, text: str) -> str:
        """The normalised text.

        Raises: InvalidIdentifierError, without the text.
        """
        raise NotImplementedError

    @classmethod
    def refuse(cls, rule: str) -> NoReturn:
        """Raise the error of this type for one rule."""
        raise InvalidIdentifierError(cls.name, rule)

    def reveal(self) -> str:
        """The whole identifier, for where it is really needed."""
        return self._value

    def __repr__(self) -> str:
        shown = f"••{self._value[-2:]}" if self.public else MASK
        return f"{type(self).__name__}({shown})"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            return self._value == other._value
        return NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __lt__(self, other: Self) -> bool:
        return self._value < other._value if type(other) is type(self) else NotImplemented

    def __le__(self, other: Self) -> bool:
        return self._value <= other._value if type(other) is type(self) else NotImplemented

    def __gt__(self, other: Self) -> bool:
        return self._value > other._value if type(other) is type(self) else NotImplemented

    def __ge__(self, other: Self) -> bool:
        return self._value >= other._value if type(other) is type(self) else NotImplemented

    def __setattr__(self, name: str, value: object) -> None:
        message = f"{type(self).__name__} does not change"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        message = f"{type(self).__name__} does not change"
        raise AttributeError(message)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self._value,)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let pydantic models take the type: an instance or text comes in, an instance results.

        A personal identifier is not serialised to JSON: a dump of a model ends up in a log sooner
        or later. A model that holds one should set `hide_input_in_errors`.
        """
        return core_schema.no_info_plain_validator_function(
            cls._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialise, when_used="json"
            ),
        )

    @classmethod
    def _validated(cls, value: object) -> Self:
        if type(value) is cls:
            return value
        if not isinstance(value, str):
            cls.refuse("must be text")
        return cls(value)


def _serialise(value: Identifier) -> str:
    if value.public:
        return value.reveal()
    message = f"{type(value).__name__} is not serialised; reveal it where it is really needed"
    raise TypeError(message)


def _text(kind: type[Identifier], text: str) -> str:
    """The text without white space around it; refuses what is not text."""
    if not isinstance(text, str):
        kind.refuse("must be text")
    return text.strip()


@final
class Bsn(Identifier):
    """Burgerservicenummer: nine digits, leading zeros included, that pass the elfproef.

    Spec: rod.md, section 2 (CONFIRMED-HIST); eckid.md, section 2 (CHECKED).
    """

    __slots__ = ()
    name = "BSN"

    @classmethod
    def check(cls, text: str) -> str:
        """Nine digits. Raises: InvalidIdentifierError."""
        digits = _text(cls, text)
        if not _NINE_DIGITS(digits):
            cls.refuse("must be nine digits")
        if elfproef(digits) or digits == "000000000":
            cls.refuse("does not pass the elfproef")
        return digits


@final
class Onderwijsnummer(Identifier):
    """Onderwijsnummer: nine digits, the first a 1, with a weighted sum that leaves 5 modulo 11.

    Spec: oso.md, PGN checks (CONFIRMED); rod.md, section 2 (CONFIRMED-HIST).
    """

    __slots__ = ()
    name = "onderwijsnummer"

    @classmethod
    def check(cls, text: str) -> str:
        """Nine digits. Raises: InvalidIdentifierError."""
        digits = _text(cls, text)
        if not _NINE_DIGITS(digits):
            cls.refuse("must be nine digits")
        if digits[0] != "1":
            cls.refuse("must start with a 1")
        if elfproef(digits) != 5:
            cls.refuse("does not pass the elfproef of an onderwijsnummer")
        return digits


@final
class EckId(Identifier):
    """ECK iD: a pseudonym of one person in one chain and sector, as a URI.

    Compared exactly; never normalised, resolved or shortened.
    Spec: eckid.md, section 4 (test form CONFIRMED, strictness of the pattern ASSUMED).
    """

    __slots__ = ()
    name = "ECK iD"

    @classmethod
    def check(cls, text: str) -> str:
        """The URI itself. Raises: InvalidIdentifierError."""
        if not isinstance(text, str):
            cls.refuse("must be text")
        if not _ECK_ID(text):
            cls.refuse("must be https://ketenid.nl/, a period, and 128 lower-case hex digits")
        return text

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the test environment, and so never in production."""
        return self._value.startswith("https://ketenid.nl/pilot/")


@final
class Stampseudoniem(Identifier):
    """Stampseudoniem: the root pseudonym of one person, tied to no chain or sector, as a URI.

    Who knows it can ask for every ECK iD of that person: it is never sent to a chain party.
    Compared exactly; never normalised, resolved or shortened.
    Spec: eckid.md, section 4 (test form CONFIRMED; form of production ASSUMED).
    """

    __slots__ = ()
    name = "stampseudoniem"

    @classmethod
    def check(cls, text: str) -> str:
        """The URI itself. Raises: InvalidIdentifierError."""
        if not isinstance(text, str):
            cls.refuse("must be text")
        if not _STAMPSEUDONIEM(text):
            cls.refuse(
                "must be https://ketenid.nl/, sp and a period, and 128 lower-case hex digits"
            )
        return text

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the test environment, and so never in production."""
        return self._value.startswith("https://ketenid.nl/sppilot/")


@final
class Leerlingnummer(Identifier):
    """Leerlingnummer: a positive whole number, unique within one organisation only.

    Spec: somtoday.md, section 6.2 (CONFIRMED: an integer). At most 18 digits, so that it fits
    eight bytes everywhere.
    """

    __slots__ = ()
    name = "leerlingnummer"

    @classmethod
    def check(cls, text: str) -> str:
        """Digits without leading zeros. Raises: InvalidIdentifierError."""
        match = _LEERLINGNUMMER(_text(cls, text))
        if match is None:
            cls.refuse("must be a positive whole number of at most 18 digits")
        return match[1]


@final
class Brin(Identifier):
    """BRIN of an instelling: two digits and two capitals.

    Spec: rod.md, section 2 (CONFIRMED).
    """

    __slots__ = ()
    name = "BRIN"
    public = True

    @classmethod
    def check(cls, text: str) -> str:
        """Four characters, in capitals. Raises: InvalidIdentifierError."""
        brin = _text(cls, text).upper()
        if not _BRIN(brin):
            cls.refuse("must be two digits and two letters")
        return brin


@final
class Vestigingsnummer(Identifier):
    """Vestigingsnummer, also called BRIN6: the BRIN and two digits.

    Spec: rod.md, section 2 (CONFIRMED); somtoday.md, section 6.1 (CONFIRMED).
    """

    __slots__ = ()
    name = "vestigingsnummer"
    public = True

    @classmethod
    def check(cls, text: str) -> str:
        """Six characters, in capitals. Raises: InvalidIdentifierError."""
        number = _text(cls, text).upper()
        if not _VESTIGINGSNUMMER(number):
            cls.refuse("must be a BRIN (two digits, two letters) and two digits")
        return number

    @property
    def brin(self) -> Brin:
        """The BRIN of the instelling that it belongs to."""
        return Brin(self._value[:4])

    @property
    def volgnummer(self) -> str:
        """Its last two digits: the vestigingscode that OSO and UWLR give apart."""
        return self._value[4:]


@final
class Oin(Identifier):
    """Organisatie-identificatienummer: 20 positions; that of a school holds its BRIN.

    A school's OIN is kept as a setting and never computed from its BRIN.
    Spec: edukoppeling.md, section 9 (CONFIRMED).
    """

    __slots__ = ()
    name = "OIN"
    public = True

    @classmethod
    def check(cls, text: str) -> str:
        """Twenty positions. Raises: InvalidIdentifierError."""
        oin = _text(cls, text)
        if oin.startswith("00000007"):
            if not _SCHOOL_OIN(oin):
                cls.refuse("of a school must be 00000007000, a BRIN and five digits")
        elif not _OIN(oin) or not oin.startswith("000000"):
            cls.refuse("must be 20 digits that start with 000000")
        return oin

    @property
    def is_test(self) -> bool:
        """Whether it was handed out for tests, and so never is accepted in production."""
        return self._value.startswith("00000099")


@final
class Postcode(Identifier):
    """A Dutch postcode: four digits and two letters. Foreign postcodes are plain text."""

    __slots__ = ()
    name = "postcode"

    @classmethod
    def check(cls, text: str) -> str:
        """Six characters without a space, in capitals. Raises: InvalidIdentifierError."""
        match = _POSTCODE(_text(cls, text).upper())
        if match is None or match[2] in _UNUSED_LETTERS:
            cls.refuse("must be four digits and two letters")
        return match[1] + match[2]


@final
class Emailadres(Identifier):
    """An e-mail address: one that could be written to, no more is checked.

    The part after the @ is compared in lower case, the part before it as given.
    """

    __slots__ = ()
    name = "e-mailadres"

    @classmethod
    def check(cls, text: str) -> str:
        """The address with its domain in lower case. Raises: InvalidIdentifierError."""
        address = _text(cls, text)
        match = _EMAILADRES(address) if len(address) <= 254 else None
        if match is None:
            cls.refuse("must be a name, an @ and a domain")
        return f"{match[1]}@{match[2].lower()}"


@final
class Telefoonnummer(Identifier):
    """A telephone number in the international form: `+` and 7 to 15 digits.

    A number without a country is Dutch; nine digits without the first zero have lost it on the way
    through a numeric column.
    Spec: somtoday.md, section 11, SDS tools (the same normalisation).
    """

    __slots__ = ()
    name = "telefoonnummer"

    @classmethod
    def check(cls, text: str) -> str:
        """`+` and digits. Raises: InvalidIdentifierError."""
        number = _PHONE_SEPARATORS.sub("", _text(cls, text))
        if number.startswith("00"):
            number = "+" + number[2:]
        elif number.startswith("0"):
            number = "+31" + number[1:]
        elif len(number) == 9:
            number = "+31" + number
        if not _E164(number) or (number.startswith("+31") and not _DUTCH_PHONE(number)):
            cls.refuse("must be a Dutch number of ten digits, or an international one")
        return number


@final
class Schooljaar(Identifier):
    """A schooljaar: 1 August to 31 July, written `2026/2027`.

    Spec: somtoday.md, section 8 (CONFIRMED); uwlr.md writes it with a dash.
    """

    __slots__ = ()
    name = "schooljaar"
    public = True

    @classmethod
    def check(cls, text: str) -> str:
        """Two years in a row with a slash. Raises: InvalidIdentifierError."""
        match = _SCHOOLJAAR(_text(cls, text))
        if match is None:
            cls.refuse("must be two years with a slash between them")
        if int(match[2]) != int(match[1]) + 1:
            cls.refuse("must be two years that follow each other")
        return f"{match[1]}/{match[2]}"

    @classmethod
    def starting(cls, year: int) -> Schooljaar:
        """The schooljaar that starts in August of that year."""
        return cls(f"{year:04d}/{year + 1:04d}")

    @classmethod
    def of(cls, day: date) -> Schooljaar:
        """The schooljaar in which a day falls, as the calendar in Amsterdam has it."""
        return cls.starting(day.year if day.month >= 8 else day.year - 1)

    @property
    def first_year(self) -> int:
        """The calendar year in which it starts."""
        return int(self._value[:4])

    @property
    def first_day(self) -> date:
        """1 August."""
        return date(self.first_year, 8, 1)

    @property
    def last_day(self) -> date:
        """31 July, inclusive."""
        return date(self.first_year + 1, 7, 31)

    @property
    def end(self) -> date:
        """The first day after it: half-open, as the core stores it."""
        return date(self.first_year + 1, 8, 1)

    @property
    def following(self) -> Schooljaar:
        """The next one."""
        return self.starting(self.first_year + 1)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first_day <= day < self.end
