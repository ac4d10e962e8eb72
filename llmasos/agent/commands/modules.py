"""Modules of Python and names in them: which only calculate, and which do more."""

from __future__ import annotations

from .shapes import shape_of
from .table import names

HARMLESS = names(
    "__future__ abc argparse array ast base64 binascii bisect calendar cmath codecs collections"
    " colorsys copy csv dataclasses datetime decimal difflib enum errno fractions functools getopt"
    " gettext glob fnmatch hashlib heapq hmac html inspect io itertools json keyword locale math"
    " mimetypes numbers operator os pathlib pprint queue quopri random re reprlib sched secrets stat"
    " statistics string stringprep struct sys textwrap threading time token tokenize tomllib"
    " traceback types typing typing_extensions unicodedata uuid warnings weakref xml zlib zoneinfo"
    " contextlib contextvars email graphlib plistlib configparser gzip bz2 lzma zipfile tarfile"
    " shutil tempfile sqlite3 filecmp linecache ipaddress concurrent asyncio platform textwrap urllib"
    " logging pandas numpy matplotlib seaborn PIL openpyxl bs4 dateutil pytz tzdata six scipy sklearn"
    " statsmodels networkx sympy yaml toml tomli tabulate rich tqdm lxml pyarrow polars xlrd chardet"
    " charset_normalizer regex duckdb"
)
"""Modules that do nothing by being imported; what their functions do is told by the functions' names."""

NETWORK = names(
    "socket ssl requests httpx aiohttp http urllib3 smtplib ftplib poplib imaplib nntplib telnetlib"
    " xmlrpc socketserver websocket websockets paramiko boto3 httpx2 pycurl grpc"
)
RUNS = names(
    "subprocess pty ctypes cffi importlib imp runpy code codeop pickle cPickle _pickle marshal"
    " shelve dill cloudpickle joblib multiprocessing pdb bdb cProfile profile trace pip setuptools"
    " distutils site venv zipimport pkgutil ensurepip zipapp mmap fcntl signal atexit gc timeit"
    " copyreg unittest doctest builtins _io posix nt webbrowser antigravity idlelib turtle tkinter"
    " resource pwd grp faulthandler ptpython IPython pexpect sh plumbum invoke fabric docker"
)

READING = names(
    "read_csv read_table read_excel read_json read_parquet read_text read_bytes read_fwf read_html"
    " read_xml read_feather read_orc loadtxt genfromtxt fromfile imread load_workbook listdir scandir"
    " stat lstat exists isfile isdir getsize walk getmtime glob rglob iglob iterdir is_file is_dir"
    " samefile readlink getline getlines iterparse"
)
"""Functions and methods whose first argument is a path that is read, or that read the path they belong to."""

WRITING = names(
    "write_text write_bytes touch mkdir makedirs symlink symlink_to hardlink_to link_to chmod lchmod"
    " chown lchown truncate mkfifo mknod utime link copy2 copyfile copytree copymode copystat to_csv"
    " to_excel to_json to_parquet to_feather to_hdf to_html to_latex to_markdown to_orc to_stata"
    " to_xml to_sql savefig savetxt savez savez_compressed tofile imsave make_archive write_csv"
    " write_excel write_json write_parquet write_ipc sink_csv sink_parquet NamedTemporaryFile mkstemp"
    " mkdtemp TemporaryDirectory TemporaryFile ExcelWriter FileHandler RotatingFileHandler"
    " basicConfig writestr open_memmap extractall extract"
)
"""Functions and methods that write; some of them answer with text when they get no path."""
TEXT_WITHOUT_PATH = names(
    "to_csv to_json to_html to_latex to_markdown to_xml basicConfig write_csv write_json"
)
TEMPORARY = names("NamedTemporaryFile mkstemp mkdtemp TemporaryDirectory TemporaryFile")
METHODS_ON_PATH = names(
    "write_text write_bytes touch mkdir symlink_to hardlink_to chmod unlink rmdir rename replace"
)
MOVING = names("rename renames replace move")
DELETING = names("unlink remove removedirs rmdir rmtree")
CALLS = names(
    "system popen startfile posix_spawn posix_spawnp fork forkpty execl execle execlp execlpe execv"
    " execve execvp execvpe spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe kill"
    " killpg putenv dlopen enable_load_extension load_extension run_path run_module import_module"
    " create_subprocess_exec create_subprocess_shell subprocess_exec subprocess_shell check_output"
    " check_call getoutput getstatusoutput Popen settrace setprofile call_tracing set_trace"
    " addaudithook urlopen urlretrieve query_unsafe open_connection create_connection start_server"
    " create_server sendmail read_pickle to_pickle read_hdf read_sql read_sql_query read_sql_table"
    " read_clipboard read_gbq unsafe_load full_load executescript run_in_executor connect environb"
    " setenv unsetenv ProcessPoolExecutor chroot setuid setgid open_code pipe2 memfd_create ctypeslib"
    " dictConfig fileConfig get_type_hints ForwardRef sympify parse_expr lambdify evalf_func"
)
"""Functions and methods that run something or open a door, whatever they belong to."""
TELLING = frozenset({"os", "shutil", "subprocess", "sys", "io", "pathlib", "builtins", "posix"})
"""Modules that keep their names, because code that runs later in the same session knows them by these."""
CONVENTIONS = {
    "np": "numpy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "sns": "seaborn",
    **{
        name: name
        for name in TELLING
        | names("numpy pandas matplotlib sympy duckdb tarfile zipfile logging asyncio yaml")
    },
}
"""Names by which modules are known that were imported earlier in the same session."""
DOORS = (
    RUNS | NETWORK | names("shutil tempfile tarfile zipfile asyncio posixpath _winapi bltn_open")
) - names("signal trace profile code http site resource ssl sh")
"""Modules that other modules have among their names."""
REFLECTION = names("__builtins__ __loader__ __spec__ __import__")
BUILTINS_RUN = names("eval exec compile __import__ breakpoint input globals locals vars setattr delattr help")
SECRET = names(
    "__globals__ __builtins__ __subclasses__ mro __bases__ __mro__ __code__ __class__ __dict__"
    " __loader__ __spec__ __reduce__ __reduce_ex__ __getattribute__ __import__ _os os sys _sys"
    " subprocess posix builtins importlib f_globals f_locals f_builtins f_back f_code gi_code"
    " cr_code tb_next gi_frame cr_frame tb_frame modules meta_path path_hooks _getframe"
    " __init_subclass__ __self__ __func__ __wrapped__ func_globals"
)
"""Attributes by which code gets at what it did not import."""
SQL_WRITES = (
    r"\b(insert|update|delete|replace\s+into|drop|create|alter|attach|detach|copy|install|load|export|import|pragma"
    r"|vacuum|set|call|into|https?:|s3:|writefile|load_extension|getenv|shell)\b"
)
RUNNERS = names("run call check_call check_output Popen getoutput getstatusoutput system popen")
"""Functions of `subprocess` and `os` that take a command."""
TELLING_NAMES = SECRET | CALLS | DELETING | MOVING | WRITING
TEXT_WORK = names(
    "startswith endswith replace split rsplit splitlines partition rpartition join count find rfind"
    " index strip lstrip rstrip removeprefix removesuffix format format_map append appendleft add"
    " insert extend remove discard contains match fullmatch search sub subn findall finditer get pop"
    " setdefault update isin eq ne map fillna title suptitle text annotate xlabel ylabel set_title"
    " set_xlabel set_ylabel legend debug info warning error critical exception log encode decode"
    " select select_one find_all xpath set write writelines writerow print add_argument add_node"
    " add_edge array Series Index BeautifulSoup strptime strftime push put cell add_row add_column"
    " group key label lower upper translate zfill ljust rjust center equals assertEqual quote unquote"
)
"""Functions and methods that treat texts as texts, so that a link or a path among them is none."""
SETTINGS_RUN = r"backend|usetex|preamble|animation\.|_path$|module:"
"""Settings of matplotlib that load or run programs."""


def is_telling(name: str) -> bool:
    """Return whether a name says that more is done than calculated."""
    return name in TELLING_NAMES or shape_of(name) in {"writes", "network", "runs"}
