"""``process: NAME``: run one registered process, with arguments if it has ``with:``."""

from __future__ import annotations

from dataclasses import dataclass

from theus.flux.parser import Fields
from theus.flux.syntax import Step, StepKind, Template
from theus.flux.walker import Call, Run, Walk

__all__ = ["KIND", "ProcessStep", "parse_process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStep(Step):
    """Run `process`; `arguments` is None without ``with:``."""

    process: str
    arguments: Template | None = None

    def walk(self, run: Run) -> Walk:
        run.charge(self)
        arguments = None if self.arguments is None else run.fill(self.arguments)
        call = Call(self.process, arguments, self.position)
        try:
            yield call
        except GeneratorExit:
            raise
        except BaseException as error:
            error.add_note(f"in the workflow step {self.process!r} at {self.position}")
            raise
        run.done(call)


def parse_process(fields: Fields) -> ProcessStep:
    """The step of a bare name, or of a mapping with `process` and perhaps `with`."""
    if fields.whole.kind == "scalar":
        return ProcessStep(position=fields.position, process=fields.whole.value.strip())
    arguments = None
    if "with" in fields:
        node = fields.node("with")
        if node.kind != "mapping":
            fields.problem(node, f"`with:` needs a mapping of arguments, not {node.describe()}.")
        else:
            _check_names(fields)
            arguments = fields.template(node)
    return ProcessStep(
        position=fields.position, process=fields.text("process").strip(), arguments=arguments
    )


def _check_names(fields: Fields) -> None:
    for key, node in fields.node("with").keys.items():
        if not isinstance(key, str) or not key.isidentifier():
            fields.problem(node, f"{key!r} cannot name an argument: an identifier is needed.")


KIND = StepKind(parse_process, ("process",), ("with",), "run a process")
