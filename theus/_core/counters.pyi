from typing import final

@final
class Counters:
    attempts: int
    retries: int
    tickets: int
    max_attempts: int
    failures: int
    @property
    def aborts(self) -> dict[str, int]: ...
    @property
    def waits(self) -> dict[str, int]: ...
    @property
    def wait_seconds(self) -> dict[str, float]: ...
    def __init__(
        self,
        causes: tuple[tuple[type[BaseException], str], ...],
        reasons: tuple[str, ...],
        otherwise: str,
    ) -> None: ...
    def abort(self, cause: str) -> int: ...
    def ended_by(self, error: BaseException | None) -> int: ...
    def waited(self, reason: str, seconds: float) -> None: ...
