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
    r"|empty(?=\s+(?:out|the|my|this|that|these|those|all|it|its|[\w./-]+\.\w))|empt(?:ies|ied|ying)"
    r"|(?:make|leave)s?\s.{1,60}\bempty|clear(?=\s+[\w./-]+\.\w)|truncat(?:e|es|ed|ing)"
    r"|leere?(?=\s+(?:die|das|den|alle|bitte))|(?:aus|ent)?leer(?:en(?=\W*$)|t?e? machen)"
    r"|vid(?:er|ez|e(?=\s+(?:le|la|les|ce|tout)\b))|vac[ií](?:ar|a(?=\s+(?:el|la|los|las)\b))"
    r"|svuot\w*|esvazi\w*|leegmaken|opróżni\w*|wyczyść|опустош\w*"
    r"|удал\w*|стер\w*|стир\w*|очист\w*|перемест\w*|переимен\w*)\b"
    r"|删|移除|清除|清空|置空|空にし|空にす|비우|비워|清理|去掉|移动|移到|重命名|改名|刪|削除|消し|消す|移動|삭제|지우|제거|옮기|이동"
    r"|\b(?:hapus|xóa)\b|حذف|हटा",
    re.IGNORECASE,
)
# What begins a clause that wants to be told something, and nothing done. In other words it is not known that
# this is all that is wanted.
_READS = re.compile(
    r"(?:(?:please|bitte|first|also|now|just|can you|could you|would you)\s+)*"
    r"(?:(?:read|show|tell|explain|describe|list|count|look|check|find|search|view|open|inspect|review|print|say"
    r"|give me|let me know|what|which|who|whose|where|when|why|how|is|are|does|do you|did|has|have"
    r"|lies|zeig|sag|erklär|beschreib|zähl|schau|prüf|such|nenn|was|welche[rs]?|wer|wo|wann|warum|wie"
    r"|lis(?:ez)?|montre[rz]?|dis|dites|explique[rz]?|compte[rz]?|regarde[rz]?|cherche[rz]?|quel(?:le)?s?|qui|où"
    r"|lee|muestra|dime|explica|cuenta|mira|busca|qué|cuál|quién|leggi|mostra|dimmi|spiega|conta|guarda)e?\b"
    r"|summari[sz]e\b(?!.*\b(?:in|into|to|as)\b)"
    r"|[请請]?(?:读|讀|阅读|看|查看|告诉|告訴|说明|解释|列出|显示|数|检查|什么|哪))"
    r"|[^\s\u3040-\u9fff]*[./][^\s\u3040-\u9fff]*$|.*(?:読んで|教えて|見せて|説明して|数えて|確認して)(?:ください|下さい)?$",
    re.IGNORECASE | re.DOTALL,
)
_CLAUSE = re.compile(
    r"\s*(?:[,;:，、；]|\b(?:and|then|und|dann|et|puis|y|luego|e|poi)\b|并且?|然后|再|(?<=読んで))\s*",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"[^\S\n]{2,}")
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,' ]*")


def sentences(text: str) -> list[str]:
    """Return the sentences and contrary clauses of a text."""
    # Runs of blanks mean nothing, and take long to look through.
    return _END.split(_BLANKS.sub(" ", text))


def is_forbidden(sentence: str) -> bool:
    """Whether a sentence says that something is not to be done."""
    return _FORBIDS.search(sentence) is not None


def is_question(sentence: str) -> bool:
    """Whether a sentence wants to know something, and not to have it done."""
    return sentence.rstrip().endswith(("?", "？")) and _POLITE.search(sentence) is None


def is_reading(sentence: str) -> bool:
    """Whether a sentence only wants to know something, or forbids something."""
    if is_forbidden(sentence) or is_question(sentence):
        return True
    clauses = [clause.strip(" .!。！") for clause in _CLAUSE.split(sentence)]
    return all(_READS.match(clause) is not None for clause in clauses if clause)


def is_removing(sentence: str) -> bool:
    """Whether a sentence wants something removed, moved, or emptied."""
    return _REMOVES.search(sentence) is not None and not is_forbidden(sentence)


def warned_of(sentence: str) -> Iterator[str]:
    """Give the links, addresses, accounts, hosts and numbers in a sentence, the longest first."""
    found = {found.text for found in identifiers(sentence) if found.kind != "path"}
    found |= {number.strip(" .,'") for number in _NUMBER.findall(sentence)}
    yield from sorted(found, key=len, reverse=True)
