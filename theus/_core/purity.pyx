"""PURE at run time: acts on the outside world, calls of other kinds, arguments.

Python tells whoever asks about opened files, sockets, started programs, imports ... (audit
events). One compiled function listens from the first registration of a PURE process on; it
cannot be taken away again, so it looks at one pointer first and at the event only while the body
of a PURE process runs on this thread. Nothing is patched.

What is no act of the process: the work of Theus itself, destructors that happen to run, what
`logging` and `warnings` do to write a message, and loading modules of Python's own library.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.context cimport ProcessContext, Spec
from theus._core.current cimport current_now, forbid
from theus._core.footprint cimport ACTIVE
from theus._core.freeze cimport is_plain_leaf
from theus._core.held cimport is_held, plain_of
from theus._core.refusal cimport is_library, is_own, place, place_of
from theus._core.transaction cimport Transaction

import reprlib
import sys

cdef extern from "Python.h":
    ctypedef int (*AuditHook "Py_AuditHookFunction")(const char*, PyObject*, void*) except -1
    int PySys_AddAuditHook(AuditHook hook, void* data) except -1

cdef extern from *:
    """
    #include <string.h>
    static const char* const theus_acts[] = {
        "open", "import", "os.", "socket.", "subprocess.", "shutil.", "tempfile.", "glob.",
        "pathlib.", "sqlite3.", "ctypes.", "mmap.", "fcntl.", "msvcrt.", "ftplib.", "http.",
        "imaplib.", "poplib.", "smtplib.", "nntplib.", "telnetlib.", "urllib.", "webbrowser.",
        "syslog.", "signal.", "resource.", "winreg.", "_winapi.", "pty.", "ensurepip.", "pdb.",
        "builtins.input", "builtins.breakpoint", "_thread.start_new_thread",
        "_thread.start_joinable_thread", "sys.addaudithook", "sys.settrace", "sys.setprofile",
        "sys.set_asyncgen_hooks_firstiter", "sys.set_asyncgen_hooks_finalizer", "setopencodehook",
        NULL
    };
    static int theus_is_act(const char* event) {
        const char* const* at = theus_acts;
        for (; *at != NULL; at++) {
            size_t length = strlen(*at);
            if ((*at)[length - 1] == '.' ? !strncmp(event, *at, length) : !strcmp(event, *at))
                return 1;
        }
        return 0;
    }
    """
    bint theus_is_act(const char* event) noexcept

PHRASES = {
    "open": "open a file",
    "import": "import a module that is not loaded yet",
    "os": "use the operating system",
    "shutil": "copy, move or remove files",
    "tempfile": "make temporary files",
    "glob": "look into directories",
    "pathlib": "look into directories",
    "socket": "use the network",
    "subprocess": "start a program",
    "pty": "start a program",
    "sqlite3": "use a database",
    "ctypes": "call native code",
    "mmap": "map memory",
    "_thread": "start a thread",
    "builtins": "talk to the user",
}
SPEAKERS = ("logging", "logging.handlers", "warnings", "traceback")
ACTING_MODULES = ("antigravity", "idlelib", "this", "turtledemo")

cdef bint watching = False


def watch():
    """Listen to what PURE processes do, from now on and as long as the program runs."""
    global watching
    if not watching:
        watching = True
        PySys_AddAuditHook(on_event, NULL)


def refuse_in_pure(str phrase not None, str event not None):
    """For what is no event of Python: ContractViolationError (or a report) inside a PURE process."""
    cdef PyObject* now = current_now()
    if now is not NULL and (<Transaction>now).pure and (<Transaction>now).status == ACTIVE:
        forbid(<Transaction>now, phrase, event, "", place())


cdef int on_event(const char* event, PyObject* args, void* data) except -1:
    cdef Transaction tx
    cdef PyObject* now = current_now()
    if now is NULL:
        return 0
    tx = <Transaction>now
    if not tx.pure or tx.status != ACTIVE or not theus_is_act(event):
        return 0
    tx.pure = False
    try:
        judge(tx, event.decode(), () if args is NULL else <tuple>args)
    finally:
        tx.pure = True
    return 0


cdef int judge(Transaction tx, str event, tuple args) except -1:
    """Refuse an act unless it is none of the process."""
    cdef bint loading = False
    frame = sys._getframe()
    name = args[0] if event == "import" else None
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if module in SPEAKERS or module == "weakref" or frame.f_code.co_name == "__del__" or is_own(frame):
            return 0
        if not is_library(frame):
            break
        if module == "importlib._bootstrap" and frame.f_code.co_name == "_find_and_load":
            loading = True
            name = frame.f_locals["name"]
        frame = frame.f_back
    if loading and event != "open" and event != "import":
        return 0        # the import system would take a refusal for an empty directory, and keep that
    if name is not None:
        event, args = "import", (name,)
        if is_harmless(name, frame):
            return 0
    kind = event.partition(".")[0]
    phrase = PHRASES.get(kind, "act on the outside world")
    forbid(tx, phrase, event, subject_of(args), place_of(frame))
    return 0


cdef bint is_harmless(object name, object frame):
    """Whether importing a module is no act: Python's own, or one that its package loads lazily."""
    top = name.partition(".")[0]
    if top in ACTING_MODULES:
        return False
    if top in sys.stdlib_module_names or top == "theus":
        return True
    if frame is None:
        return False
    owner = frame.f_globals.get("__name__")
    return isinstance(owner, str) and owner.partition(".")[0] == top and not top == "__main__"


cdef str subject_of(tuple args):
    """What an act is about: the first argument of the event that says something."""
    for arg in args:
        if isinstance(arg, (str, bytes, tuple, list)) and arg:
            return reprlib.repr(arg)
    return ""


# --- arguments ---------------------------------------------------------------------------------

@cython.final
cdef class Lent:
    """The arguments of one call as the caller has them, and the copies that the body gets."""

    def __init__(self):
        raise TypeError("made by the runner")


cdef object copy_of(object value, dict known):
    """A copy of the builtin containers in a value; everything else as it is."""
    if is_plain_leaf(value):
        return value
    cls = type(value)
    if cls is not list and cls is not dict and cls is not tuple and cls is not set and cls is not bytearray:
        return plain_of(value) if is_held(value) else value
    found = known.get(id(value))
    if found is not None:
        return found
    if cls is set or cls is bytearray:
        found = known[id(value)] = cls(value)
    elif cls is list:
        found = known[id(value)] = []
        for item in <list>value:
            (<list>found).append(item if is_plain_leaf(item) else copy_of(item, known))
    elif cls is dict:
        found = known[id(value)] = {}
        for key, item in (<dict>value).items():
            (<dict>found)[key] = item if is_plain_leaf(item) else copy_of(item, known)
    else:
        found = tuple([copy_of(item, known) for item in value])
    return found


cdef Lent lend(tuple args, dict kwargs):
    """Copies of the arguments for the body of a PURE process; None where nothing can be changed."""
    cdef Lent lent
    cdef dict known
    if are_leaves(args) and (not kwargs or are_leaves(kwargs.values())):
        return None
    known = {}
    lent = Lent.__new__(Lent)
    lent.args = args
    lent.kwargs = kwargs
    lent.own_args = tuple([copy_of(item, known) for item in args])
    lent.own_kwargs = {key: copy_of(item, known) for key, item in kwargs.items()} if kwargs else kwargs
    return lent


cdef bint are_leaves(object values) except -1:
    for value in values:
        if not is_plain_leaf(value):
            return False
    return True


cdef bint changed(object mine, object theirs):
    if mine is theirs:
        return False
    try:
        return not mine == theirs
    except RecursionError:      # of containers that contain themselves only the copy can differ
        return False
    except Exception:
        return True


cdef int take_back(Spec spec, ProcessContext ctx, Lent lent) except -1:
    """After the body: what it was lent must be as it was."""
    if not changed(lent.own_args, lent.args) and not changed(lent.own_kwargs, lent.kwargs):
        return 0
    named = [(f"argument {number + 1}", lent.own_args[number], item) for number, item in enumerate(lent.args)]
    named += [(f"argument {key!r}", lent.own_kwargs[key], item) for key, item in lent.kwargs.items()]
    for name, mine, theirs in named:
        if changed(mine, theirs):
            code = getattr(spec.func, "__code__", None)
            where = place() if code is None else (code.co_filename, code.co_firstlineno)
            forbid(ctx.tx, "change what it was given", "argument", name, where)
    return 0
