"""The language in which a person is spoken to: English, or what their locale or the settings say."""

from llmasos.language.chosen import (
    ENGLISH,
    SETTING,
    chosen_language,
    translated,
    translated_error,
    use_language,
)

__all__ = ["ENGLISH", "SETTING", "chosen_language", "translated", "translated_error", "use_language"]
