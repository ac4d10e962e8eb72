"""The tasks of each tool: requests in English and Chinese, and what has to come of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmasos.tools.writing.checklist import count_words


@dataclass(frozen=True)
class Outcome:
    """What came of a task: what the person is told and shown, and what the files hold afterwards."""

    shown: str
    files: Mapping[str, str]


Check = Callable[[Outcome], bool]


@dataclass(frozen=True)
class Task:
    """A request, and what has to come of it.

    Args:
        request: What a person says.
        check: Looks at what is shown and at the files.
        probe: Python that has to run without an error in the sandbox afterwards.
        call: Arguments of a call by a person, for a tool that small models are not offered.
    """

    request: str
    check: Check = lambda _: True
    probe: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)


def says(*patterns: str) -> Check:
    """Check that each pattern is in what is shown."""
    return lambda outcome: all(re.search(pattern, outcome.shown, re.I | re.S) for pattern in patterns)


def absent() -> Check:
    """Check that nothing is made up."""
    return lambda outcome: "Not in the documents" in outcome.shown


def holds(path: str, *patterns: str) -> Check:
    """Check that a file holds each pattern; one that begins with `!` must not occur."""

    def check(outcome: Outcome) -> bool:
        text = outcome.files.get(path, "")
        return bool(text) and all(
            not re.search(pattern[1:], text, re.I | re.S | re.M)
            if pattern.startswith("!")
            else re.search(pattern, text, re.I | re.S | re.M)
            for pattern in patterns
        )

    return check


def about(path: str, words: int, *patterns: str) -> Check:
    """Check that a text has about so many words, a third more or less, and each pattern."""

    def check(outcome: Outcome) -> bool:
        text = outcome.files.get(path, "") if path else outcome.shown
        near = not words or words * 2 / 3 <= count_words(text) <= words * 4 / 3
        return near and all(re.search(pattern, text, re.I | re.S) for pattern in patterns)

    return check


_HAN, _LATIN = r"[一-鿿]{4}", r"[a-z]{3,} [a-z]{2,} [a-z]{2,}"
_CODE = r"```bash\nmake shell\n```"

ANALYSIS = (
    Task("which region sold most in sales.csv?", says("east")),
    Task("what is the average amount in sales.csv?", says(r"\b235\.?5?6?")),
    Task("how many sales of sales.csv are in the north?", says(r"\b(3|three)\b")),
    Task("what is the highest amount in sales.csv, and in which region?", says("510", "east")),
    Task("sum the amounts of sales.csv by region", says("north", "530", "east", "910", "south", "680")),
    Task("how many orders were there in March 2024, by sales.csv?", says(r"\b(3|three)\b")),
    Task("which product in stock.xlsx has the fewest pieces?", says("lamp")),
    Task("what is in stock.xlsx?", says("product", "pieces")),
    Task("销售额最高的地区是哪个？看 sales.csv", says("east")),
    Task("people.csv 里每个城市有多少人？", says("北京", "3", "上海", "2")),
    Task("people.csv 里年龄最大的人是谁？", says("王芳")),
    Task("people.csv 里的平均年龄是多少？", says(r"\b38(\.\d+)?\b")),
    Task("sales.csv 里 2024 年 1 月的总金额是多少？", says(r"\b570\b")),
    Task("stock.xlsx 里一共有多少件商品？", says(r"\b72\b")),
    Task("events.jsonl 里每种类型各有几条？", says("error", "2", "info", "3")),
)
TRANSLATION = (
    Task(
        "translate guide.md into Chinese and save it as g.md",
        holds("g.md", _HAN, "^# ", _CODE, r"\]\(api\.md\)"),
    ),
    Task(
        "translate guide.md into German, save it as g.md", holds("g.md", "^# ", _CODE, r"\b(und|der|die)\b")
    ),
    Task(
        "translate page.html to French and save it as p.html",
        holds("p.html", "<h1>", "<b>", r"\b(le|la|les)\b"),
    ),
    Task(
        "translate page.html into Chinese as p.html",
        holds("p.html", _HAN, '<a href="/hats">', "<pre>x = 1</pre>"),
    ),
    Task(
        "translate film.srt to Spanish, save as f.srt",
        holds("f.srt", r"00:00:01,000 --> ", r"\b(de|la|el|está)\b"),
    ),
    Task(
        "translate film.srt to Chinese, save as f.srt", holds("f.srt", _HAN, "00:00:04,000 --> 00:00:06,000")
    ),
    Task(
        "translate the column comment of reviews.csv into English, save it as r.csv",
        holds("r.csv", "^id,comment,stars$", _LATIN, r"^1,.*,5$", "!" + _HAN),
    ),
    Task("how do you say 'good morning' in French?", says("bonjour")),
    Task("把 说明.md 翻译成英文，保存为 s.md", holds("s.md", "^# ", _LATIN, _CODE, "!" + _HAN)),
    Task("把 说明.md 译成日语，存为 s.md", holds("s.md", "^# ", r"[ぁ-ん]{2}", _CODE)),
    Task("把 guide.md 翻译成法语，存到 g.md", holds("g.md", "^# ", _CODE, r"\b(le|la|les|vous)\b")),
    Task("“今天天气很好”用英语怎么说？", says("weather", "(nice|good|fine|great|lovely|beautiful)")),
    Task("把 film.srt 翻译成中文，保存到 f.srt", holds("f.srt", _HAN, "00:00:01,000")),
    Task("用 words.txt 里的术语把 guide.md 翻译成中文，存为 g.md", holds("g.md", "关卡", _CODE)),
    Task(
        "把 reviews.csv 的 comment 列翻译成英文，保存为 r.csv", holds("r.csv", "^id,comment,stars$", _LATIN)
    ),
)
DOCUMENTS = (
    Task("according to handbook.md, how many days of holiday do I get?", says("28", r"\[1\]")),
    Task("what does handbook.md say a hotel may cost?", says("120", r"\[1\]")),
    Task("When do I need a doctor's note, by handbook.md?", says("fourth", r"\[1\]")),
    Task("what does handbook.md say about trains?", says("second class", r"\[1\]")),
    Task("how long is the warranty on bags, according to shop.html?", says("two", r"\[1\]")),
    Task("according to shop.html, when is the phone answered?", says("(8|Monday)", r"\[1\]")),
    Task("who is the CEO, according to handbook.md?", absent()),
    Task("what does handbook.md say about parental leave?", absent()),
    Task("根据 退货.txt，几天内可以退货？", says("30", r"\[1\]")),
    Task("退货.txt 里说电池保修多久？", says("六个月|6 ?个月", r"\[1\]")),
    Task("根据 退货.txt，特价商品可以退吗？", says("不能|不可", r"\[1\]")),
    Task("退货.txt 里发票什么时候发？", says("3 ?个工作日|三个工作日", r"\[1\]")),
    Task("根据 退货.txt，可以用比特币付款吗？", absent()),
    Task("退货.txt 里写公司的地址是什么？", absent()),
    Task("根据 handbook.md，酒店每晚最多多少钱？", says("120", r"\[1\]")),
)
CODE = (
    Task(
        "write slug.py with a function slugify(title): lower case, words joined by single hyphens, nothing else. Test it.",
        probe="from slug import slugify\nassert slugify('Hello,  World 2!') == 'hello-world-2'",
    ),
    Task(
        "write fib.py with a function fib(n) that returns the n-th Fibonacci number, fib(0) = 0, fib(1) = 1, with tests",
        probe="from fib import fib\nassert [fib(n) for n in range(8)] == [0, 1, 1, 2, 3, 5, 8, 13]",
    ),
    Task(
        "write roman.py with to_roman(n) for 1 to 3999, and test it",
        probe="from roman import to_roman\nassert [to_roman(n) for n in (4, 9, 1994)] == ['IV', 'IX', 'MCMXCIV']",
    ),
    Task(
        "write vowels.py: a function count_vowels(text) that counts a, e, i, o, u in either case; with tests",
        probe="from vowels import count_vowels\nassert count_vowels('HELLO queue') == 6",
    ),
    Task(
        "write temp.py with celsius(f) and fahrenheit(c), which convert temperatures, and tests",
        probe="from temp import celsius, fahrenheit\nassert celsius(212) == 100 and fahrenheit(0) == 32",
    ),
    Task(
        "write stack.py with a class Stack: push, pop, peek, is_empty; pop of an empty stack raises IndexError; with tests",
        probe="from stack import Stack\ns = Stack()\ns.push(1); s.push(2)\nassert s.peek() == 2 and s.pop() == 2\n"
        "s.pop()\nassert s.is_empty()\ntry:\n    s.pop()\n    raise SystemExit('no error')\nexcept IndexError:\n    pass",
    ),
    Task(
        "add a function multiply(a, b) to calc.py and test it",
        probe="from calc import add, multiply\nassert multiply(3, 4) == 12 and add(1, 2) == 3",
    ),
    Task(
        "write pal.py with is_palindrome(text), which ignores case, spaces and punctuation; with tests",
        probe="from pal import is_palindrome\nassert is_palindrome('A man, a plan, a canal: Panama')\n"
        "assert not is_palindrome('abc')",
    ),
    Task(
        "写一个 primes.py，里面的函数 primes(n) 返回不超过 n 的所有质数的列表，并写测试",
        probe="from primes import primes\nassert primes(20) == [2, 3, 5, 7, 11, 13, 17, 19] and primes(1) == []",
    ),
    Task(
        "写 gcd.py，函数 gcd(a, b) 求最大公约数，带测试",
        probe="from gcd import gcd\nassert gcd(12, 18) == 6 and gcd(7, 5) == 1",
    ),
    Task(
        "写一个 leap.py，函数 is_leap(year) 判断闰年，并测试",
        probe="from leap import is_leap\nassert is_leap(2000) and is_leap(2024)\n"
        "assert not is_leap(1900) and not is_leap(2023)",
    ),
    Task(
        "写 dedupe.py，函数 dedupe(items) 去掉列表里的重复元素并保持顺序，带测试",
        probe="from dedupe import dedupe\nassert dedupe([3, 1, 3, 2, 1]) == [3, 1, 2]",
    ),
    Task(
        "写 bmi.py，函数 bmi(weight, height) 返回体重（千克）除以身高（米）的平方，保留一位小数，并测试",
        probe="from bmi import bmi\nassert bmi(70, 1.75) == 22.9",
    ),
    Task(
        "写 rev.py，函数 reverse_words(text) 把句子里单词的顺序反过来，带测试",
        probe="from rev import reverse_words\nassert reverse_words('a bc d') == 'd bc a'",
    ),
    Task(
        "给 calc.py 加一个函数 divide(a, b)，b 为 0 时抛出 ValueError，并测试",
        probe="from calc import add, divide\nassert divide(6, 3) == 2 and add(1, 2) == 3\ntry:\n    divide(1, 0)\n"
        "    raise SystemExit('no error')\nexcept ValueError:\n    pass",
    ),
)
TEXTS = (
    Task(
        "write a friendly email of about 80 words that invites my team to lunch on Friday, save it as a.md",
        about("a.md", 80, "lunch", "Friday"),
    ),
    Task(
        "write a formal letter of 120 words that thanks our customers for ten years, save it as a.md",
        about("a.md", 120, "thank", "ten|10"),
    ),
    Task(
        "write a blog post of 400 words about composting, save it as a.md",
        about("a.md", 400, "compost", "##"),
    ),
    Task(
        "draft a short apology of 60 words to Ms Lee because her parcel came three days late, save it as a.md",
        about("a.md", 60, "Lee", "three|3", "sorry|apolog"),
    ),
    Task(
        "write a product description of 100 words for a red desk lamp, save it as a.md",
        about("a.md", 100, "lamp", "red"),
    ),
    Task(
        "write a job advert of about 150 words for a baker in Lyon, save it as a.md",
        about("a.md", 150, "baker", "Lyon"),
    ),
    Task(
        "using facts.txt, write a press release of 120 words, save it as a.md",
        about("a.md", 120, "1999", "Blue Door"),
    ),
    Task("write a poem about rain and save it as a.md", about("a.md", 0, "rain")),
    Task(
        "写一封约 120 字的邮件，邀请同事周五聚餐，存为 a.md",
        about("a.md", 120, "周五|星期五", "聚餐|晚餐|餐"),
    ),
    Task(
        "写一封约 100 字的道歉信给李女士，说明包裹晚到了三天，存为 a.md",
        about("a.md", 100, "李", "三天", "抱歉|歉"),
    ),
    Task("写一篇约 200 字介绍绿茶的文章，存为 a.md", about("a.md", 200, "绿茶")),
    Task("写一份约 150 字的通知：下周一办公室停电，存为 a.md", about("a.md", 150, "停电", "周一|星期一")),
    Task("根据 事实.txt 写一篇约 150 字的新闻稿，存为 a.md", about("a.md", 150, "1999|蓝门")),
    Task("写一段约 80 字的产品介绍，产品是红色台灯，存为 a.md", about("a.md", 80, "台灯", "红")),
    Task("写一首关于春天的短诗，存为 a.md", about("a.md", 0, "春")),
)
_MOODS = ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")


def _each(instruction: str, *wanted: str) -> tuple[Task, ...]:
    """Return a task for each review: what the answer to it has to match."""
    return tuple(
        Task(
            instruction,
            says(f'"output": "[^"]*({pattern})'),
            call={"instruction": instruction, "files": [f"reviews/{name}"], "save_as": ""},
        )
        for name, pattern in zip(_MOODS, wanted, strict=True)
    )


EACH = (
    *_each("Is the mood good or bad? Answer with one word.", "good", "bad", "good", "bad", "good"),
    *_each(
        "Name the product, in one or two words.",
        "lamp",
        "shoe",
        "茶|tea",
        "耳机|headphone|earphone",
        "desk|table",
    ),
    *_each("这条评论是好评还是差评？只回答“好评”或“差评”。", "好评", "差评", "好评", "差评", "好评"),
)
TOOLS: dict[str, tuple[Task, ...]] = {
    "analyze_data": ANALYSIS,
    "translate": TRANSLATION,
    "ask_documents": DOCUMENTS,
    "write_code": CODE,
    "compose": TEXTS,
    "ask_files": EACH,
}

_XLSX = """
import openpyxl
book = openpyxl.Workbook()
for row in (["product", "pieces"], ["chair", 40], ["desk", 25], ["lamp", 7]):
    book.active.append(row)
book.save("stock.xlsx")
"""


def make_folder(place: Path) -> str:
    """Lay out the folder of every task, and return Python that makes the rest of it."""
    files = {
        "sales.csv": "day,region,amount\n2024-01-05,north,120\n2024-01-09,east,300\n2024-01-20,south,150\n"
        "2024-02-02,north,210\n2024-02-14,south,330\n2024-03-03,east,510\n2024-03-10,north,200\n2024-03-21,south,200\n"
        "2024-04-01,east,100\n",
        "people.csv": "姓名,年龄,城市\n张伟,31,北京\n李娜,28,上海\n王芳,62,北京\n刘洋,45,上海\n陈静,24,北京\n",
        "events.jsonl": "".join(
            f'{{"type": "{kind}"}}\n' for kind in ("info", "error", "info", "info", "error")
        ),
        "guide.md": "# The gate\n\nEvery call passes the gate before it runs.\n\n```bash\nmake shell\n```\n\n"
        "- Read the [manual](api.md) first.\n- Ask when you are not sure.\n",
        "说明.md": "# 安装\n\n请先安装程序，然后打开设置。\n\n```bash\nmake shell\n```\n\n如果有问题，请联系我们。\n",
        "words.txt": "gate = 关卡\n",
        "page.html": '<html><body><h1>Our shop</h1><p>We sell <b>red</b> shoes and <a href="/hats">hats</a>.</p>'
        "<pre>x = 1</pre></body></html>\n",
        "film.srt": "1\n00:00:01,000 --> 00:00:03,000\nWhere is the station?\n\n2\n00:00:04,000 --> 00:00:06,000\n"
        "It is next to the old church.\n",
        "reviews.csv": "id,comment,stars\n1,这双鞋穿起来非常舒服,5\n2,送货太慢了而且包装破了,2\n",
        "handbook.md": "# Handbook\n\n## Holidays\n\nEvery employee has 28 days of paid holiday a year.\n\n## Sick leave\n\n"
        "Call your team lead before 9:00. From the fourth day on, a doctor's note is needed.\n\n## Travel\n\nTrains are "
        "booked in second class. Hotels cost at most 120 euros a night.\n",
        "shop.html": "<h1>Support</h1><h2>Hours</h2><p>We answer the phone from Monday to Friday, 8 to 18.</p>"
        "<h2>Warranty</h2><ul><li>Shoes: one year</li><li>Bags: two years</li></ul>\n",
        "退货.txt": "退货政策\n商品签收后 30 天内可以退货，特价商品不能退货。\n\n付款方式\n我们接受银行卡和支付宝。发票在发货后 3 个工作日内发送。"
        "\n\n保修\n所有电器保修两年，电池保修六个月。\n",
        "calc.py": "def add(a, b):\n    return a + b\n",
        "facts.txt": "The bakery Blue Door opened in Lyon in 1999. It now opens a second shop in May.\n",
        "事实.txt": "蓝门面包店 1999 年在里昂开业，今年五月开第二家店。\n",
        "reviews/a.txt": "I love this lamp. It is bright and looks great.\n",
        "reviews/b.txt": "The shoes fell apart after two days. A waste of money.\n",
        "reviews/c.txt": "这款茶味道很好，包装也漂亮，下次还会买。\n",
        "reviews/d.txt": "耳机用了一周就坏了，客服也不理人，非常失望。\n",
        "reviews/e.txt": "The desk arrived early, was easy to set up and is very sturdy.\n",
    }
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return _XLSX
