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
from theus._core.chain cimport Chain, RetryPolicy
from theus._core.context cimport ProcessContext, Spec
from theus._core.current cimport (
    awaited, call_body, context_now, forbid, joinable, resume, suspended,
)
from theus._core.footprint cimport ACTIVE
from theus._core.freeze cimport is_plain_leaf
from theus._core.held cimport is_held, plain_of
from theus._core.guard_map cimport MapGuard
from theus._core.hooks cimport Hooks
from theus._core.pattern cimport REPORT, Position, unlimited_as
from theus._core.plan cimport plan_single
from theus._core.purity cimport Lent, lend, take_back
from theus._core.refusal cimport place, raise_or_report
from theus._core.store cimport Store
from theus._core.transaction cimport Transaction
from theus._core.zone cimport ASSIGN

import time

from theus._core.refusal import at_place, place_raised
from theus.errors import ConflictError, TheusError, UndeclaredError


@cython.final
cdef class Runner:
    """Runs processes on one store.

    `direct` has, by name and by function, the processes that need no further look: the engine
    fills and clears it.
    """

    def __init__(self, Store store not None, RetryPolicy policy not None, Hooks hooks not None):
        self.store = store
        self.policy = policy
        self.counters = policy.counters
        self.hooks = hooks
        self.direct = {}

    # --- one attempt ---------------------------------------------------------------------------

    cdef ProcessContext begin(self, Spec spec, Chain chain):
        """A new transaction and its context."""
        cdef Transaction tx = Transaction.__new__(Transaction)
        cdef ProcessContext ctx = ProcessContext.__new__(ProcessContext)
        tx.open(self.store, spec.pos, spec.serializable)
        tx.process = spec.name
        tx.pure = spec.pure
        tx.chain = chain
        tx.context = context_now()
        if spec.write_timeout_ms > 0:
            tx.limit_ms = spec.write_timeout_ms
            tx.started = time.monotonic()
        ctx.tx = tx
        ctx.spec = spec
        if self.hooks.tracer is not None:
            self.hooks.tracer.opened(tx, spec)
        return ctx

    cdef int map_result(self, Spec spec, ProcessContext ctx, object result, bint last) except -1:
        """The return value of the body -> writes on the declared outputs; `last`: nothing else
        is written or looked at before the commit."""
        cdef Transaction tx = ctx.tx
        cdef MapGuard target
        root = tx.root
        cdef Position pos = tx.pos
        cdef bint pure = tx.pure
        if type(result) is self.hooks.update_type:
            self.hooks.apply_update(tx, spec, result)
            return 0
        if spec.outputs is None:
            return 0
        if spec.in_domain and not pure:
            target = tx.find_below(ctx.get_domain(), spec.single)
            if target is not None:
                key = spec.single[len(spec.single) - 1]
                target.may_write(key, ASSIGN)
                if last and plan_single(tx, target, key, result):
                    tx.planned = True
                else:
                    target.put(key, result)
                return 0
        tx.pos = unlimited_as(spec.out_pos)
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

    cdef object unwrap(self, Spec spec, Transaction tx, object result):
        """The value of a `FunctionResult`, whose update is applied."""
        if result.update is not None:
            self.hooks.apply_update(tx, spec, result.update)
        return result.value

    cdef object settle(self, Spec spec, ProcessContext ctx, object result):
        """After the body: outputs, checks, everything up to the install."""
        cdef Transaction tx = ctx.tx
        cdef bint returned = result is not None and type(result) is not self.hooks.update_type
        if ctx.lent is not None:
            take_back(spec, ctx, <Lent>ctx.lent)
        if result is not None:
            if type(result) is self.hooks.result_type:
                result = self.unwrap(spec, tx, result)
            self.map_result(spec, ctx, result, self.hooks.check is None)
            if not is_plain_leaf(result) and is_held(result):
                result = plain_of(result)
        tx.prepare()
        if spec.duty is not None and spec.duty(tx, returned):
            spec.duty = None
        if self.hooks.check is not None:
            self.hooks.check(tx, spec)
        return result

    cdef object attempt(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs):
        """One attempt of a sync process up to the install."""
        if self.hooks.before is not None:
            self.hooks.before(ctx.tx, spec, args, kwargs)
        return self.settle(spec, ctx, call(spec, ctx, args, kwargs))

    cdef object attempt_call(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs):
        """The same as a callable for the thread lane."""
        def call():
            return self.attempt(spec, ctx, args, kwargs)

        return call

    cdef bint done(self, Spec spec, Transaction tx, Chain chain) except -1:
        """After the install, where nothing is a failure of the process any more.

        Returns whether the committer has to wait for receivers, or is told of them.
        """
        cdef bint pressed = False
        if chain is not None:
            chain.close()
        if tx.effects is not None or self.store.outgoing:
            pressed = self.hooks.publish(tx.effects)
        if self.hooks.after is not None:
            self.hooks.after(tx, spec)
        return pressed

    # --- after a failure -------------------------------------------------------------------------

    cdef Chain lost(self, Spec spec, Transaction tx, Chain chain, error):
        """An attempt met a conflict: count it, end the attempt; returns the chain that goes on.

        Raises the conflict itself where it is not one of the commit, and RetryLimitError.
        """
        if not tx.refused:
            raise self.broke(spec, tx, chain, error)
        try:
            if chain is None:
                chain = Chain(self.policy, spec.name, lease_of(spec))
                chain.attempts = 1
            chain.lost(tx, error, spec.mean_ms)
        except BaseException:
            chain.close()
            raise
        finally:
            tx.fail(error)
            if self.hooks.discard is not None:
                self.hooks.discard(tx, error)
        return chain

    cdef object broke(self, Spec spec, Transaction tx, Chain chain, error):
        """A body or a check raised: end the attempt and the chain; returns what to raise."""
        if chain is not None:
            chain.close()
        tx.fail(error)
        self.counters.failures += 1
        if self.hooks.failed is not None:
            self.hooks.failed(tx, spec, error)
        return self.undeclared(spec, error)

    cdef object undeclared(self, Spec spec, error):
        """The error itself where the contract declares it, else an UndeclaredError because of it."""
        if spec.errors is None or not isinstance(error, Exception) or isinstance(error, TheusError):
            return error
        for cls in type(error).__mro__:
            if cls.__name__ in spec.errors:
                return error
        name = type(error).__name__
        file, line = place_raised(error)
        instead = UndeclaredError(
            f"process {spec.name!r} raised {name}{at_place(file, line)}, which its contract does not declare "
            f"(errors: {', '.join(sorted(spec.errors)) or 'none'}): {error}. Add {name!r} to its errors, "
            f"or handle it in the process.",
            process=spec.name, path="", action="raise", error=name, file=file, line=line,
            change=("errors", name), allowed=tuple(sorted(spec.errors)),
        )
        instead.__cause__ = error
        if spec.pos.flags & REPORT:
            raise_or_report(self.store.report, spec.pos.flags, instead)
            return error
        return instead

    cdef int pause(self, Chain chain) except -1:
        """Back off, or wait for the turn of the ticket."""
        try:
            if chain.wait > 0.0:
                self.hooks.sleep(chain.wait)
            while chain.must_queue:
                self.hooks.park(self.policy.arbiter, chain.ticket)
        except BaseException:
            chain.close()
            raise
        return 0

    async def pause_async(self, Chain chain not None):
        """The same without blocking the loop."""
        try:
            if chain.wait > 0.0:
                await self.hooks.sleep_async(chain.wait)
            while chain.must_queue:
                await self.hooks.park_async(self.policy.arbiter, chain.ticket)
        except BaseException:
            chain.close()
            raise

    cdef int wait_install(self, Transaction tx) except -1:
        """The commit met a fence: wait for its holder, then try the same commit again."""
        while True:
            fence = self.policy.arbiter.holder
            if fence is not None:
                self.hooks.park(self.policy.arbiter, fence)
            if tx.install():
                return 0

    async def wait_install_async(self, Transaction tx not None):
        """The same without blocking the loop."""
        while True:
            fence = self.policy.arbiter.holder
            if fence is not None:
                await self.hooks.park_async(self.policy.arbiter, fence)
            if tx.install():
                return

    # --- the two ways in -------------------------------------------------------------------------

    cpdef run(self, Spec spec, tuple args, dict kwargs):
        """Run a sync process on the caller's thread, with all its attempts. Returns its value."""
        cdef ProcessContext ctx
        cdef Transaction tx = joinable(self.store, False)
        cdef Chain chain = None
        if tx is not None:
            return self.run_joined(spec, tx, args, kwargs)
        self.counters.attempts += 1
        while True:
            ctx = self.begin(spec, chain)
            tx = ctx.tx
            try:
                result = self.attempt(spec, ctx, args, kwargs)
                if not tx.install():
                    self.wait_install(tx)
            except ConflictError as error:
                chain = self.lost(spec, tx, chain, error)
            except BaseException as error:
                raise self.broke(spec, tx, chain, error)
            else:
                if self.done(spec, tx, chain):
                    self.hooks.backpressure(tx.effects)
                return result
            self.pause(chain)
            chain.start()

    async def execute(self, Spec spec not None, tuple args, dict kwargs):
        """Run a process from the event loop, with all its attempts. Returns its value."""
        cdef ProcessContext ctx
        cdef Transaction tx = joinable(self.store, True)
        cdef Chain chain = None
        if tx is not None:
            return await self.execute_joined(spec, tx, args, kwargs)
        self.counters.attempts += 1
        while True:
            ctx = self.begin(spec, chain)
            tx = ctx.tx
            try:
                if spec.is_async:
                    if self.hooks.before is not None:
                        self.hooks.before(tx, spec, args, kwargs)
                    body = awaited(call(spec, ctx, args, kwargs))
                    if not resume(ctx, body, None):
                        await suspended(ctx, body)
                    result = self.settle(spec, ctx, ctx.take())
                else:
                    result = await self.hooks.thread(self.attempt_call(spec, ctx, args, kwargs))
                if not tx.install():
                    await self.wait_install_async(tx)
            except ConflictError as error:
                chain = self.lost(spec, tx, chain, error)
            except BaseException as error:
                raise self.broke(spec, tx, chain, error)
            else:
                if self.done(spec, tx, chain):
                    await self.hooks.backpressure_async(tx.effects)
                return result
            await self.pause_async(chain)
            chain.start()

    # --- joining -------------------------------------------------------------------------------

    cdef int finish_joined(self, Spec spec, ProcessContext ctx, object result) except -1:
        """After the body of a process that runs inside the transaction of another."""
        if ctx.lent is not None:
            take_back(spec, ctx, <Lent>ctx.lent)
        returned = result is not None and type(result) is not self.hooks.update_type
        if result is not None:
            if type(result) is self.hooks.result_type:
                result = self.unwrap(spec, ctx.tx, result)
            self.map_result(spec, ctx, result, False)
            if not is_plain_leaf(result) and is_held(result):
                result = plain_of(result)
        if spec.duty is not None and spec.duty(ctx.tx, returned):
            spec.duty = None
        ctx.result = result
        return 0

    def run_joined(self, Spec spec not None, Transaction tx not None, tuple args, dict kwargs):
        """A sync process inside the transaction of its caller."""
        point = tx.savepoint()
        saved = (tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure, tx.admin)
        try:
            ctx = join(spec, tx)
            self.finish_joined(spec, ctx, call(spec, ctx, args, kwargs))
            result = ctx.take()
        except BaseException as error:
            if tx.status == ACTIVE:
                point.rollback()
            leave(tx, saved)
            raise self.undeclared(spec, error)
        leave(tx, saved)
        point.release()
        return result

    def complete(self, Spec spec not None, tuple args, dict kwargs):
        """Run an async process on the caller's thread, which has no loop. Returns its value."""
        cdef Transaction tx = joinable(self.store, False)
        if tx is None:
            return self.hooks.complete(self.execute(spec, args, kwargs))
        return self.hooks.complete(self.execute_joined(spec, tx, args, kwargs))

    async def execute_joined(self, Spec spec not None, Transaction tx not None, tuple args, dict kwargs):
        """A process inside the transaction of its caller, which awaits it."""
        cdef void* context = tx.context
        point = tx.savepoint()
        saved = (tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure, tx.admin)
        tx.context = context_now()
        try:
            ctx = join(spec, tx)
            if spec.is_async:
                result = await call(spec, ctx, args, kwargs)
            else:
                result = await self.hooks.thread_to_end(body_call(spec, ctx, args, kwargs))
            self.finish_joined(spec, ctx, result)
            result = ctx.take()
        except BaseException as error:
            if tx.status == ACTIVE:
                point.rollback()
            leave(tx, saved)
            raise self.undeclared(spec, error)
        finally:
            tx.context = context
        leave(tx, saved)
        point.release()
        return result

    # --- transactions without a process --------------------------------------------------------

    def commit(self, Transaction tx not None):
        """Commit a transaction made by hand: checks, install, publish. Waits for fences."""
        cdef bint pressed = False
        try:
            tx.prepare()
            if self.hooks.check is not None:
                self.hooks.check(tx, None)
            if not tx.install():
                self.wait_install(tx)
        except BaseException as error:
            tx.fail(error)
            if self.hooks.discard is not None:
                self.hooks.discard(tx, error)
            raise
        if tx.effects is not None or self.store.outgoing:
            pressed = self.hooks.publish(tx.effects)
        if self.hooks.after is not None:
            self.hooks.after(tx, None)
        if pressed:
            self.hooks.backpressure(tx.effects)

    def wait_for(self, Transaction tx not None):
        """The commit of a transaction met a fence: wait, blocking, and commit it."""
        self.wait_install(tx)


cdef ProcessContext join(Spec spec, Transaction tx):
    """The context of a process inside the transaction of another; `leave` undoes it."""
    cdef ProcessContext ctx = ProcessContext.__new__(ProcessContext)
    if tx.pure and not spec.pure:
        forbid(tx, "call a process that is not", "theus.run", spec.name, place())
    tx.root = None
    tx.heavy_root = None
    tx.domain_guard = None
    tx.pos = spec.pos
    tx.process = spec.name
    tx.pure = spec.pure
    tx.admin = 0
    ctx.tx = tx
    ctx.spec = spec
    return ctx


cdef int leave(Transaction tx, tuple saved) except -1:
    tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure, tx.admin = saved
    return 0


cdef object call(Spec spec, ProcessContext ctx, tuple args, dict kwargs):
    """Call the body of a process; a PURE one works on copies of its arguments."""
    cdef Lent lent
    if spec.watched and (args or kwargs):
        ctx.lent = lent = lend(args, kwargs)
        if lent is not None:
            return call_body(ctx, spec.func, lent.own_args, lent.own_kwargs)
    return call_body(ctx, spec.func, args, kwargs)


cdef object body_call(Spec spec, ProcessContext ctx, tuple args, dict kwargs):
    """The body of a sync process as a callable for the thread lane."""
    def work():
        return call(spec, ctx, args, kwargs)

    return work


cdef object lease_of(Spec spec):
    return spec.write_timeout_ms / 1000.0 if spec.write_timeout_ms > 0 else None
