"""Requests that break one rule of the model each."""

import copy
import string

from service_model import matches, place

# Tried in this order where a value must not match a pattern; none is in all of them.
STRANGE = ["!", "a b!", "\u2603", "...", "a" * 16 + "!", "-" * 26 + "!", "a" * 48 + "!"]


# In the place of a value: there is to be none.
MISSING = object()


class Violation:
    """A request that breaks a rule. `constraint` is what AWS says of it, or how that begins."""

    def __init__(self, path, what, constraint, parameters):
        self.path = path
        self.what = what
        self.constraint = constraint
        self.parameters = parameters

    @property
    def member(self):
        """The member as AWS names it: elements that are structures are counted, the others are their list's affair."""
        names = []
        for number, step in enumerate(self.path, 1):
            if step in ("key", "value") or (step == "element" and number == len(self.path)):
                break
            names += ["1", "member"] if step == "element" else [step[0].lower() + step[1:]]
        return ".".join(names)

    @property
    def name(self):
        return f"{'.'.join(self.path)}: {self.what}"


def violations(operation, parameters):
    """Every rule of an operation broken once, in a request that is right otherwise."""
    for path, shape, is_required in rules(operation.input_shape, ()):
        location, _ = place(path[0], operation.input_shape.members[path[0]])
        cases = [*broken(shape)]
        if is_required and location != "uri":
            cases.append(("missing", "Member must not be null", MISSING))
        for what, constraint, value in cases:
            # Outside of bodies nobody can tell an empty value from one that is not there.
            if location == "body" or value not in ("", []):
                changed = with_value(operation.input_shape, parameters, path, value)
                yield Violation(path, what, constraint, changed)


def rules(structure, path, seen=frozenset()):
    """Every member below a structure: its path, its shape, and whether it must be there."""
    for name, shape in structure.members.items():
        yield (*path, name), shape, name in structure.required_members
        yield from below(shape, (*path, name), seen)


def below(shape, path, seen):
    if shape.name in seen:
        return
    seen = seen | {shape.name}
    if shape.type_name == "structure":
        yield from rules(shape, path, seen)
    elif shape.type_name == "list":
        yield (*path, "element"), shape.member, False
        yield from below(shape.member, (*path, "element"), seen)
    elif shape.type_name == "map":
        yield (*path, "key"), shape.key, False
        yield (*path, "value"), shape.value, False
        yield from below(shape.value, (*path, "value"), seen)


def broken(shape):
    """Values that break the rules of a shape, each with AWS's words."""
    limits = shape.metadata
    if shape.type_name == "string":
        yield from broken_text(limits)
    elif shape.type_name in ("list", "map"):
        many = {"list": lambda n: [sample(shape.member)] * n, "map": lambda n: keyed(shape, n)}[shape.type_name]
        if "max" in limits:
            yield "too many", f"Member must have length less than or equal to {limits['max']}", many(limits["max"] + 1)
        if limits.get("min"):
            few = "Member must have length greater than or equal to"
            yield "too few", f"{few} {limits['min']}", many(limits["min"] - 1)
    elif "min" in limits or "max" in limits:
        if "max" in limits:
            yield "too large", f"Member must have value less than or equal to {limits['max']}", limits["max"] + 1
        if "min" in limits:
            yield "too small", f"Member must have value greater than or equal to {limits['min']}", limits["min"] - 1


def broken_text(limits):
    if "enum" in limits:
        yield "no such word", "Member must satisfy enum value set", "NoSuchWord"
    if "max" in limits:
        few = "Member must have length less than or equal to"
        yield "too long", f"{few} {limits['max']}", "a" * (limits["max"] + 1)
    if limits.get("min"):
        many = "Member must have length greater than or equal to"
        yield "too short", f"{many} {limits['min']}", "a" * (limits["min"] - 1)
    if "pattern" in limits:
        least, most = limits.get("min", 0), limits.get("max", 1 << 20)
        fitting = (text for text in STRANGE if least <= len(text) <= most and not matches(limits["pattern"], text))
        for text in list(fitting)[:1]:
            yield "wrong form", "Member must satisfy regular expression pattern: ", text


def sample(shape):
    """A value of the right type, if nothing else."""
    kind = shape.type_name
    if kind == "string":
        return shape.metadata.get("enum", ["1"])[0]
    if kind == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if kind in ("list", "map"):
        return [sample(shape.member)] if kind == "list" else keyed(shape, 1)
    return {"boolean": True, "blob": b""}.get(kind, max(1, shape.metadata.get("min", 1)))


def keyed(shape, count):
    """A map of so many members. Where there are too few keys, others are invented."""
    keys = [*shape.key.metadata.get("enum", []), *string.ascii_letters]
    return {key: sample(shape.value) for key in keys[:count]}


def with_value(structure, parameters, path, value):
    """The parameters with another value at this path; what is missing on the way is made."""
    return changed_at(structure, copy.deepcopy(parameters), path, value)


def changed_at(shape, present, path, value):
    if not path:
        return value
    step, rest = path[0], path[1:]
    if step == "element":
        inner = present[0] if isinstance(present, list) and present else sample(shape.member)
        return [changed_at(shape.member, inner, rest, value)]
    if step == "key":
        return {value: sample(shape.value)}
    if step == "value":
        key = next(iter(keyed(shape, 1)))
        return {key: changed_at(shape.value, sample(shape.value), rest, value)}
    if not rest and value is MISSING:
        return {name: other for name, other in (present or {}).items() if name != step}
    inner = (present or {}).get(step)
    if inner is None and rest:
        inner = sample(shape.members[step])
    return (present or {}) | {step: changed_at(shape.members[step], inner, rest, value)}
