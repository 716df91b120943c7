from theus._core.node cimport Node, u64

cdef object MISSING   # what is under a key that a container does not have

cdef object child_at(Node node, object key, u64 ver)
