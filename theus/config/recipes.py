"""Audit recipes from YAML.

The text::

    audit:                      # optional: how failures are taken
      level: B                  # S, A, B, C or I, or the name of the level
      threshold_max: 3          # also max_threshold
      threshold_min: 1          # also min_threshold
      reset_on_success: false
      window: 60                # seconds: what is older counts no more
      rate: 0.5                 # act where more than this share of the uses failed
    process_recipes:            # optional: rules for single processes
      load:
        inputs:
          - {field: year, min: 2013, max: 2013, level: S, message: only 2013 is known}
        outputs:
          - {field: domain.rows, min: 1, max_threshold: 0}
        side_effects: [disk]
        errors: [ValueError]
"""

from __future__ import annotations

from os import PathLike
from typing import Any

from theus._yaml import Node, load, load_file
from theus.audit.levels import AuditLevel
from theus.audit.operators import OPERATORS, Check
from theus.audit.recipe import AuditRecipe, AuditRecipeBook, AuditRule, ProcessRules
from theus.config.reading import Reader
from theus.errors import SchemaViolationError, SettingsError

__all__ = ["ConfigFactory"]

_SPELLINGS = {
    "threshold_max": "threshold_max",
    "max_threshold": "threshold_max",
    "threshold_min": "threshold_min",
    "min_threshold": "threshold_min",
}
_RECIPE = ("level", *_SPELLINGS, "reset_on_success", "window", "rate")
_RULE = ("field", *OPERATORS, "message", *_RECIPE)
_PROCESS = ("inputs", "outputs", "side_effects", "errors")


class ConfigFactory:
    """Loads audit recipes. `theus.config.recipes` shows the form of the text."""

    @staticmethod
    def load_recipe(path: str | PathLike[str]) -> AuditRecipeBook:
        """The recipe book in a YAML file.

        Raises
        ------
        SchemaViolationError
            The text is no valid recipe; with the fields `file`, `line`, `column` (of the
            first problem) and `problems`.
        OSError
            The file cannot be read.
        """
        return _book(load_file(path, error=SchemaViolationError))

    @staticmethod
    def load_recipe_from_string(text: str, source: str = "<string>") -> AuditRecipeBook:
        """The recipe book in a text; `source` names it in errors. Raises as `load_recipe`."""
        return _book(load(text, source=source, error=SchemaViolationError))


def _book(root: Node) -> AuditRecipeBook:
    reader = Reader()
    parts = reader.fields(root, "A recipe", ("audit", "process_recipes"))
    recipe = _recipe(reader, parts["audit"]) if "audit" in parts else AuditRecipe()
    processes = {}
    if "process_recipes" in parts:
        for name, node in reader.mapping(parts["process_recipes"], "process_recipes").items():
            processes[name] = _process(reader, name, node, recipe)
    reader.finish()
    return AuditRecipeBook(recipe, processes)


def _level(reader: Reader, node: Node) -> AuditLevel:
    try:
        return AuditLevel.parse(node.plain())
    except SettingsError as error:
        reader.note(node, f"{error.message}.")
        return AuditLevel.Block


def _settings(reader: Reader, fields: dict[str, Node]) -> dict[str, Any]:
    """Level, thresholds and reset, by the names that recipes and rules have for them."""
    settings: dict[str, Any] = {}
    if "level" in fields:
        settings["level"] = _level(reader, fields["level"])
    if "reset_on_success" in fields:
        settings["reset_on_success"] = reader.boolean(
            fields["reset_on_success"], "reset_on_success"
        )
    for name in ("window", "rate"):
        if name in fields:
            settings[name] = fields[name].plain()
    for spelling, name in _SPELLINGS.items():
        if spelling in fields and name in settings:
            reader.note(fields[spelling], f"{spelling} is another spelling of {name}; give one.")
        elif spelling in fields:
            settings[name] = reader.integer(fields[spelling], spelling)
    return settings


def _recipe(reader: Reader, node: Node) -> AuditRecipe:
    settings = _settings(reader, reader.fields(node, "audit", _RECIPE))
    try:
        return AuditRecipe(**settings)
    except SettingsError as error:
        reader.note_setting(node, error)
        return AuditRecipe()


def _process(reader: Reader, name: str, node: Node, default: AuditRecipe) -> ProcessRules:
    parts = reader.fields(node, f"The recipe of {name!r}", _PROCESS)

    def rules(side: str) -> tuple[AuditRule, ...]:
        if side not in parts:
            return ()
        read = (_rule(reader, item, default) for item in reader.items(parts[side], side))
        return tuple(rule for rule in read if rule is not None)

    def texts(part: str) -> tuple[str, ...]:
        if part not in parts:
            return ()
        return tuple(
            reader.text(item, f"An entry of {part}") for item in reader.items(parts[part], part)
        )

    return ProcessRules(rules("inputs"), rules("outputs"), texts("side_effects"), texts("errors"))


def _rule(reader: Reader, node: Node, default: AuditRecipe) -> AuditRule | None:
    fields = reader.fields(node, "A rule", _RULE, required=("field",))
    if "field" not in fields:
        return None
    field = reader.text(fields["field"], "field")
    message = reader.text(fields["message"], "message") if "message" in fields else None
    if not field:
        return None
    try:
        checks = [Check(name, fields[name].plain()) for name in OPERATORS if name in fields]
        rule = AuditRule(
            field,
            tuple(checks),
            message=message,
            place=str(node.position),
            **_settings(reader, fields),
        )
        rule.recipe(default)
    except SettingsError as error:
        reader.note_setting(node, error)
        return None
    return rule
