"""All texts of the pages are in the language files, complete in every language."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest

from faceall.analysis.quality import NoteKind
from faceall.errors import FaceallError
from faceall.web.pages.results import note_text, problem_text
from faceall.web.pages.texts import LANGUAGES, Texts, load_texts

WEB = Path(inspect.getfile(Texts)).parents[1]  # the installed package
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = sorted((WEB / "static/scripts").glob("*.js"))
SPOKEN_ATTRIBUTES = {"alt", "aria-label", "placeholder", "title", "aria-description"}
CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
TEXT_OF_A_KEY = re.compile(r"""\b(?:t|text)\(\s*["']([\w.-]+)["']""")
PLURAL_OF_A_KEY = re.compile(r"""\b(?:n|textFor)\(\s*["']([\w.-]+)["']""")
WORDS = re.compile(r"[^\W\d_]{2,}")


def entries_of(language: str) -> dict[str, str | Mapping[str, str]]:
    """Return every text of a language by its full key; plural forms stay together."""

    def below(room: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for name, value in room.items():
            if isinstance(value, Mapping) and "other" not in value:
                yield from below(value, f"{path}{name}.")
            else:
                yield path + name, value

    return dict(below(load_texts(language).entries, ""))


def values_of(text: str | Mapping[str, str]) -> set[str]:
    """Return the names in braces, in any plural form."""
    forms = text.values() if isinstance(text, Mapping) else [text]
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_languages_have_the_same_keys(language: str) -> None:
    """Every language has the keys of English, in the same order, and no others."""
    assert list(entries_of(language)) == list(entries_of("en"))


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_translations_have_the_same_placeholders(language: str) -> None:
    """A translation has the placeholders and plural forms of the English text."""
    english, other = entries_of("en"), entries_of(language)
    for key, text in english.items():
        assert values_of(other[key]) == values_of(text), key
        assert isinstance(other[key], Mapping) == isinstance(text, Mapping), key


def test_no_text_is_left_in_english() -> None:
    """Every Chinese text differs from English, except names and patterns without words."""
    english, chinese = entries_of("en"), entries_of("zh")
    same = {key for key, text in english.items() if chinese[key] == text}
    assert same <= {"site.name", "photo.size"}


def test_a_text_is_formatted() -> None:
    """Values replace the placeholders, and the number selects the plural form."""
    english, chinese = load_texts("en"), load_texts("zh")
    assert english("script.filed", name="Ada") == "Registered as Ada"
    assert english.count("common.faces", 1) == "1 face"
    assert english.count("common.faces", 0) == "0 faces"
    assert chinese.count("common.faces", 1) == "1 张脸"


def test_an_unknown_key_is_an_error() -> None:
    """A missing key, or one used in the wrong way, raises an error."""
    texts = load_texts("en")
    with pytest.raises(FaceallError, match=r"texts/en\.json has no text 'people\.colour'"):
        texts("people.colour")
    with pytest.raises(FaceallError, match="needs a number"):
        texts("common.faces")
    with pytest.raises(FaceallError, match="has no plural forms"):
        texts.count("people.title", 2)
    with pytest.raises(FaceallError, match="no texts in 'tlh'; there are en, zh"):
        load_texts("tlh")


class VisibleText(HTMLParser):
    """Collect the literal text of a template: between tags, and in attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.styled: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.said += [value or "" for name, value in attrs if name in SPOKEN_ATTRIBUTES]
        self.styled += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        if tag in ("style", "script") and not any(name == "src" for name, _ in attrs):
            self.styled.append(tag)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_no_literal_text(template: Any) -> None:
    """Outside of Jinja's braces there is no text for a reader."""
    spoken = VisibleText()
    spoken.feed(CODE.sub(" ", template.read_text()))
    assert [said.strip() for said in spoken.said if WORDS.search(said)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_need_no_unsafe_policy(template: Any) -> None:
    """There is no inline script, no style element or attribute, and no event handler."""
    spoken = VisibleText()
    spoken.feed(CODE.sub("x", template.read_text()))
    assert spoken.styled == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_have_no_sentences(script: Any) -> None:
    """Outside of comments no string of a script looks like a sentence."""
    code = re.sub(r"/\*.*?\*/|^\s*//.*$|\s// .*$", "", script.read_text(), flags=re.DOTALL | re.MULTILINE)
    strings = re.findall(r'"([^"\n]*)"', code)
    assert [said for said in strings if re.match(r"[A-Z][a-z]+ [a-z]", said)] == []


def test_templates_and_scripts_are_found() -> None:
    """The tests find templates and scripts in any installation."""
    assert {"people.html", "register.html", "search.html"} <= {path.name for path in TEMPLATES}
    assert SCRIPTS


def test_used_keys_exist() -> None:
    """Every key in a template or a script exists, in the form that is used."""
    entries = entries_of("en")
    for path in [*TEMPLATES, *SCRIPTS, *WEB.glob("pages/*.py")]:
        source = path.read_text()
        for key in TEXT_OF_A_KEY.findall(source):
            if not key.endswith((".", "_")):
                assert isinstance(entries.get(key), str), f"{path.name}: {key}"
        for key in PLURAL_OF_A_KEY.findall(source):
            assert isinstance(entries.get(key), Mapping), f"{path.name}: {key}"


def test_scripts_get_the_texts_that_they_use() -> None:
    """The sections sent to the browser have every key that a script names."""
    texts = load_texts("en")
    handed = Texts("en", texts.for_scripts())
    for script in SCRIPTS:
        source = script.read_text()
        for key in TEXT_OF_A_KEY.findall(source) + PLURAL_OF_A_KEY.findall(source):
            assert handed.has(key), f"{script.name}: {key}"


def test_no_text_is_unused() -> None:
    """Every text is used somewhere, or is in a section whose keys come from the server."""
    sources = "\n".join(path.read_text() for path in [*TEMPLATES, *SCRIPTS, *WEB.rglob("*.py")])
    made = (
        "changes.",
        "notes.",
        "outcome.",
        "people.sort_",
        "photos.with",
        "problems.",
        "remarks.",
        "site.",
        "status.",
    )
    unused = [key for key in entries_of("en") if not re.search(rf"""["'`]{re.escape(key)}["'`]""", sources)]
    assert [key for key in unused if not key.startswith(made)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_note_has_a_text(language: str) -> None:
    """Every note has a text; that of a near-duplicate names the other photo."""
    notes = load_texts(language).entries["notes"]
    assert sorted(notes) == sorted(get_args(NoteKind))
    other = {"kind": "near-duplicate", "message": "", "photo": 3, "name": "ada.jpg"}
    assert "ada.jpg" in note_text(load_texts(language), other)


@pytest.mark.parametrize(
    ("message", "chinese"),
    [
        ("a person's name cannot be empty", "名字不能为空。"),
        ("another person is already called 'Ada'; merge 'Bob' into 'Ada' instead", "已经有人叫Ada。请改为合并。"),
        ("the same photo as 1.jpg", "与1.jpg是同一张照片"),
        (
            "has 300 x 100 = 30,000 pixels, the limit is 10; scale it down first",
            "300 × 100 像素太多，上限是 10；请先缩小。",
        ),
        ("change 7 cannot be undone: face 3 was changed again", "无法撤销：之后又有修改，请先撤销较新的修改。"),
    ],
)
def test_messages_of_the_server_are_translated(message: str, chinese: str) -> None:
    """A known message is translated; an unknown one follows the translated text of its code."""
    words = load_texts("zh")
    assert words.remark(message) == chinese
    assert problem_text(words, {"code": "conflict", "message": message}) == chinese
    assert problem_text(words, {"code": "conflict", "message": "something else"}).endswith("（something else）")


def test_every_remark_has_a_pattern() -> None:
    """Patterns and texts correspond; scripts get the patterns in languages other than English."""
    patterns = load_texts("zh").for_scripts()["patterns"]
    assert {name for _, name in patterns} == set(load_texts("zh").entries["remarks"])
    assert "patterns" not in load_texts("en").for_scripts()


FACEALL = WEB.parent
SHOWN = (
    *sorted((WEB / "api").glob("*.py")),
    *sorted((WEB / "fetch").glob("*.py")),
    *sorted((WEB / "work").glob("*.py")),
    *sorted((WEB / "pages").glob("[!t]*.py")),
    WEB / "errors.py",
    WEB / "serializers.py",
    WEB / "security/headers.py",
    *(WEB / "security" / name for name in ("decoding.py", "json_bodies.py", "rates.py")),
    *sorted((FACEALL / "gallery/people").rglob("[!f]*.py")),
    FACEALL / "gallery/browse.py",
    FACEALL / "gallery/faces.py",
    FACEALL / "gallery/embedded/journal.py",
    *sorted((FACEALL / "images/decoding").glob("*.py")),
)
"""Modules whose errors a page can show."""

RAISERS = ("Error", "refused", "too_large", "too_many", "_unauthorized")
OF_PROGRAMMING = ("RuntimeError", "ValueError", "AssertionError", "TypeError")


def messages_of(module: Path) -> Iterator[str]:
    """Yield the messages of a module's errors, with 7 or 'Ada' for each placeholder."""
    for call in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if name.endswith(RAISERS) and name not in OF_PROGRAMMING:
                yield from (text for part in call.args if re.search("[a-z]{2} ", text := sample(part)))
        elif isinstance(call, ast.Assign) and getattr(call.targets[0], "id", "") in ("text", "_TEXTS", "_WORDS"):
            parts = call.value.values if isinstance(call.value, ast.Dict) else [call.value]
            yield from (text for part in parts if " " in (text := sample(part)) and "{" not in text)


def sample(node: ast.expr) -> str:
    """Return the text of a string or an f-string; "" for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(sample, node.values))
    if isinstance(node, ast.FormattedValue):
        return "'Ada'" if node.conversion == ord("r") else "7"
    return ""


@pytest.mark.parametrize("module", SHOWN, ids=lambda path: path.stem)
def test_every_error_that_a_page_can_show_is_translated(module: Path) -> None:
    """A new message needs a pattern in remarks.json and its text in every language."""
    words = load_texts("zh")
    assert [message for message in messages_of(module) if words.remark(message) is None] == []


def test_the_url_before_a_message_does_not_count() -> None:
    """Errors of downloads begin with the URL, which the page shows anyway."""
    words = load_texts("zh")
    for message in ("is empty, expected an image", "the server responded with status 404", "is not a public address"):
        assert words.remark(f"https://example.org/a:b.jpg: {message}") == words.remark(message) is not None


def test_messages_are_found_in_the_modules() -> None:
    """The search for messages finds those of errors, of dictionaries and of f-strings."""
    found = {message for module in SHOWN for message in messages_of(module)}
    assert {"a person's name cannot be empty", "already in the gallery", "the gallery has no photo 7"} <= found
    assert len(found) > 100
