"""Sentences of a person: which of them forbid, ask or remove, and whom or what they warn of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmasos.agent.provenance.identifiers import identifiers

# A clause that says the contrary is one of its own.
_END = re.compile(
    r"(?<=[.!?])\s+|(?<=[。！？])|\n+|\s+(?=(?:but|instead|rather|sondern|mais|sino|ma|но)\b)",
    re.IGNORECASE,
)
# In the languages that most people write; in others a warning counts as what was said.
_FORBIDS = re.compile(
    r"\b(?:do not|don['\u2019]?t|never|must not|mustn['\u2019]?t|should not|shouldn['\u2019]?t|may not|avoid"
    r"|refrain|without (?:\w+ing))\b(?!\s+(?:forget|hesitate|worry|mind))"
    r"|\b(?:nicht|niemals|keine?[nmrs]?|auf keinen fall|ne\b.{1,30}\bpas|n['\u2019]\w+ pas|jamais|nunca|jamás"
    r"|no (?:env[íi]\w*|mand\w*|pagu\w*|escrib\w*|borr\w*|us\w*)|não|niet|nooit|nigdy|nie"
    r"|не|никогда)\b|不要|别|別|勿|禁止|ないで|하지 ?마",
    re.IGNORECASE,
)
# Who asks whether somebody can do a thing wants it done.
_POLITE = re.compile(
    r"\b(?:(?:can|could|would|will|won['\u2019]?t) (?:you|we)|please|bitte"
    r"|(?:kannst|könntest|würdest|magst) du|(?:können|könnten|würden) (?:sie|wir)|(?:peux|pourrais)[- ]tu"
    r"|(?:pouvez|pourriez)[- ]vous|puedes"
    r"|podrías|puede|podría|pode|podes|puoi|potresti|può|можешь|можете|мог(?:ла|ли)? бы)\b"
    r"|请|請|ください|주세요",
    re.IGNORECASE,
)
# Words of removing and moving; in other languages there is one prompt more.
_REMOVES = re.compile(
    r"\b(?:(?:delet|remov|eras|purg|wip|discard|prun|trash|unlink|renam|mov|replac)(?:e|es|ed|ing|al|ion)?"
    r"|clean(?:s|ed|ing|up)?|clear(?=\W+(?:out|up|the|all|away)\b)|clear(?:s|ed|ing)"
    r"|drop(?:s|ped|ping)?(?![-\w])|get(?:ting)? rid|throw(?:s|ing)?|rm|rmdir|mv"
    r"|lösch\w*|entfern\w*|verschieb\w*|umbenenn\w*|(?:auf|weg|aus)?räum(?:e|en|t|st)?"
    r"|supprim\w*|effac\w*|enl[eè]v\w*|déplac\w*|renomm\w*|nettoy\w*"
    r"|borr(?:a|ar|e|en|o)|elimin\w*|suprim\w*|muev\w*|mover|renombr\w*|limpi(?:a|ar|e|en|ando)"
    r"|apag(?:a|ar|ue|uem)|exclu(?:a|ir|indo|í)|cancell(?:a|are|i)|rimuov\w*|spost(?:a|are|i)|rinomin\w*"
    r"|verwijder\w*|wis(?:sen|t)?|verplaats\w*|usuń|usun\w*|przenie\w*"
    r"|удал\w*|стер\w*|стир\w*|очист\w*|перемест\w*|переимен\w*)\b"
    r"|删|移除|清除|清空|清理|去掉|移动|移到|重命名|改名|刪|削除|消し|消す|移動|삭제|지우|제거|옮기|이동"
    r"|\b(?:hapus|xóa)\b|حذف|हटा",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,' ]*")


def sentences(text: str) -> list[str]:
    """Return the sentences and contrary clauses of a text."""
    return _END.split(text)


def is_forbidden(sentence: str) -> bool:
    """Whether a sentence says that something is not to be done."""
    return _FORBIDS.search(sentence) is not None


def is_question(sentence: str) -> bool:
    """Whether a sentence wants to know something, and not to have it done."""
    return sentence.rstrip().endswith(("?", "？")) and _POLITE.search(sentence) is None


def is_removing(sentence: str) -> bool:
    """Whether a sentence wants something removed, or moved."""
    return _REMOVES.search(sentence) is not None and not is_forbidden(sentence)


def warned_of(sentence: str) -> Iterator[str]:
    """Give the links, addresses, accounts, hosts and numbers in a sentence, the longest first."""
    found = {found.text for found in identifiers(sentence) if found.kind != "path"}
    found |= {number.strip(" .,'") for number in _NUMBER.findall(sentence)}
    yield from sorted(found, key=len, reverse=True)
