"""Which items of a table belong to a target: one definition, read by Python and by DynamoDB alike."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from dynamo_opensearch.core.documents.attribute_values import AttributeValue, Item

Scalar = StrictStr | StrictBool | StrictInt | StrictFloat
ItemTest = Callable[[Item], bool]


class FilterCondition(BaseModel):
    """One condition on one top-level attribute. An attribute that is not there meets ``exists: false`` only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribute: Annotated[str, Field(min_length=1, description="Name of a top-level attribute of the item.")]
    equals: Scalar | None = Field(None, description="The attribute has this value, of this type.")
    one_of: tuple[Scalar, ...] | None = Field(
        None, min_length=1, max_length=100, description="The attribute has one of these values (at most 100)."
    )
    begins_with: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="The attribute is a string that begins so."
    )
    exists: StrictBool | None = Field(None, description="The attribute is there (true) or is not (false).")

    @model_validator(mode="after")
    def _has_one_rule(self) -> Self:
        given = [rule for rule in ("equals", "one_of", "begins_with", "exists") if getattr(self, rule) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of equals, one_of, begins_with, exists; got {given or 'none'}")
        return self


class ItemFilter(BaseModel):
    """All conditions must hold for an item to belong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    all: tuple[FilterCondition, ...] = Field(min_length=1, description="Conditions, all of which must hold.")

    def item_test(self) -> ItemTest:
        """A function that tells whether an item in typed JSON belongs."""
        tests = [_condition_test(condition) for condition in self.all]
        if len(tests) == 1:
            return tests[0]
        return lambda item: all(test(item) for test in tests)

    def scan_arguments(self) -> dict[str, Any]:
        """The same conditions as Scan's FilterExpression, with names and values in boto3's low-level shapes."""
        names: dict[str, str] = {}
        values: dict[str, AttributeValue] = {}
        parts: list[str] = []
        for number, condition in enumerate(self.all):
            names[f"#a{number}"] = condition.attribute
            operands = _operands(condition)
            placeholders = [f":v{number}_{position}" for position in range(len(operands))]
            values.update(zip(placeholders, operands, strict=True))
            parts.append(_expression(condition, f"#a{number}", placeholders))
        arguments: dict[str, Any] = {
            "FilterExpression": " AND ".join(parts),
            "ExpressionAttributeNames": names,
        }
        return arguments | ({"ExpressionAttributeValues": values} if values else {})


def _typed(value: Scalar) -> AttributeValue:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    return {"N": str(value)}


def _operands(condition: FilterCondition) -> list[AttributeValue]:
    if condition.equals is not None:
        return [_typed(condition.equals)]
    if condition.one_of is not None:
        return [_typed(value) for value in condition.one_of]
    return [] if condition.begins_with is None else [_typed(condition.begins_with)]


def _expression(condition: FilterCondition, name: str, placeholders: list[str]) -> str:
    if condition.exists is not None:
        return f"attribute_exists({name})" if condition.exists else f"attribute_not_exists({name})"
    if condition.begins_with is not None:
        return f"begins_with({name}, {placeholders[0]})"
    if condition.one_of is not None:
        return f"{name} IN ({', '.join(placeholders)})"
    return f"{name} = {placeholders[0]}"


def _comparable(value: AttributeValue | None) -> object:
    """Type and value, so that equal means what DynamoDB means by it: numbers by value, types never mixed."""
    if value is None or len(value) != 1:
        return None
    ((kind, content),) = value.items()
    if kind == "N":
        return kind, Decimal(content)
    return (kind, content) if kind in ("S", "BOOL") else None


def _condition_test(condition: FilterCondition) -> ItemTest:
    attribute = condition.attribute
    if condition.exists is not None:
        wanted = condition.exists
        return lambda item: (attribute in item) is wanted
    if condition.begins_with is not None:
        prefix = condition.begins_with
        return lambda item: str(item.get(attribute, {}).get("S", "")).startswith(prefix)
    accepted = {_comparable(operand) for operand in _operands(condition)}
    return lambda item: _comparable(item.get(attribute)) in accepted
