"""Running a process: attempts, retries, the lanes of the event loop and of the caller.

One logical call is one attempt chain. Each attempt gets a new transaction on the newest state;
nothing of a failed attempt stays. After a conflict the chain backs off; after `max_retries`
failures it takes a ticket (see `conflict`), so it needs at most `max_retries + 2` attempts.
An attempt that meets the fence of another ticket holder waits at its commit and then tries the
same commit again: waiting is not a failure.

A call made inside a running process of the same engine, in the same task or thread, joins its
transaction: it sees the pending writes, and if it raises, only its own writes are undone.

The runner itself holds no lock. What it calls outside the core comes in as `Hooks`.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from theus._core.conflict cimport Arbiter, Ticket
from theus._core.context cimport ProcessContext, Spec
from theus._core.footprint cimport ACTIVE
from theus._core.freeze cimport Held
from theus._core.guard cimport Guard
from theus._core.pattern cimport Position, unlimited
from theus._core.store cimport Store
from theus._core.transaction cimport Transaction

import contextvars
import time

from theus._core.conflict import backoff_ms
from theus.errors import ConflictError, RetryLimitError, TheusError, UndeclaredError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyContextVar_Get(object var, PyObject* default, PyObject** value) except -1
    object PyContextVar_Set(object var, object value)
    int PyContextVar_Reset(object var, object token) except -1

cdef extern from *:
    """
    #if defined(_MSC_VER)
    static __declspec(thread) PyObject* theus_current_transaction = NULL;
    #else
    static _Thread_local PyObject* theus_current_transaction = NULL;
    #endif
    """
    PyObject* theus_current_transaction

CURRENT = contextvars.ContextVar("theus_transaction", default=None)


class UnknownProcess(Exception):
    """The runner does not know a process: the engine has to resolve it first. Never leaves it."""


cdef class Hooks:
    """What the runner needs from the engine. All are callables unless said otherwise.

    before(tx, spec, args, kwargs): before the body of each attempt (audit of inputs); None: nothing.
    discard(tx): an attempt ended without effect; None: nothing.
    check(tx, spec): everything between the body and the install (contract, audit, schema);
        None: nothing to check.
    publish(): hand out what commits left in `Store.outgoing`, in order (outbox, signals).
    after(tx, spec): after a commit (audit, history); None: nothing.
    failed(tx, spec, error): a body or a check raised; None: nothing.
    sleep(ms), sleep_async(ms) -> awaitable: back-off.
    park(arbiter, ticket), park_async(arbiter, ticket) -> awaitable: until the ticket's state changes.
    thread(callable) -> awaitable: run a sync body off the loop.
    task() -> the running asyncio task.
    loop() -> the event loop that runs on this thread, or None.
    outbox() -> a new collector of messages.
    update_type: class of the declarative update that a process may return.
    apply_update(tx, spec, update): apply one.
    result_type: class of a return value together with such an update.
    """

    cdef public object before
    cdef public object discard
    cdef public object check
    cdef public object publish
    cdef public object after
    cdef public object failed
    cdef public object sleep
    cdef public object sleep_async
    cdef public object park
    cdef public object park_async
    cdef public object thread
    cdef public object task
    cdef public object loop
    cdef public object outbox
    cdef public object update_type
    cdef public object apply_update
    cdef public object result_type


@cython.final
cdef class Counters:
    """Running totals: commits are counted by the store, these by the runner."""

    cdef public Py_ssize_t attempts
    cdef public Py_ssize_t retries
    cdef public Py_ssize_t tickets
    cdef public Py_ssize_t parked
    cdef public Py_ssize_t max_attempts
    cdef public Py_ssize_t failures


@cython.final
cdef class Chain:
    """One logical call and its attempts: failures so far and, after too many, the ticket."""

    cdef Runner runner
    cdef readonly object label
    cdef readonly Py_ssize_t failures
    cdef readonly Py_ssize_t attempts
    cdef readonly Ticket ticket
    cdef readonly bint turn
    cdef double lease_s

    def __init__(self, Runner runner not None, label, lease_s=None):
        self.runner = runner
        self.label = label
        self.lease_s = 0.0 if lease_s is None else lease_s

    cpdef int start(self) except -1:
        """Count one more attempt."""
        self.attempts += 1
        if self.attempts > self.runner.counters.max_attempts:
            self.runner.counters.max_attempts = self.attempts
        self.runner.counters.attempts += 1
        return 0

    cpdef double lost(self, Transaction tx, error, double mean_ms) except -1.0:
        """Count a failure; returns milliseconds to wait, or 0 when the ticket decides.

        Raises RetryLimitError where the limit is reached.
        """
        cdef Runner runner = self.runner
        cdef list ops = tx.plan.ops if tx.plan is not None else []
        cdef double base
        self.failures += 1
        runner.counters.retries += 1
        if self.ticket is not None and self.ticket.over:
            self.ticket = None
            self.turn = False
            if self.failures >= 3 * runner.max_retries:
                self.give_up(error)
        if self.ticket is not None:
            if self.ticket.universal and self.failures >= runner.max_retries + 4:
                self.give_up(error)
            runner.arbiter.moved(self.ticket, tx, ops)
            return 0.0
        if self.failures >= runner.max_retries:
            runner.counters.tickets += 1
            self.ticket = runner.arbiter.enter(self, self.label, tx, ops, self.lease_s or None)
            return 0.0
        base = runner.base_backoff_ms
        if mean_ms > 0.0 and 4.0 * mean_ms < base:
            base = 4.0 * mean_ms
        return backoff_ms(base, self.failures)

    cdef int give_up(self, error) except -1:
        raise RetryLimitError(
            f"{self.label or 'the transaction'} lost {self.failures} times in a row, the last time to "
            f"{error.fields.get('other')!r} on {', '.join(error.fields.get('paths') or ()) or 'unknown paths'}. "
            f"Shorten it, narrow what it reads, or use commuting operations (incr, append ...).",
            **{**error.fields, "attempts": self.attempts},
        ) from error

    @property
    def must_queue(self):
        """Whether the chain has a ticket and it is not its turn yet."""
        if self.ticket is None or self.turn:
            return False
        self.turn = self.runner.arbiter.is_first(self.ticket)
        return not self.turn

    cpdef close(self):
        """The call is through or gave up: give back the ticket."""
        if self.ticket is not None:
            self.runner.arbiter.leave(self.ticket)
            self.ticket = None


@cython.final
cdef class Runner:
    """Runs processes on one store.

    Parameters
    ----------
    store, arbiter, hooks:
        The state, its queue of tickets, and what lies outside the core.
    max_retries:
        Failures before a chain takes a ticket.
    base_backoff_ms:
        Wait after the first failure; never more than four times what the process itself takes.
    """

    cdef readonly Store store
    cdef readonly Arbiter arbiter
    cdef readonly Hooks hooks
    cdef readonly Counters counters
    cdef readonly Py_ssize_t max_retries
    cdef readonly double base_backoff_ms
    cdef readonly dict direct
    cdef object var
    cdef Position everything

    def __init__(self, Store store not None, Arbiter arbiter not None, Hooks hooks not None, *,
                 Py_ssize_t max_retries=5, double base_backoff_ms=2.0):
        self.store = store
        self.arbiter = arbiter
        self.hooks = hooks
        self.counters = Counters()
        self.max_retries = max_retries
        self.base_backoff_ms = base_backoff_ms
        self.direct = {}
        self.var = CURRENT
        self.everything = unlimited(False)

    # --- one attempt ---------------------------------------------------------------------------

    cdef ProcessContext begin(self, Spec spec, Chain chain):
        """A new transaction and its context."""
        cdef Transaction tx = Transaction.__new__(Transaction)
        cdef ProcessContext ctx = ProcessContext.__new__(ProcessContext)
        tx.open(self.store, <Position>spec.pos, spec.serializable)
        tx.process = spec.name
        tx.pure = spec.pure
        tx.outbox_log = self.hooks.outbox
        tx.chain = chain
        if spec.write_timeout_ms > 0:
            tx.limit_ms = spec.write_timeout_ms
            tx.started = time.monotonic()
        ctx.tx = tx
        ctx.spec = spec
        return ctx

    cdef int map_result(self, Spec spec, ProcessContext ctx, object result) except -1:
        """The return value of the body -> writes on the declared outputs."""
        cdef Transaction tx = ctx.tx
        cdef Guard root = tx.root
        cdef Position pos = tx.pos
        cdef bint pure = tx.pure
        if type(result) is self.hooks.update_type:
            self.hooks.apply_update(tx, spec, result)
            return 0
        if spec.outputs is None:
            return 0
        if spec.single is not None and not pure and tx.put_plain(ctx.get_root(), spec.single, result):
            return 0
        tx.pos = self.everything
        tx.root = None
        heavy = tx.heavy_root
        tx.heavy_root = None
        tx.pure = False
        try:
            if spec.single is not None:
                tx.put_path(spec.single, result)
            else:
                for parts, value in spec.outputs(result):
                    tx.put_path(parts, value)
        finally:
            tx.pos = pos
            tx.root = root
            tx.heavy_root = heavy
            tx.pure = pure
        return 0

    cdef object settle(self, Spec spec, ProcessContext ctx, object result):
        """After the body: outputs, checks, everything up to the install."""
        cdef Transaction tx = ctx.tx
        if type(result) is self.hooks.result_type:
            if result.update is not None:
                self.hooks.apply_update(tx, spec, result.update)
            result = result.value
        if result is not None:
            self.map_result(spec, ctx, result)
            if isinstance(result, Held):
                result = (<Held>result).plain()
        tx.prepare()
        if self.hooks.check is not None:
            self.hooks.check(tx, spec)
        return result

    cdef int done(self, Spec spec, Transaction tx, Chain chain) except -1:
        if chain is not None:
            chain.close()
        if self.store.outgoing:
            self.hooks.publish()
        if self.hooks.after is not None:
            self.hooks.after(tx, spec)
        return 0

    cdef object broke(self, Spec spec, Transaction tx, error):
        """A body or a check raised: end the attempt; returns what to raise instead, or None."""
        tx.fail()
        self.counters.failures += 1
        if self.hooks.failed is not None:
            self.hooks.failed(tx, spec, error)
        return self.undeclared(spec, error)

    # --- joining -------------------------------------------------------------------------------

    cdef Transaction joinable(self, bint in_loop):
        """The transaction of the process that makes this call, if it may be joined."""
        cdef PyObject* found = NULL
        cdef Transaction tx
        if in_loop:
            PyContextVar_Get(self.var, NULL, &found)
            value = <object>found
            Py_DECREF(value)
            if value is None:
                return None
            tx = <Transaction>value
            if tx.status != ACTIVE or tx.store is not self.store or tx.owner is not self.hooks.task():
                return None
            return tx
        if theus_current_transaction is NULL:
            return None
        tx = <Transaction>theus_current_transaction
        return tx if tx.status == ACTIVE and tx.store is self.store else None

    cdef object call_sync(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs):
        """Call a sync body; while it runs, its transaction is the current one of this thread."""
        cdef PyObject* outer = theus_current_transaction
        global theus_current_transaction
        theus_current_transaction = <PyObject*>ctx.tx
        try:
            return spec.func(ctx, *args, **kwargs)
        finally:
            theus_current_transaction = outer

    cdef object enter(self, Transaction tx):
        """Make a transaction the current one of this task; returns the token to leave."""
        tx.owner = self.hooks.task()
        return PyContextVar_Set(self.var, tx)

    cdef ProcessContext join(self, Spec spec, Transaction tx):
        cdef ProcessContext ctx = ProcessContext.__new__(ProcessContext)
        tx.root = None
        tx.heavy_root = None
        tx.domain_guard = None
        tx.pos = <Position>spec.pos
        tx.process = spec.name
        tx.pure = spec.pure
        ctx.tx = tx
        ctx.spec = spec
        return ctx

    def run_joined(self, Spec spec not None, Transaction tx not None, tuple args, dict kwargs):
        """A sync process inside the transaction of its caller."""
        cdef Transaction outer = tx
        point = tx.savepoint()
        saved = (tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure)
        try:
            ctx = self.join(spec, tx)
            result = self.call_sync(spec, ctx, args, kwargs)
            if result is not None:
                self.map_result(spec, ctx, result)
        except BaseException as error:
            if outer.status == ACTIVE:
                point.rollback()
            self.leave(tx, saved)
            instead = self.undeclared(spec, error)
            if instead is not None:
                raise instead from error
            raise
        self.leave(tx, saved)
        point.release()
        return result

    async def execute_joined(self, Spec spec not None, Transaction tx not None, tuple args, dict kwargs):
        """A process inside the transaction of its caller, which awaits it."""
        point = tx.savepoint()
        saved = (tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure)
        try:
            ctx = self.join(spec, tx)
            if spec.is_async:
                result = await spec.func(ctx, *args, **kwargs)
            else:
                result = await self.hooks.thread(self.body_call(spec, ctx, args, kwargs))
            if result is not None:
                self.map_result(spec, ctx, result)
        except BaseException as error:
            if tx.status == ACTIVE:
                point.rollback()
            self.leave(tx, saved)
            instead = self.undeclared(spec, error)
            if instead is not None:
                raise instead from error
            raise
        self.leave(tx, saved)
        point.release()
        return result

    cdef object undeclared(self, Spec spec, error):
        if spec.errors is None or not isinstance(error, Exception) or isinstance(error, TheusError):
            return None
        for cls in type(error).__mro__:
            if cls.__name__ in spec.errors:
                return None
        return UndeclaredError(
            f"process {spec.name!r} raised {type(error).__name__}, which its contract does not declare "
            f"(errors: {', '.join(sorted(spec.errors)) or 'none'}): {error}",
            process=spec.name, action="raise", error=type(error).__name__,
        )

    cdef int leave(self, Transaction tx, tuple saved) except -1:
        tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure = saved
        return 0

    cdef object body_call(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs):
        """The body of a sync process as a callable for the thread lane."""
        def call():
            return self.call_sync(spec, ctx, args, kwargs)

        return call

    # --- the two ways in -------------------------------------------------------------------------

    cdef Spec known(self, key):
        cdef PyObject* found = PyDict_GetItemWithError(self.direct, key)
        if found is NULL:
            raise UnknownProcess()
        return <Spec>found

    def call(self, key, tuple args, dict kwargs):
        """`run` by name or function, where the process is known and runs on this thread.

        Raises UnknownProcess where `key` needs the engine's attention first.
        """
        cdef Spec spec = self.known(key)
        if spec.is_async or self.hooks.loop() is not None:
            raise UnknownProcess()
        if kwargs and spec.accepts is not None:
            kwargs = accepted(spec, kwargs)
        return self.run(spec, args, kwargs)

    def start(self, key, tuple args, dict kwargs):
        """`execute` by name or function -> coroutine; UnknownProcess as in `call`."""
        cdef Spec spec = self.known(key)
        if kwargs and spec.accepts is not None:
            kwargs = accepted(spec, kwargs)
        return self.execute(spec, args, kwargs)

    cpdef run(self, Spec spec, tuple args, dict kwargs):
        """Run a sync process on the caller's thread, with all its attempts. Returns its value."""
        cdef ProcessContext ctx
        cdef Transaction tx = self.joinable(False)
        cdef Chain chain = None
        cdef double wait
        if tx is not None:
            return self.run_joined(spec, tx, args, kwargs)
        self.counters.attempts += 1
        ctx = self.begin(spec, None)
        tx = ctx.tx
        while True:
            try:
                if self.hooks.before is not None:
                    self.hooks.before(tx, spec, args, kwargs)
                result = self.call_sync(spec, ctx, args, kwargs)
                result = self.settle(spec, ctx, result)
                if not tx.install():
                    self.wait_install(tx)
                self.done(spec, tx, chain)
                return result
            except ConflictError as error:
                if not tx.refused:
                    if chain is not None:
                        chain.close()
                    self.broke(spec, tx, error)
                    raise
                try:
                    if chain is None:
                        chain = Chain(self, spec.name, lease_of(spec))
                        chain.attempts = 1
                    wait = chain.lost(tx, error, spec.mean_ms)
                    tx.fail()
                    if self.hooks.discard is not None:
                        self.hooks.discard(tx)
                    if wait > 0.0:
                        self.hooks.sleep(wait)
                    while chain.must_queue:
                        self.hooks.park(self.arbiter, chain.ticket)
                except BaseException:
                    tx.fail()
                    if chain is not None:
                        chain.close()
                    raise
            except BaseException as error:
                if chain is not None:
                    chain.close()
                instead = self.broke(spec, tx, error)
                if instead is not None:
                    raise instead from error
                raise
            chain.start()
            ctx = self.begin(spec, chain)
            tx = ctx.tx

    cdef int wait_install(self, Transaction tx) except -1:
        """The commit met a fence: wait for its holder, then try the same commit again."""
        while True:
            self.counters.parked += 1
            fence = self.arbiter.holder
            if fence is not None:
                self.hooks.park(self.arbiter, fence)
            if tx.install():
                return 0

    async def execute(self, Spec spec not None, tuple args, dict kwargs):
        """Run a process from the event loop, with all its attempts. Returns its value."""
        cdef ProcessContext ctx
        cdef Transaction tx = self.joinable(True)
        cdef Chain chain = None
        cdef double wait
        cdef bint is_async = spec.is_async
        if tx is not None:
            return await self.execute_joined(spec, tx, args, kwargs)
        self.counters.attempts += 1
        ctx = self.begin(spec, None)
        tx = ctx.tx
        while True:
            try:
                if is_async:
                    token = self.enter(tx)
                    try:
                        if self.hooks.before is not None:
                            self.hooks.before(tx, spec, args, kwargs)
                        result = await spec.func(ctx, *args, **kwargs)
                        result = self.settle(spec, ctx, result)
                    finally:
                        PyContextVar_Reset(self.var, token)
                else:
                    result = await self.hooks.thread(self.whole_call(spec, ctx, args, kwargs))
                if not tx.install():
                    while True:
                        self.counters.parked += 1
                        fence = self.arbiter.holder
                        if fence is not None:
                            await self.hooks.park_async(self.arbiter, fence)
                        if tx.install():
                            break
                self.done(spec, tx, chain)
                return result
            except ConflictError as error:
                if not tx.refused:
                    if chain is not None:
                        chain.close()
                    self.broke(spec, tx, error)
                    raise
                try:
                    if chain is None:
                        chain = Chain(self, spec.name, lease_of(spec))
                        chain.attempts = 1
                    wait = chain.lost(tx, error, spec.mean_ms)
                    tx.fail()
                    if self.hooks.discard is not None:
                        self.hooks.discard(tx)
                    if wait > 0.0:
                        await self.hooks.sleep_async(wait)
                    while chain.must_queue:
                        await self.hooks.park_async(self.arbiter, chain.ticket)
                except BaseException:
                    tx.fail()
                    if chain is not None:
                        chain.close()
                    raise
            except BaseException as error:
                if chain is not None:
                    chain.close()
                instead = self.broke(spec, tx, error)
                if instead is not None:
                    raise instead from error
                raise
            chain.start()
            ctx = self.begin(spec, chain)
            tx = ctx.tx

    cdef object whole_call(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs):
        """Body and settling of a sync process as one callable for the thread lane."""
        cdef Transaction tx = ctx.tx

        def call():
            if self.hooks.before is not None:
                self.hooks.before(tx, spec, args, kwargs)
            result = self.call_sync(spec, ctx, args, kwargs)
            return self.settle(spec, ctx, result)

        return call

    # --- transactions without a process --------------------------------------------------------

    def commit(self, Transaction tx not None):
        """Commit a transaction made by hand: checks, install, publish. Waits for fences."""
        try:
            tx.prepare()
            if self.hooks.check is not None:
                self.hooks.check(tx, None)
            if not tx.install():
                self.wait_install(tx)
        except BaseException:
            tx.fail()
            if self.hooks.discard is not None:
                self.hooks.discard(tx)
            raise
        if self.store.outgoing:
            self.hooks.publish()
        if self.hooks.after is not None:
            self.hooks.after(tx, None)

    def wait_for(self, Transaction tx not None):
        """The commit of a transaction met a fence: wait, blocking, and commit it."""
        self.wait_install(tx)


cdef dict accepted(Spec spec, dict kwargs):
    """The keyword arguments that the process takes; the others are dropped."""
    return {key: value for key, value in kwargs.items() if key in spec.accepts}


cdef object lease_of(Spec spec):
    return spec.write_timeout_ms / 1000.0 if spec.write_timeout_ms > 0 else None
