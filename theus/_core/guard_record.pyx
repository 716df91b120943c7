"""Guards of records: dataclass, pydantic, attrs and plain objects held in the state.

Fields come from the node. Functions and properties of the class run with the guard as `self`,
so what they read is recorded and what they write belongs to the transaction; `isinstance`
holds. Methods that a library implements in C get a real instance made from the fields.
"""

cimport cython
from theus._core.freeze cimport Rule
from theus._core.held cimport is_held, plain_of
from theus._core.guard cimport Guard, set_maker
from theus._core.guard_keys cimport KeyedGuard
from theus._core.layout cimport share_dealloc
from theus._core.node cimport RECORD, value_at
from theus._core.pattern cimport BELOW, READ

import dataclasses
import types


cdef extern from "Python.h":
    object PyObject_GenericGetAttr(object o, object n)


def _find(cls, name):
    """(owner, attribute) in the classes of the record, without running descriptors."""
    for owner in cls.__mro__:
        if name in owner.__dict__:
            return owner, owner.__dict__[name]
    return None, None


def _has_slot(cls, name):
    """Whether the class of a record, which has no `__dict__`, has a slot of that name."""
    return any(isinstance(owner.__dict__.get(name), types.MemberDescriptorType) for owner in cls.__mro__)


cdef object class_attribute(object owner, Rule rule, str name, object instance):
    """An attribute of the record's class, bound to the guard or view `owner`.

    `instance` makes a real object for methods that need one. Raises AttributeError.
    """
    cls = rule.cls
    where, found = _find(cls, name)
    if where is None or where is object:
        raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}", name=name)
    if rule.foreign is not None and rule.foreign(where):
        return getattr(instance(), name)
    if isinstance(found, types.FunctionType):
        return types.MethodType(found, owner)
    if isinstance(found, property):
        if found.fget is None:
            raise AttributeError(f"attribute {name!r} of {cls.__name__!r} cannot be read", name=name)
        return found.fget(owner)
    if isinstance(found, (classmethod, staticmethod)):
        return getattr(cls, name)
    if hasattr(type(found), "__get__"):
        return getattr(instance(), name)
    return found


@cython.final
cdef class RecordGuard(KeyedGuard):
    """A record of the state inside a process: attributes are fields, transactional."""

    cdef bint is_method(self, str name) except -1:
        """Whether a name is of the class alone: a method or property, which reads what it reads."""
        where, _ = _find((<Rule>self.node.rule).cls, name)
        if where is None or where is object or value_at(self.node, name, self.tx.ver) is not NULL:
            return False
        return self.draft is None or name not in self.draft.over

    cdef object attribute(self, str name):
        if not self.flags & READ and not self.pos.step(name).flags & (READ | BELOW):
            self.begin_read()
            if self.is_method(name):
                return class_attribute(self, <Rule>self.node.rule, name, self.instance)
        value = self.lookup(name, self.tx.absent)
        if value is not self.tx.absent:
            return value
        return class_attribute(self, <Rule>self.node.rule, name, self.instance)

    cdef object instance(self):
        return self.plain()

    cdef object special(self, str name):
        """A special method of the record's class, bound to the guard; None where it has none."""
        where, _ = _find((<Rule>self.node.rule).cls, name)
        if where is None or where is object:
            return None
        return class_attribute(self, <Rule>self.node.rule, name, self.instance)

    cdef object plain(self):
        self.note_deep()
        rule = <Rule>self.node.rule
        return rule.build(rule.cls, self.plain_fields())

    def __getattribute__(self, name):
        if name == "__class__":
            return (<Rule>self.node.rule).cls
        if name == "__dict__":
            self.note_deep()
            return {key: self.value_of(key) for key in self.key_list()}
        if name == "__dataclass_fields__":
            return getattr((<Rule>self.node.rule).cls, name)
        if name.startswith("__") and name.endswith("__"):
            where, _ = _find((<Rule>self.node.rule).cls, name)
            if where is None or where is object or name in _OWN:
                return PyObject_GenericGetAttr(self, name)
        return self.attribute(name)

    def __setattr__(self, name, value):
        rule = <Rule>self.node.rule
        _, found = _find(rule.cls, name)
        if isinstance(found, property):
            if found.fset is None:
                raise AttributeError(f"property {name!r} of {rule.cls.__name__!r} has no setter", name=name)
            found.fset(self, value)
            return
        if rule.frozen:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        if rule.cls.__dictoffset__ == 0 and not _has_slot(rule.cls, name):
            raise AttributeError(
                f"{rule.cls.__name__!r} object has no attribute {name!r}, and no place for it: its "
                f"class has slots", name=name,
            )
        self.put(name, value)

    def __delattr__(self, name):
        if (<Rule>self.node.rule).frozen:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        if not self.drop(name):
            raise AttributeError(
                f"{(<Rule>self.node.rule).cls.__name__!r} object has no attribute {name!r}", name=name
            )

    def __dir__(self):
        return sorted(set(dir((<Rule>self.node.rule).cls)) | set(self.key_list()))

    def __eq__(self, other):
        if self is other:
            return True
        if is_held(other):
            other = plain_of(other)
        return self.plain() == other

    def __hash__(self):
        return hash(self.plain())

    def __bool__(self):
        method = self.special("__bool__")
        if method is not None:
            return bool(method())
        method = self.special("__len__")
        return True if method is None else method() != 0

    def _needs(self, str name):
        method = self.special(name)
        if method is None:
            raise TypeError(f"{(<Rule>self.node.rule).cls.__name__!r} object does not support {name}")
        return method

    def __len__(self):
        return RecordGuard._needs(self, "__len__")()

    def __iter__(self):
        return RecordGuard._needs(self, "__iter__")()

    def __contains__(self, item):
        return RecordGuard._needs(self, "__contains__")(item)

    def __getitem__(self, key):
        return RecordGuard._needs(self, "__getitem__")(key)

    def __setitem__(self, key, value):
        RecordGuard._needs(self, "__setitem__")(key, value)

    def __delitem__(self, key):
        RecordGuard._needs(self, "__delitem__")(key)

    def __call__(self, *args, **kwargs):
        return RecordGuard._needs(self, "__call__")(*args, **kwargs)

    def __str__(self):
        method = self.special("__str__")
        return repr(self) if method is None else method()

    def __copy__(self):
        return self.plain()

    def __reduce_ex__(self, protocol):
        return self.plain().__reduce_ex__(protocol)


_OWN = frozenset(
    name for cls in (RecordGuard, Guard) for name in vars(cls) if name.startswith("__")
)


cdef Guard make_record_guard():
    return <Guard>RecordGuard.__new__(RecordGuard)


set_maker(RECORD, make_record_guard)
share_dealloc(RecordGuard, Guard)
