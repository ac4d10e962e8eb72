"""Names of modules that also have harmful ones: those which only calculate or read, or are judged by name."""

from __future__ import annotations

from .table import names

_COMPRESSED = names("open compress decompress")

ALLOWED = {
    "os": names(
        "path sep linesep name curdir pardir extsep altsep pathsep devnull environ getenv getcwd getcwdb"
        " listdir scandir walk stat lstat access cpu_count process_cpu_count getpid getppid getuid geteuid"
        " getgid getegid getlogin uname fspath fsencode fsdecode stat_result DirEntry PathLike times strerror"
        " urandom getrandom get_terminal_size terminal_size sched_getaffinity getloadavg sysconf error"
        " readlink statvfs fstat isatty read defpath R_OK W_OK X_OK F_OK O_RDONLY O_WRONLY O_RDWR"
        " get_exec_path O_CREAT O_EXCL O_TRUNC O_APPEND SEEK_SET SEEK_CUR SEEK_END chdir"
        # These are judged by what they are given.
        " mkdir makedirs symlink link chmod lchmod chown lchown truncate mkfifo mknod utime rename renames"
        " replace unlink remove removedirs rmdir system popen close write open fdopen dup dup2 sendfile"
    ),
    "os.path": names(
        "join exists lexists isfile isdir islink ismount isabs basename dirname split splitext splitdrive"
        " splitroot normpath normcase abspath realpath relpath commonpath commonprefix expanduser expandvars"
        " getsize getmtime getatime getctime samefile sameopenfile samestat sep pardir curdir extsep altsep"
        " pathsep devnull"
    ),
    "sys": names(
        "version version_info argv platform maxsize stdin stdout stderr byteorder executable path exit"
        " getsizeof getrecursionlimit setrecursionlimit getdefaultencoding getfilesystemencoding getrefcount"
        " intern float_info int_info hash_info maxunicode implementation flags api_version hexversion prefix"
        " base_prefix exec_prefix exc_info builtin_module_names stdlib_module_names copyright"
        " getswitchinterval get_int_max_str_digits set_int_max_str_digits __stdout__ __stderr__"
    ),
    "asyncio": names(
        "run gather sleep create_task wait wait_for as_completed Queue LifoQueue PriorityQueue QueueEmpty"
        " QueueFull Event Lock Semaphore BoundedSemaphore Condition Barrier TimeoutError CancelledError"
        " InvalidStateError Future Task TaskGroup timeout timeout_at to_thread shield iscoroutine"
        " iscoroutinefunction isfuture current_task all_tasks get_event_loop get_running_loop new_event_loop"
        " set_event_loop ensure_future run_coroutine_threadsafe FIRST_COMPLETED ALL_COMPLETED"
        " FIRST_EXCEPTION AbstractEventLoop"
    ),
    "logging": names(
        "getLogger basicConfig info debug warning error critical exception log DEBUG INFO WARNING ERROR"
        " CRITICAL NOTSET WARN FATAL Formatter StreamHandler Handler NullHandler FileHandler Logger"
        " LoggerAdapter LogRecord Filter disable getLevelName addLevelName captureWarnings root shutdown"
        " getLevelNamesMapping makeLogRecord handlers"
    ),
    "logging.handlers": names(
        "MemoryHandler QueueHandler QueueListener RotatingFileHandler TimedRotatingFileHandler"
        " WatchedFileHandler"
    ),
    "zipfile": names(
        "ZipFile ZipInfo Path is_zipfile BadZipFile LargeZipFile ZIP_DEFLATED ZIP_STORED ZIP_BZIP2 ZIP_LZMA"
    ),
    "tarfile": names(
        "open TarFile TarInfo is_tarfile TarError ReadError CompressionError FilterError data_filter"
        " tar_filter REGTYPE DIRTYPE SYMTYPE LNKTYPE GNU_FORMAT PAX_FORMAT USTAR_FORMAT"
    ),
    "gzip": _COMPRESSED | names("GzipFile BadGzipFile"),
    "bz2": _COMPRESSED | names("BZ2File BZ2Compressor BZ2Decompressor"),
    "lzma": _COMPRESSED
    | names("LZMAFile LZMACompressor LZMADecompressor LZMAError FORMAT_XZ FORMAT_ALONE FORMAT_AUTO"),
    "shutil": names(
        "copy copy2 copyfile copytree move rmtree make_archive unpack_archive disk_usage which"
        " get_terminal_size ignore_patterns copymode copystat copyfileobj get_archive_formats"
        " get_unpack_formats chown Error SameFileError"
    ),
    "io": names(
        "open StringIO BytesIO TextIOWrapper BufferedReader BufferedWriter BufferedRandom FileIO IOBase"
        " RawIOBase TextIOBase BufferedIOBase UnsupportedOperation SEEK_SET SEEK_CUR SEEK_END"
        " DEFAULT_BUFFER_SIZE TextIO"
    ),
    "pathlib": names("Path PurePath PosixPath PurePosixPath PureWindowsPath"),
    "tempfile": names(
        "NamedTemporaryFile mkstemp mkdtemp TemporaryDirectory TemporaryFile SpooledTemporaryFile gettempdir"
        " gettempprefix mktemp"
    ),
    "sqlite3": names(
        "connect Row Connection Cursor Error DatabaseError IntegrityError OperationalError ProgrammingError"
        " Warning PARSE_DECLTYPES PARSE_COLNAMES version sqlite_version sqlite_version_info Binary"
        " complete_statement register_adapter register_converter"
    ),
    "urllib": names("parse error request"),
    "platform": names(
        "platform system machine node release version processor python_version python_version_tuple"
        " python_implementation python_build python_compiler architecture uname mac_ver libc_ver win32_ver"
        " freedesktop_os_release"
    ),
    "types": names(
        "SimpleNamespace MappingProxyType NoneType GenericAlias EllipsisType UnionType TracebackType"
        " GeneratorType CoroutineType AsyncGeneratorType NotImplementedType DynamicClassAttribute"
    ),
    "inspect": names(
        "getsource getsourcelines getsourcefile getdoc getfile signature Signature Parameter isclass"
        " isfunction ismethod ismodule isgenerator isgeneratorfunction iscoroutine iscoroutinefunction"
        " isbuiltin isroutine isabstract isawaitable isasyncgen cleandoc getcomments getmro getfullargspec"
        " getmembers currentframe BoundArguments"
    ),
    "concurrent": names("futures"),
    "concurrent.futures": names(
        "ThreadPoolExecutor Executor Future as_completed wait TimeoutError CancelledError FIRST_COMPLETED"
        " ALL_COMPLETED FIRST_EXCEPTION thread"
    ),
    "yaml": names(
        "load load_all safe_load safe_load_all safe_dump safe_dump_all dump dump_all YAMLError SafeLoader"
        " CSafeLoader BaseLoader CBaseLoader SafeDumper CSafeDumper Dumper CDumper scan parse compose"
        " serialize emit add_representer scanner parser error"
    ),
    "six": names(
        "PY2 PY3 iteritems iterkeys itervalues string_types text_type binary_type integer_types class_types"
        " ensure_str ensure_text ensure_binary u b StringIO BytesIO advance_iterator with_metaclass"
        " add_metaclass python_2_unicode_compatible raise_from reraise"
    ),
    "pyarrow.fs": names(""),
    "scipy.datasets": names(""),
    "PIL.ImageShow": names(""),
    "PIL.ImageGrab": names(""),
}
"""What is not named here may do anything."""

OPAQUE = names(
    "testing ctypeslib f2py distutils texmanager autowrap externals compat conftest contrib weave moves"
    " interactive external nx_agraph nx_pydot"
)
"""Parts of libraries that run programs or text, whatever their functions are called."""


def is_allowed(module: str, name: str) -> bool:
    """Return whether a name of a module is no door to anything, as far as modules are known by their names.

    Args:
        module: The module, with dots.
        name: A name in it.
    """
    if name.startswith("_") and not name.startswith("__"):
        return False
    if module in ALLOWED:
        return name in ALLOWED[module]
    parts = module.split(".")
    if any(part.startswith("_") and part != "__future__" for part in parts):
        return False
    return name.startswith("assert") or not OPAQUE.intersection(parts[1:])
