cimport cython

cdef enum:
    READ = 1      # this node and all below may be read
    WRITE = 2     # this node may be set or deleted, and all below
    BELOW = 4     # a declared path lies below: may be passed through
    STRICT = 8    # names that begin with an underscore are refused
    REPORT = 16   # what is not allowed is reported and let through


@cython.final
cdef class Position:
    cdef readonly int flags
    cdef dict kids          # literals (and their integers) -> Position; None: below is as here
    cdef Position other     # any other name; None: depends on which globs match
    cdef Position alien     # keys that are neither names nor integers
    cdef dict memo          # name -> Position, where globs decide
    cdef object states      # live states, frozenset of (pattern, segment index)
    cdef Plan plan
    cdef Position step(self, object key)


@cython.final
cdef class Plan:
    cdef tuple patterns     # per pattern: tuple of segments
    cdef tuple grants       # per pattern: flags
    cdef tuple reads
    cdef tuple writes
    cdef int base
    cdef dict known         # (states, flags) -> Position
    cdef list pending       # positions without children yet
    cdef object lock        # over known, pending and every memo
    cdef Position position(self, set states, int flags)
    cdef Position after(self, Position here, object name, set matched)
    cdef set matching(self, Position here, str name)
    cdef int expand(self) except -1
    cdef Position match(self, Position here, str name)


cdef Position unlimited_as(Position pos)
cdef Position EVERYTHING   # unlimited, names that begin with an underscore included

cpdef Position compile_patterns(object reads, object writes, bint strict=*, bint report=*)
cpdef Position unlimited(bint strict, bint report=*)
cpdef Position nothing()
