"""Whether a grammar accepts a text, by a real matcher over bytes."""

import llguidance
from llguidance.gbnf_to_lark import gbnf_to_lark


def accepts(grammar: str, text: str) -> bool:
    """Return whether the grammar (GBNF) accepts the whole text."""
    tokenizer = llguidance.LLTokenizer("byte")
    compiled = llguidance.LLMatcher.grammar_from_lark(gbnf_to_lark(grammar))
    matcher = llguidance.LLMatcher(tokenizer, compiled)
    assert not matcher.get_error(), matcher.get_error()
    tokens = tokenizer.tokenize_str(text)
    return bool(matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting())
