"""The project's own requests: what a model has to make of them, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass

ANSWER = "answer"
"""Stands for a reply in words, among the names of tools."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request.

    Args:
        request: What a person says.
        tools: The tools that serve it, separated by `|`.
        patterns: What its arguments, or the answer, have to match.
    """

    request: str
    tools: str
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TwoStep:
    """A request whose tool has given its result.

    Args:
        request: What a person said.
        tool: What was called.
        arguments: With which arguments.
        result: What came of it.
        patterns: What the answer has to match.
    """

    request: str
    tool: str
    arguments: dict[str, str]
    result: str
    patterns: tuple[str, ...]


# Prompts may be tuned on these.
TUNING = (
    Case(
        "how many unique customers are in orders.csv?",
        "run_python|analyze_data",
        (r"orders\.csv", "customer"),
    ),
    Case("sum the numbers in amounts.txt", "run_python", (r"amounts\.txt",)),
    Case("which is larger, 2**40 or 10**12?", "run_python", ()),
    Case(
        "compare a.txt and b.txt line by line and tell me which lines differ",
        "run_python|run_shell",
        ("a.txt", "b.txt"),
    ),
    Case("哪个月的销售额最高？数据在 revenue.csv", "run_python|analyze_data", (r"revenue\.csv",)),
    Case("数一数 essay.txt 里有多少个字", "run_python|run_shell", (r"essay\.txt",)),
    Case("show me the contents of config.yaml", "read_file", (r"config\.yaml",)),
    Case("看一下 notes.txt 写了什么", "read_file", (r"notes\.txt",)),
    Case("summarise minutes.md", "read_file", (r"minutes\.md",)),
    Case("what files are in the src folder?", "list_files", ("src",)),
    Case("列出当前目录的文件", "list_files", ()),
    Case("find every place where TODO appears in the code", "search_files", ("TODO",)),
    Case("哪些文件提到了“合同”？", "search_files", ("合同",)),
    Case("translate 'where is the station' into French", "translate", ("French", "where is the station")),
    Case("把 readme.txt 翻译成法语", "translate", ("French|法", r"readme\.txt")),
    Case("create a file called greet.py that prints hello", "write_file|write_code", (r"greet\.py",)),
    Case("新建 plan.md，写上三个周末计划", "write_file", (r"plan\.md",)),
    Case(
        "rename colour to color in style.css",
        "edit_file|run_python|run_shell",
        (r"style\.css", "colour", "color"),
    ),
    Case("把 hello.py 里的 foo 替换成 bar", "edit_file|run_python", (r"hello\.py", "foo", "bar")),
    Case("install the package requests with pip", "run_shell", ("pip", "install", "requests")),
    Case("make a new branch called dev in git", "run_shell", ("git", "dev")),
    Case("当前的 python 版本是多少", "run_shell|run_python", ("python|sys",)),
    Case("hi there", ANSWER, ()),
    Case("谢谢你", ANSWER, ()),
    Case("法国的首都是哪里？", ANSWER, ("巴黎",)),
    Case(
        "what is the average of column age in people.csv", "run_python|analyze_data", (r"people\.csv", "age")
    ),
    Case("how many days are between 2024-02-11 and 2025-01-05?", "run_python", ("2024", "2025")),
    Case("计算 1 到 500 之间所有质数的和", "run_python", ("500|501",)),
    Case("统计 log.txt 里每个错误出现的次数", "run_python", (r"log\.txt",)),
    Case(
        "translate every file in the docs folder into English", "run_python", ("docs", "translate", "English")
    ),
    Case("which line in poem.txt is the longest?", "run_python", (r"poem\.txt",)),
    Case("open the file LICENSE", "read_file", ("LICENSE",)),
    Case("帮我读一下 diary.txt", "read_file", (r"diary\.txt",)),
    Case("please give me a summary of paper.md", "read_file", (r"paper\.md",)),
    Case("list all the python files here", "list_files", (r"\*\.py",)),
    Case("images 文件夹里有什么", "list_files", ("images",)),
    Case("where is the function load_user defined?", "search_files", ("load_user",)),
    Case("在项目里搜索 deprecated 这个词", "search_files", ("deprecated",)),
    Case(
        "how do you say 'thank you very much' in Japanese?", "translate", ("Japanese", "thank you very much")
    ),
    Case("把“明天见”翻译成英语", "translate", ("English|英", "明天见")),
    Case(
        "translate letter.txt to German and save it as letter.de.txt",
        "translate",
        ("German", r"letter\.txt", r"letter\.de\.txt"),
    ),
    Case("write a short poem about rain to rain.txt", "write_file|compose", (r"rain\.txt",)),
    Case("写一个 add.py，里面有一个两数相加的函数", "write_file|write_code", (r"add\.py",)),
    Case("change the port from 8080 to 9090 in server.conf", "edit_file", (r"server\.conf", "8080", "9090")),
    Case("把 about.md 中的 2023 改为 2024", "edit_file", (r"about\.md", "2023", "2024")),
    Case("show running processes", "run_shell", ("ps|top",)),
    Case("用 git 提交所有改动，信息写 fix typo", "run_shell", ("git", "fix typo")),
    Case("good morning!", ANSWER, ()),
    Case("who wrote Hamlet?", ANSWER, ("Shakespeare",)),
    Case("什么是递归？", ANSWER, ()),
)
# Look at the misses of these only as a number.
HELD_OUT = (
    Case(
        "what's the total of the column cost in trips.csv?",
        "run_python|analyze_data",
        (r"trips\.csv", "cost"),
    ),
    Case("which word occurs most often in speech.txt?", "run_python", (r"speech\.txt",)),
    Case("compute the square root of 2 to 20 digits", "run_python", ("2",)),
    Case("把 scores.csv 按分数从高到低排序，告诉我前三名", "run_python|analyze_data", (r"scores\.csv",)),
    Case("stock.csv 里有多少种商品的库存少于 5？", "run_python|analyze_data", (r"stock\.csv", "5")),
    Case("把 chapters 目录里的每个文件翻译成英文", "run_python", ("chapters", "translate")),
    Case("let me see what's in package.json", "read_file", (r"package\.json",)),
    Case("打开 agenda.md 给我看看", "read_file", (r"agenda\.md",)),
    Case("tell me briefly what proposal.txt is about", "read_file", (r"proposal\.txt",)),
    Case("which files do I have?", "list_files", ()),
    Case("data 目录下有哪些 csv 文件", "list_files", ("data", "csv")),
    Case("find the files that mention password", "search_files", ("password",)),
    Case("哪里用到了 connect_db 这个函数？", "search_files", ("connect_db",)),
    Case("what is 'good luck' in Italian?", "translate", ("Italian", "good luck")),
    Case(
        "translate story.txt into Spanish, save it to story.es.txt",
        "translate",
        ("Spanish", r"story\.txt", r"story\.es\.txt"),
    ),
    Case("“今天天气很好”用英语怎么说", "translate", ("English|英", "今天天气很好")),
    Case("make a file names.txt with Tom, Ann and Li", "write_file", (r"names\.txt", "Tom", "Ann", "Li")),
    Case("新建一个 main.c，打印 hello world", "write_file|write_code", (r"main\.c",)),
    Case("replace version 1.2 with 1.3 in setup.py", "edit_file", (r"setup\.py", r"1\.2", r"1\.3")),
    Case("把 index.html 的标题从“首页”改成“主页”", "edit_file", (r"index\.html", "首页", "主页")),
    Case("how much memory does this machine have free?", "run_shell|run_python", ()),
    Case("用 npm 安装 express", "run_shell", ("npm", "express")),
    Case("thanks, that's all", ANSWER, ()),
    Case("who was the first person on the moon?", ANSWER, ("Armstrong",)),
    Case("简单解释一下什么是数据库", ANSWER, ()),
)
TWO_STEPS = (
    TwoStep(
        "how many rows are in items.csv?", "run_python", {"code": "print(len(rows))\n"}, "8412", ("8,?412",)
    ),
    TwoStep(
        "items.csv 里一共有多少行？",
        "run_python",
        {"code": "print(len(rows))\n"},
        "8412",
        ("8,?412", "[一-龥]"),
    ),
    TwoStep(
        "平均年龄是多少？数据在 people.csv",
        "run_python",
        {"code": "print(mean)\n"},
        "37.25",
        (r"37\.25", "[一-龥]"),
    ),
    TwoStep(
        "what does todo.txt say?",
        "read_file",
        {"path": "todo.txt"},
        "buy bread\ncall Anna",
        ("bread", "Anna"),
    ),
    TwoStep("总结 todo.txt", "read_file", {"path": "todo.txt"}, "buy bread\ncall Anna", ("[一-龥]",)),
    TwoStep(
        "read nothing.txt",
        "read_file",
        {"path": "nothing.txt"},
        "error: there is no file nothing.txt",
        (r"nothing\.txt",),
    ),
    TwoStep("what's in here?", "list_files", {}, "a.txt\nb.md\nphotos/", (r"a\.txt", r"b\.md", "photos")),
    TwoStep(
        "how do you say cat in French?",
        "translate",
        {"target_language": "French", "text": "cat"},
        "chat",
        ("chat",),
    ),
    TwoStep(
        "哪个部门的支出最高？", "run_python", {"code": "print(top)\n"}, "市场部 88000", ("市场部", "[一-龥]")
    ),
    TwoStep("which city has the most users?", "run_python", {"code": "print(top)\n"}, "Lyon 5301", ("Lyon",)),
)
