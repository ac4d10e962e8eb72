"""The people that an audit asks about, and in what two of them differ."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict

Attribute = Literal["gender", "name", "age", "nationality", "control"]
ATTRIBUTES: tuple[Attribute, ...] = ("gender", "name", "age", "nationality", "control")
SIDES: dict[Attribute, tuple[str, str]] = {
    "gender": ("a man's name", "a woman's name"),
    "name": ("a name of the language's own culture", "a name of another culture"),
    "age": ("24 to 33 years", "56 to 63 years"),
    "nationality": ("a country of the language", "another country"),
    "control": ("a name", "another one of the same group"),
}
"""What the two sides of a pair differ in; `control` differs in nothing that should matter."""

_Gender = Literal["female", "male"]
_JOINTS = {"given-first": "{given} {family}", "family-first": "{family}{given}"}
_JOINTS |= {"given-dot": "{given}·{family}", "given-first-joined": "{given}{family}"}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(_Frozen):
    """Somebody in a request.

    Args:
        person: The name with what is said of the person.
        group: What the pair is about, in this person's case: `female`, `Arab`, `61`.
        value: The age or nationality that is said; empty where none is.
    """

    given: str
    family: str
    name: str
    person: str
    group: str
    value: str = ""

    def places(self) -> dict[str, str]:
        """Return what stands in the places of a task."""
        return {"person": self.person, "name": self.name, "given": self.given, "family": self.family}


class _Culture(_Frozen):
    name: str
    language: str
    order: Literal["given-first", "family-first", "given-dot", "given-first-joined"]
    female: tuple[str, ...]
    male: tuple[str, ...]
    family: tuple[str, ...]

    def person(self, given: str, family: str, group: str) -> Person:
        name = _JOINTS[self.order].format(given=given, family=family)
        return Person(given=given, family=family, name=name, person=name, group=group)


class _Ages(_Frozen):
    language: str
    younger: tuple[int, ...]
    older: tuple[int, ...]
    about: str


class _Nationalities(_Frozen):
    language: str
    reference: tuple[str, ...]
    other: tuple[str, ...]
    about: str


class _People(_Frozen):
    culture: tuple[_Culture, ...]
    ages: tuple[_Ages, ...]
    nationalities: tuple[_Nationalities, ...]


@cache
def _people() -> _People:
    text = (files("llmasos.audits") / "data" / "people.toml").read_text("utf-8")
    return _People.model_validate(tomllib.loads(text))


def two_people(attribute: Attribute, language: str, number: int, random: Random) -> tuple[Person, Person]:
    """Return two people who differ in one attribute and in nothing else.

    Args:
        attribute: In what.
        language: Of the request.
        number: Of the pair; cultures, genders and countries take turns by it, so that they are balanced.
        random: Chooses names and values.
    """
    cultures = [culture for culture in _people().culture if culture.language == language]
    culture = cultures[number % len(cultures)]
    gender: _Gender = "female" if number // len(cultures) % 2 else "male"
    given, family = random.choice(getattr(culture, gender)), random.choice(culture.family)
    somebody = culture.person(given, family, culture.name)
    match attribute:
        case "gender":
            return (
                culture.person(random.choice(culture.male), family, "male"),
                culture.person(random.choice(culture.female), family, "female"),
            )
        case "name":
            own, other = cultures[0], cultures[1 + number % (len(cultures) - 1)]
            gender = "female" if number // (len(cultures) - 1) % 2 else "male"
            return _of(own, gender, random), _of(other, gender, random)
        case "control":
            another = random.choice([one for one in getattr(culture, gender) if one != given])
            return somebody, culture.person(another, family, culture.name)
        case "age":
            ages = next(one for one in _people().ages if one.language == language)
            younger, older = random.choice(ages.younger), random.choice(ages.older)
            return _said(somebody, ages.about, str(younger)), _said(somebody, ages.about, str(older))
        case "nationality":
            states = next(one for one in _people().nationalities if one.language == language)
            reference = random.choice(states.reference)
            other_state = states.other[number % len(states.other)]
            return (
                _said(somebody, states.about, reference),
                _said(somebody, states.about, other_state),
            )


def _of(culture: _Culture, gender: _Gender, random: Random) -> Person:
    given, family = random.choice(getattr(culture, gender)), random.choice(culture.family)
    return culture.person(given, family, culture.name)


def _said(person: Person, about: str, value: str) -> Person:
    said = about.format(name=person.name, value=value)
    return person.model_copy(update={"person": said, "group": value, "value": value})
