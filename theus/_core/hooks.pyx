"""What the runner needs from the rooms above it: the one way from the core upwards."""


cdef class Hooks:
    """What the runner needs from the engine. All are callables unless said otherwise.

    tracer: None, or what traces calls: `tracer.run(call, spec, args, kwargs)` calls `call(spec, args,
        kwargs)`, `tracer.execute` awaits it; `tracer.opened(tx, spec)` is told of each attempt.
    before(tx, spec, args, kwargs): before the body of each attempt (audit of inputs); None: nothing.
    discard(tx, error): an attempt lost to another commit, or a transaction without a process could
        not be committed; None: nothing.
    check(tx, spec): everything between the body and the install (contract, audit, schema);
        None: nothing to check.
    publish(sent) -> bool: hand out what commits left in `Store.outgoing`, in order (outbox, signals);
        whether the committer of `sent` (an Outgoing, or None) has to call one of the next two.
    backpressure(sent), backpressure_async(sent) -> awaitable: wait until receivers have room, then
        raise what they refused. Called when the commit is over, with nothing held.
    after(tx, spec): after a commit (audit, history); None: nothing.
    failed(tx, spec, error): a body or a check raised; None: nothing.
    sleep(ms), sleep_async(ms) -> awaitable: back-off.
    park(arbiter, ticket), park_async(arbiter, ticket) -> awaitable: until the ticket's state changes.
    thread(callable) -> awaitable: run a sync body off the loop.
    thread_to_end(callable) -> awaitable: the same; not even a cancellation ends it before the body.
    loop() -> the event loop that runs on this thread, or None.
    complete(coroutine): run it to its end on a loop of its own; its value.
    update_type: class of the declarative update that a process may return.
    apply_update(tx, spec, update): apply one.
    result_type: class of a return value together with such an update.
    """
