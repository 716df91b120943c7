"""Retry loops around `with` blocks: `for attempt in engine.attempts(): with attempt as tx: ...`"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from theus._core.chain import Chain
from theus.engine.lanes import in_event_loop
from theus.errors import ConflictError

if TYPE_CHECKING:
    from theus._core.transaction import Transaction
    from theus.engine.transacting import Transacting

__all__ = ["Attempt", "Attempts"]


class Attempt:
    """One try of a block: a context manager that gives its transaction.

    A conflict at the end of the block is kept instead of raised; the loop then makes another
    attempt on the new state. Every other error is raised. Under `async for` a commit that has
    to wait for a transaction with priority is finished by the loop, before its next step.
    """

    def __init__(self, owner: Attempts, chain: Chain, *, awaited: bool) -> None:
        self._owner = owner
        self._chain = chain
        self._awaited = awaited
        self.tx: Transaction | None = None
        self.conflict: ConflictError | None = None
        self.done = False
        self.waiting = False
        self.pressed = False

    def __enter__(self) -> Transaction:
        self.tx = self._owner.begin(self._chain)
        return self.tx

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        tx = self.tx
        assert tx is not None
        if error is not None:
            self.done = True
            tx.rollback(error)
            return False
        if not tx.active:
            self.done = True
            return False
        try:
            tx.prepare()
            self._owner.check(tx)
        except BaseException as refusal:
            self._fail(tx, refusal)
            raise
        self.install()
        return False

    def _fail(self, tx: Transaction, error: BaseException) -> None:
        self.done = True
        tx.fail(error)
        self._owner.discarded(tx, error)

    def install(self) -> None:
        """Try the commit: done, a conflict, or (on the thread of a loop) to be tried again."""
        tx = self.tx
        assert tx is not None
        self.waiting = False
        try:
            if not tx.install():
                if in_event_loop():
                    self.waiting = True
                    return
                self._owner.wait_install(tx)
        except ConflictError as conflict:
            self.conflict = conflict
            return
        except BaseException as failure:
            self._fail(tx, failure)
            raise
        self.done = True
        self.pressed = self._owner.published(tx, wait=not self._awaited)


class Attempts:
    """As many attempts as it takes, with back-off and, after too many failures, priority.

    Iterate with `for` where blocking waits are fine, with `async for` under an event loop.
    """

    def __init__(self, engine: Transacting, label: str, options: dict[str, Any]) -> None:
        self._engine = engine
        self._label = label
        self._options = options

    def begin(self, chain: Chain) -> Transaction:
        """The transaction of the next attempt."""
        return self._engine._new_transaction(chain=chain, process=self._label, **self._options)

    def check(self, tx: Transaction) -> None:
        """What may veto the commit."""
        self._engine._pipeline.check(tx, None)

    def wait_install(self, tx: Transaction) -> None:
        """The commit met the fence of another: wait for it."""
        self._engine._runner.wait_for(tx)

    def discarded(self, tx: Transaction, error: BaseException) -> None:
        """The attempt had no effect."""
        self._engine._pipeline.discard(tx, error)

    def published(self, tx: Transaction, *, wait: bool) -> bool:
        """The commit is visible; whether it has still to wait for receivers of its signals."""
        pipeline = self._engine._pipeline
        pressed = pipeline.hand_out(tx.effects)
        pipeline.after(tx, None)
        if pressed and wait:
            pipeline.make_room()
        pipeline.complain(tx.effects)
        return pressed and not wait

    def _goes_on(self, attempt: Attempt, chain: Chain) -> bool:
        """Whether there is another attempt; then the chain says how long to wait before it."""
        if attempt.done or attempt.conflict is None or attempt.tx is None:
            return False
        chain.lost(attempt.tx, attempt.conflict, 0.0)
        attempt.tx.fail(attempt.conflict)
        self.discarded(attempt.tx, attempt.conflict)
        return True

    def __iter__(self) -> Iterator[Attempt]:
        chain = Chain(self._engine._runner.policy, self._label)
        lanes = self._engine._lanes
        try:
            while True:
                chain.start()
                attempt = Attempt(self, chain, awaited=False)
                yield attempt
                if not self._goes_on(attempt, chain):
                    return
                if chain.wait > 0.0:
                    lanes.sleep(chain.wait)
                while chain.must_queue:
                    lanes.park(self._engine._arbiter, chain.ticket)
        finally:
            chain.close()

    async def __aiter__(self) -> AsyncIterator[Attempt]:
        chain = Chain(self._engine._runner.policy, self._label)
        lanes = self._engine._lanes
        try:
            while True:
                chain.start()
                attempt = Attempt(self, chain, awaited=True)
                yield attempt
                while attempt.waiting:
                    holder = self._engine._arbiter.holder
                    if holder is not None:
                        await lanes.park_async(self._engine._arbiter, holder)
                    attempt.install()
                if attempt.pressed:
                    await self._engine._pipeline.make_room_async()
                if not self._goes_on(attempt, chain):
                    return
                if chain.wait > 0.0:
                    await lanes.sleep_async(chain.wait)
                while chain.must_queue:
                    await lanes.park_async(self._engine._arbiter, chain.ticket)
        finally:
            chain.close()
