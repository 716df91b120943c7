"""What each semantic type may declare."""

from __future__ import annotations

import pytest

from theus.contracts import ProcessContract, SemanticType
from theus.contracts.firewall import FIREWALL, check_contract
from theus.errors import ContractViolationError, RegistrationError
from theus.zones import ZONES

IMPURE = [name for rule in ZONES if not rule.pure for name in rule.names]
IMPURE += [prefix + "x" for rule in ZONES if not rule.pure for prefix in rule.prefixes]


def contract(kind: SemanticType, *inputs: str, outputs: tuple[str, ...] = ()) -> ProcessContract:
    return ProcessContract(inputs, outputs, kind, name="probe")


@pytest.mark.parametrize("name", IMPURE)
@pytest.mark.parametrize("form", ["{}", "{}.x", "domain.{}", 'domain["{}"].y', "domain.a.{}.*"])
def test_a_pure_process_takes_no_impure_input(name: str, form: str) -> None:
    bad = contract(SemanticType.PURE, "domain.ok", form.format(name))
    with pytest.raises(ContractViolationError, match="Pure process cannot take inputs") as caught:
        check_contract(bad)
    assert caught.value.path == form.format(name)
    assert caught.value.process == "probe"
    assert isinstance(caught.value, PermissionError)


def test_the_message_names_the_zone() -> None:
    with pytest.raises(
        ContractViolationError, match="Pure process cannot take inputs from Zone: Signal"
    ):
        check_contract(contract(SemanticType.PURE, "signal.stop"))
    with pytest.raises(ContractViolationError, match="from Zone: Meta"):
        check_contract(contract(SemanticType.PURE, "meta.time"))


@pytest.mark.parametrize("name", ["domain.x", "global.y", "heavy.z", "domain.signals", "domain.*"])
def test_a_pure_process_takes_data(name: str) -> None:
    check_contract(contract(SemanticType.PURE, name, outputs=("domain.out",)))


@pytest.mark.parametrize("kind", [SemanticType.EFFECT, SemanticType.GUIDE])
@pytest.mark.parametrize("name", IMPURE)
def test_others_take_everything(kind: SemanticType, name: str) -> None:
    check_contract(contract(kind, name))


@pytest.mark.parametrize("part", ["inputs", "outputs"])
def test_malformed_patterns_name_process_and_part(part: str) -> None:
    bad = ProcessContract(**{part: ["domain..x"]}, name="probe")  # type: ignore[arg-type]
    with pytest.raises(RegistrationError, match=rf"'probe', {part}: .*position 7"):
        check_contract(bad)


def test_the_table_has_every_semantic_type() -> None:
    assert set(FIREWALL) == set(SemanticType)
    assert [kind for kind, rule in FIREWALL.items() if not rule.in_place] == [SemanticType.PURE]
